"""The files that people uploaded to this portal, wherever CKAN keeps them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from ckan.lib import uploader

log = logging.getLogger(__name__)


class Readable(Protocol):
    """What can be read piece by piece."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next piece, of so many bytes at most if it can; nothing at the end."""


@dataclass(frozen=True)
class Upload:
    """Where an upload is.

    :ivar path: on this machine; None if it is elsewhere
    :ivar open: opens it for reading; may raise OSError and whatever the storage raises
    """

    path: str | None
    open: Callable[[], AbstractContextManager[Readable]]


def locate(resource_id: str, url: str) -> Upload | None:
    """Return where the upload of a resource is, or None if only its URL leads there.

    :param url: of the resource
    """
    keeper: Any = uploader.get_resource_uploader({"id": resource_id, "url": url, "url_type": "upload"})
    try:
        path = str(keeper.get_path(resource_id))
    except Exception:  # noqa: BLE001  # the boundary to plugins; some that store in a cloud have no such paths
        log.info("Where the upload of resource %s is cannot be told, only its URL leads there", resource_id)
        return None
    if urlsplit(path).scheme:
        return None
    if os.path.isabs(path):
        return Upload(path, lambda: open(path, "rb"))  # noqa: SIM115  # whoever asks for it closes it
    storage = getattr(keeper, "storage", None)  # CKAN 2.12 names a place in one of its storages
    if storage is None:
        return None
    full = getattr(storage, "full_path", None)
    if full is not None and os.path.isabs(here := str(full(path))):
        return Upload(here, lambda: open(here, "rb"))  # noqa: SIM115
    return Upload(None, lambda: closing(_Stream(storage, path)))


class _Stream:
    """A file in a storage of CKAN that is not a folder of this machine."""

    def __init__(self, storage: Any, location: str) -> None:
        from ckan.lib import files

        self._pieces = iter(storage.stream(files.FileData(files.Location(location))))

    def read(self, _size: int = -1, /) -> bytes:
        return next(self._pieces, b"")

    def close(self) -> None:
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()
