"""The WSGI application of the portal whose ini is named by CKAN_INI."""

from __future__ import annotations

import gc
import os

from ckan.cli import load_config
from ckan.config.middleware import make_app

application = make_app(load_config(os.environ["CKAN_INI"]))
# what was loaded stays: to look through all of it for garbage, now and then, would make a request wait for that
gc.collect()
gc.freeze()
