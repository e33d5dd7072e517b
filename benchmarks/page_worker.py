"""What ``benchmarks/pages`` needs of CKAN itself, in a process of its own on the portal of CKAN_INI; prints JSON.

``routes``: the endpoints of our pages that a browser may ask for · ``index ID…``: index these datasets
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from typing import Any

from ckan.cli import load_config
from ckan.config.middleware import make_app

PLUGINS = ("harvest", "archiver", "report", "syndicate")


def routes(app: Any) -> list[str]:
    ours = tuple(f"ckanext.{plugin}." for plugin in PLUGINS)
    rules = [rule for rule in app.url_map.iter_rules() if "GET" in rule.methods]
    return sorted({rule.endpoint for rule in rules if _module(app.view_functions[rule.endpoint]).startswith(ours)})


def _module(view: Any) -> str:
    return str(inspect.unwrap(getattr(view, "view_class", view)).__module__)


def index(app: Any, ids: list[str]) -> int:
    from ckanext.relay import search

    with app.test_request_context():
        refused = search.index(ids)
        assert not refused, refused
    return len(ids)


app = make_app(load_config(os.environ["CKAN_INI"]))._wsgi_app
command, *arguments = sys.argv[1:]
print(json.dumps(routes(app) if command == "routes" else index(app, arguments)))
