"""Give datasets of the portal of CKAN_INI another title, in one process, as people do it one after the other.

Takes the name of the user and names of datasets, one a line, on standard input.
"""

from __future__ import annotations

import os
import sys

import ckan.plugins.toolkit as tk
from ckan import model
from ckan.cli import load_config
from ckan.config.middleware import make_app


def main() -> None:
    user, *names = sys.stdin.read().split()
    app = make_app(load_config(os.environ["CKAN_INI"]))
    with app._wsgi_app.test_request_context():
        tk.config["ckan.search.solr_commit"] = False
        for name in names:
            context = {"user": user, "ignore_auth": True}
            title = tk.get_action("package_show")(context, {"id": name})["title"]
            tk.get_action("package_patch")({"user": user, "ignore_auth": True}, {"id": name, "title": f"{title} (new)"})
            model.Session.remove()


if __name__ == "__main__":
    main()
