"""The WSGI application of the portal whose ini is named by CKAN_INI."""

from __future__ import annotations

import gc
import os
from typing import Any

from ckan import model
from ckan.cli import load_config
from ckan.config.middleware import make_app

_portal = make_app(load_config(os.environ["CKAN_INI"]))


def application(environ: Any, start_response: Any) -> Any:
    """Answer a request, and leave nothing behind in the thread if that fails.

    CKAN's page for errors asks the database, too. When that has just gone away the page fails as well, and CKAN does
    not come to give the session back: every later request that the thread gets would fail, whether the database is back
    or not.
    """
    try:
        return _portal(environ, start_response)
    except Exception:
        model.Session.remove()
        raise


# what was loaded stays: to look through all of it for garbage, now and then, would make a request wait for that
gc.collect()
gc.freeze()
