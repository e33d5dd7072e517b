"""The address of a copy."""

from __future__ import annotations

import os
from urllib.parse import quote

import ckan.plugins.toolkit as tk

from . import config
from .storage import store


def cache_url(package_id: str, resource_id: str, path: str) -> str:
    """Return where people get a copy: below ``ckanext-archiver.cache_url_root``, or by our own route if there is none.

    :param path: absolute, as :meth:`ckanext.archiver.storage.Store.keep` returned it
    :raises ValueError: the path is none of the archive
    """
    relative = store().relative(path)
    if relative is None:
        raise ValueError(f"{path} is no copy in the archive")
    root = config.cache_url_root()
    if root:
        return f"{root.rstrip('/')}/{quote(relative)}"
    name = os.path.basename(relative)
    return str(
        tk.url_for(
            "archiver.download", id=package_id, resource_id=resource_id, filename=name, qualified=True, locale="default"
        )
    )
