"""The name under which a copy is kept: the last part of the path of its URL, made harmless."""

from __future__ import annotations

import unicodedata
from urllib.parse import urlsplit

#: Bytes; file systems allow 255, and temporary names are made by adding to it.
LONGEST = 200


def file_name(url: str) -> str:
    """Return the name of the copy of a URL: ``data.csv`` for ``http://host/a/data.csv?x=1``, ``resource`` for none.

    Percent escapes stay as they are. The name never is ``.`` or ``..``, begins with a dot, or has a separator, a
    control or a direction character in it, and is at most :data:`LONGEST` bytes in UTF-8.
    """
    try:
        path = urlsplit(url).path
    except ValueError:  # half a bracket in the host
        path = url.partition("?")[0].partition("#")[0]
    return safe(path.rpartition("/")[2])


def safe(name: str) -> str:
    """Return any text as a file name, by the same rules."""
    plain = "".join("_" if _is_unsafe(character) else character for character in name.strip()).strip()
    if plain.startswith("."):
        plain = f"_{plain[1:]}"
    return _shortened(plain) or "resource"


def _is_unsafe(character: str) -> bool:
    # Cc control, Cf direction and other invisible marks, Cs halves of surrogate pairs, Zl and Zp line separators
    return character in "/\\" or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _shortened(name: str) -> str:
    if len(name.encode()) <= LONGEST:
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) > 20:
        stem, dot, extension = name, "", ""
    room = LONGEST - len(f"{dot}{extension}".encode())
    return f"{stem.encode()[:room].decode(errors='ignore')}{dot}{extension}"
