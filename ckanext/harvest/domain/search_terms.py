"""Terms of the search language of a remote CKAN, which is Solr's."""

from __future__ import annotations

import re
from collections.abc import Iterable

# What needs no quotes: names and ids as CKAN makes them. Portals' tests expect those as they are.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_OPERATORS = ("AND", "OR", "NOT")


def term(field: str, value: str) -> str:
    """Return the term that finds a value of a field, quoted if it could be read as anything else than a value."""
    if _PLAIN.fullmatch(value) and value not in _OPERATORS:
        return f"{field}:{value}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{field}:"{escaped}"'


def any_of(field: str, values: Iterable[str]) -> str:
    """Return what finds any of the values. Several stand in parentheses, since terms beside them are joined by AND."""
    terms = [term(field, value) for value in dict.fromkeys(values)]
    return f"({' OR '.join(terms)})" if len(terms) > 1 else terms[0]
