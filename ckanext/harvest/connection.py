"""Looking what is at the address of a source before it is saved: one request, a few seconds at most."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

import ckan.plugins.toolkit as tk

from ckanext.relay import config as relay_config
from ckanext.relay.errors import AnswerInvalid, RelayError, RemoteStatus
from ckanext.relay.headers import printable
from ckanext.relay.http import GuardedSession, Limits, guarded_session, relay_errors

from . import registry

#: For all of it: a person waits, and so does a process of the web server.
LIMITS = Limits(connect=5, read=10, total=10, tries=1, body_bytes=8 * 1024 * 1024)
#: How many records are shown.
RECORDS = 5

_BEGINNING = 4096
_TITLE = 200


@dataclass(frozen=True)
class Connection:
    """What a test found.

    :param reachable: whether the address answers, and not with an error
    :param right_type: whether it is of the chosen type; None if the harvester cannot tell
    :param message: what else there is to say to a person
    """

    reachable: bool
    right_type: bool | None = None
    count: int | None = None
    records: tuple[str, ...] = ()
    message: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as the action does; each record is ``{title}``."""
        return dataclasses.asdict(self) | {"records": [{"title": title} for title in self.records]}


def test(source_type: str, url: str, config: str | None) -> Connection:
    """Ask for what is at an address, as the harvester of a type would.

    :param config: of the source, as it would be stored
    """
    harvester = registry.find(source_type)
    with guarded_session(relay_config.address_policy(), LIMITS) as session:
        if registry.speaks(harvester, "preview"):
            return _previewed(harvester, session, url, config)
        return _looked_at(session, url)


def _previewed(harvester: Any, session: GuardedSession, url: str, config: str | None) -> Connection:
    try:
        preview = harvester.preview(session, url, config)
    except AnswerInvalid as error:
        return Connection(reachable=True, right_type=False, message=_said(error))
    except RemoteStatus as error:
        # somebody is there; a page that is not found says that it is something else, a fault or a refusal does not
        is_other = error.status in (404, 405, 410)
        return Connection(reachable=is_other, right_type=False if is_other else None, message=_said(error))
    except RelayError as error:
        return Connection(reachable=False, message=_said(error))
    message = "" if preview.count != 0 else tk._("The source would bring nothing. Do its filters leave anything over?")
    titles = tuple(printable(title)[:_TITLE] for title in preview.records[:RECORDS])
    return Connection(True, True, preview.count, titles, message)


def _looked_at(session: GuardedSession, url: str) -> Connection:
    """Look at the beginning of the answer, for a harvester that does not do so itself."""
    try:
        with relay_errors(url), session.get(url, stream=True) as response:
            response.raise_for_status()
            beginning = next(response.iter_content(_BEGINNING), b"")
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
    except RelayError as error:
        return Connection(reachable=False, message=_said(error))
    message = tk._("What is there: {0}.").format(_kind(beginning) or printable(kind)[:80] or tk._("unknown"))
    return Connection(reachable=True, message=message)


def _kind(beginning: bytes) -> str:
    """Return what a document is, by how it begins; nothing if that does not say it."""
    text = beginning.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if re.match(r"<!doctype html|<html", text, re.IGNORECASE):
        return tk._("a web page")
    if text.startswith(("{", "[")):
        return "JSON"
    if text.startswith("<"):
        root = re.search(r"<([A-Za-z_][\w.:-]{0,60})", text)
        return f"XML, <{root[1]}>" if root else "XML"
    return "" if text else tk._("nothing, the answer is empty")


def _said(error: RelayError) -> str:
    return f"{error} {error.hint}".strip() if error.hint else str(error)
