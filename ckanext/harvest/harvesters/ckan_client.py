"""Reading the datasets, groups and organizations of a remote CKAN through its API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

from ckanext.harvest.domain.paging import Paging
from ckanext.relay.errors import AnswerInvalid, redact

#: How many datasets are asked for at a time.
ROWS = 100


class ContentFetchError(Exception):
    """The remote portal did not answer, or answered with an error."""


class ContentNotFoundError(ContentFetchError):
    """The remote portal says that there is no such thing."""


class RemoteResourceError(Exception):
    """A group or organization could not be read from the remote portal."""


class RemoteResourceNotFound(RemoteResourceError):
    """The remote portal says that there is no such group or organization."""


class SearchError(Exception):
    """The datasets could not be read from the remote portal."""


def result(text: str, url: str) -> Any:
    """Return the result of an action from the text of its answer.

    :raises ValueError: it is no JSON, the remote portal says that the action failed, or there is no result in it
    """
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        start = " ".join(text[:200].split())[:80]
        raise ValueError(f"Response from remote CKAN was not JSON: {redact(url)} begins with {start!r}") from error
    if not isinstance(answer, dict) or "result" not in answer or answer.get("success") is False:
        said = answer.get("error") if isinstance(answer, dict) else None
        raise ValueError(f"Remote CKAN says that {redact(url)} failed: {str(said)[:200]}")
    return answer["result"]


def search_pages(
    get: Callable[[str], str],
    search_url: str,
    fq_terms: list[str] | None,
    paging: Paging | None = None,
    rows: int = ROWS,
    **options: str,
) -> Iterator[list[dict[str, Any]]]:
    """Yield the datasets that a search finds, each once, page by page, in the order of their ids.

    :param get: returns the text at a URL, or raises ContentFetchError
    :param search_url: URL of the remote ``package_search``
    :param paging: tells afterwards whether all was read
    :param options: more parameters of the search
    :raises SearchError: a page could not be read, or is always the same
    """
    paging = paging or Paging()
    while not paging.over:
        params = {"rows": str(rows), "start": str(paging.start), "sort": "id asc"} | options
        if fq_terms:
            params["fq"] = " ".join(fq_terms)
        url = f"{search_url}?{urlencode(params)}"
        try:
            found = result(get(url), url)
        except ContentFetchError as error:
            where = redact(search_url)
            raise SearchError(f"Error sending request to search remote CKAN instance {where}: {error}") from error
        except ValueError as error:
            raise SearchError(str(error)) from error
        page = found.get("results") if isinstance(found, dict) else None
        if not isinstance(page, list) or not all(isinstance(dataset, dict) for dataset in page):
            raise SearchError(f"The answer of {redact(url)} has no list of datasets")
        new = paging.take(page, found.get("count"))
        if new:
            yield new
        if paging.stuck:
            read = f"{len(paging.ids)} of {paging.count} datasets were read"
            raise SearchError(f"{redact(search_url)} answers with the same page again and again: {read}")


def first_datasets(
    get: Callable[[str], str], search_url: str, fq_terms: list[str], rows: int = 5
) -> tuple[int, list[dict[str, Any]]]:
    """Return how many datasets a search finds, and the first of them.

    :param get: returns the text at a URL
    :raises AnswerInvalid: what answers is no CKAN, or its search failed
    """
    params = {"rows": str(rows), "sort": "id asc"} | ({"fq": " ".join(fq_terms)} if fq_terms else {})
    url = f"{search_url}?{urlencode(params)}"
    text = get(url)
    try:
        found = result(text, url)
    except ValueError as error:
        raise AnswerInvalid(search_url, str(error)) from error
    count, datasets = (found.get("count"), found.get("results")) if isinstance(found, dict) else (None, None)
    if not isinstance(count, int) or not isinstance(datasets, list):
        raise AnswerInvalid(search_url, "The answer has no list of datasets")
    return count, [dataset for dataset in datasets[:rows] if isinstance(dataset, dict)]


def show(get: Callable[[str], str], action_url: str, name: str) -> dict[str, Any]:
    """Return what a remote ``group_show`` or ``organization_show`` says of a name or id.

    :raises RemoteResourceNotFound: there is no such thing
    :raises RemoteResourceError: it could not be read
    """
    url = f"{action_url}?id={quote(name, safe='')}"
    try:
        found = result(get(url), url)
    except ContentNotFoundError as error:
        raise RemoteResourceNotFound(f"Could not fetch {name}: {error}") from error
    except (ContentFetchError, ValueError) as error:
        raise RemoteResourceError(f"Could not fetch {name}: {error}") from error
    if not isinstance(found, dict):
        raise RemoteResourceError(f"The answer of {redact(url)} is no group")
    return found
