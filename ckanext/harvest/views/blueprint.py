"""The blueprint that every page of the plugin belongs to."""

from __future__ import annotations

import ckan.plugins.toolkit as tk
from flask import Blueprint

from ckanext.relay import pages

from ..sources import DATASET_TYPE_NAME

harvester = Blueprint("harvester", __name__)
pages.guard(harvester)


@harvester.before_request
def before_request() -> None:
    """Tell the templates of CKAN that these pages are about sources."""
    tk.g.dataset_type = DATASET_TYPE_NAME


@harvester.before_app_request
def protect_form_of_source() -> None:
    """Refuse forms that are not ours on the pages, too, that CKAN serves for each type of dataset."""
    if tk.request.blueprint == DATASET_TYPE_NAME and tk.request.method == "POST":
        pages.protect_forms()
