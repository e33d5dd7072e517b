"""Bring the database of the portal of CKAN_INI up to date and make its sysadmin and API token; harmless to repeat.

Reads ``{"name", "password", "token_file"}`` as JSON from standard input, where no other user of the machine sees it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import ckan.model as model
import ckan.plugins.toolkit as tk
from ckan.cli import load_config
from ckan.cli.db import upgrade
from ckan.config.middleware import make_app
from ckan.lib.api_token import get_user_from_token


def main() -> None:
    given = json.load(sys.stdin)
    app = make_app(load_config(os.environ["CKAN_INI"]))
    with app._wsgi_app.test_request_context():
        upgrade.main([], standalone_mode=False)  # CKAN's own tables and those of the enabled plugins.
        make_sysadmin(given["name"], given["password"])
        write_token(given["name"], Path(given["token_file"]))


def make_sysadmin(name: str, password: str) -> None:
    user = model.User.get(name)
    if user is None:
        user = model.User(name=name, email=f"{name}@localhost.invalid", fullname="Quickstart")
        model.Session.add(user)
    user.password = password
    user.sysadmin = True
    user.activate()
    model.Session.commit()


def write_token(user: str, path: Path) -> None:
    if path.exists() and get_user_from_token(path.read_text().strip()):
        return
    token = tk.get_action("api_token_create")({"ignore_auth": True}, {"user": user, "name": "quickstart"})["token"]
    path.touch(mode=0o600)
    path.write_text(token)


if __name__ == "__main__":
    main()
