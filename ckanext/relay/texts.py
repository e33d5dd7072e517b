"""Texts that come from elsewhere."""

from __future__ import annotations


def storable(text: str) -> str:
    """Return a text as PostgreSQL and UTF-8 take it.

    JSON, a header or an exception may hold what they do not: NUL, and halves of characters (lone surrogates).
    """
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
