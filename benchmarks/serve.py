"""Serve the portal of CKAN_INI on the port that is the first argument; runs in the environment of either side."""

from __future__ import annotations

import os
import sys

import waitress
from ckan.cli import load_config
from ckan.config.middleware import make_app

waitress.serve(make_app(load_config(os.environ["CKAN_INI"])), host="127.0.0.1", port=int(sys.argv[1]), threads=8)
