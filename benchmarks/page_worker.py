"""What ``benchmarks/pages`` needs of CKAN itself, in a process of its own on the portal of CKAN_INI; prints JSON.

``routes``: the endpoints of our pages that a browser may ask for · ``index ID…``: index these datasets
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from ckan.cli import load_config
from ckan.config.middleware import make_app

from .of_pages import routes


def index(app: Any, ids: list[str]) -> int:
    from ckanext.relay import search

    with app.test_request_context():
        refused = search.index(ids)
        assert not refused, refused
    return len(ids)


app = make_app(load_config(os.environ["CKAN_INI"]))._wsgi_app
command, *arguments = sys.argv[1:]
print(json.dumps(routes(app) if command == "routes" else index(app, arguments)))
