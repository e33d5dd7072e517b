"""What reports came to, read from the database once a process and version: a large report takes longer to read than a
page may take."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import Any

from .model import DataCache

#: How many characters of JSON are kept at most, beside the one that was read last; in memory they take six times that.
KEPT_CHARACTERS = 16_000_000

_kept: OrderedDict[tuple[str, Any], tuple[int, Any]] = OrderedDict()
_lock = threading.Lock()


def read(object_id: str | None, key: str) -> tuple[Any, Any]:
    """Return ``(data, created)`` as they are stored now, or ``(None, None)``. Others share them: do not change them."""
    version = DataCache.version(object_id, key)
    if version is None:
        return None, None
    with _lock:
        if version in _kept:
            _kept.move_to_end(version)
            return _kept[version][1], version[1]
    text, created = DataCache.get(object_id, key)
    data = json.loads(text) if text else None
    with _lock:
        _kept[version[0], created] = len(text or ""), data
        while len(_kept) > 1 and sum(size for size, _ in _kept.values()) > KEPT_CHARACTERS:
            _kept.popitem(last=False)
    return data, created
