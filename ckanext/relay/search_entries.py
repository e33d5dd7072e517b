"""Finding and removing entries of the search index by what their documents say, not by what the database holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pysolr
from ckan.lib.search.common import make_connection

from . import config
from .search import SearchUnavailable

_PAGE = 1000
#: Ids in one request to delete: Solr allows 1024 terms.
_CHUNK = 500


def having(field: str, value: str) -> list[str]:
    """Return the ids of the datasets whose documents have a value in a field, sorted.

    :raises SearchUnavailable: Solr does not answer
    """
    ids: list[str] = []
    while True:
        found = _ask("search", "*:*", fq=_query(field, value), fl="id", sort="id asc", rows=_PAGE, start=len(ids))
        ids += [document["id"] for document in found.docs]
        if len(found.docs) < _PAGE:
            return ids


def having_any(field: str, values: Sequence[str]) -> set[str]:
    """Return the ids of the datasets whose documents have one of the values in a field.

    :raises SearchUnavailable: Solr does not answer
    """
    wanted = [f"site_id:{_quoted(config.site_id())}", f"{{!terms f={field}}}{','.join(values)}"]
    return {document["id"] for document in _ask("search", "*:*", fq=wanted, fl="id", rows=len(values) * 2).docs}


def having_field(field: str, rows: int) -> Iterator[tuple[list[str], int]]:
    """Yield the ids of all datasets whose documents have a field, so many at a time, and how many there are at all.

    :raises SearchUnavailable: Solr does not answer
    """
    wanted = [f"site_id:{_quoted(config.site_id())}", f"{field}:[* TO *]"]
    mark = "*"
    while True:
        found = _ask("search", "*:*", fq=wanted, fl="id", sort="index_id asc", rows=rows, cursorMark=mark)
        if found.docs:
            yield [document["id"] for document in found.docs], found.hits
        if found.nextCursorMark == mark:
            return
        mark = found.nextCursorMark


def remove_having(field: str, value: str) -> None:
    """Remove the documents that have a value in a field; searches do not find them any more.

    :raises SearchUnavailable: Solr does not answer
    """
    _ask("delete", q=_query(field, value), commit=True)


def remove(package_ids: Sequence[str]) -> None:
    """Remove the documents of datasets; searches do not find them any more.

    :raises SearchUnavailable: Solr does not answer
    """
    for first in range(0, len(package_ids), _CHUNK):
        terms = " ".join(map(_quoted, package_ids[first : first + _CHUNK]))
        _ask("delete", q=f"+site_id:{_quoted(config.site_id())} +id:({terms})", commit=True)


def _query(field: str, value: str) -> str:
    return f"+site_id:{_quoted(config.site_id())} +{field}:{_quoted(value)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _ask(method: str, *arguments: str, **options: object) -> pysolr.Results:
    try:
        return getattr(make_connection(), method)(*arguments, **options)
    except (pysolr.SolrError, OSError) as error:
        raise SearchUnavailable(f"Solr does not answer: {error}") from error
