"""The remote catalogues that are harvested: HTTP servers on this machine that answer with the documents of a run.

``documents/<name>.json`` is a list with the answers of the first and of the second run, ``documents/<name>/1`` and
``/2`` are folders with them. ``@BASE@`` in a document stands for the address of its server.
"""

from __future__ import annotations

import json
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

from ckanext.harvest.tests.loopback import Loopback
from ckanext.harvest.tests.remote_ckan import RemotePortal

DOCUMENTS = Path(__file__).with_name("documents")
_TYPES = {".rdf": "application/rdf+xml", ".ttl": "text/turtle; charset=utf-8", ".xml": "application/xml"}
_CSW = "http://www.opengis.net/cat/csw/2.0.2"


class Remote(Loopback, ThreadingHTTPServer):
    """A catalogue that answers while it is used as a context manager; ``run`` says with which documents."""

    def __init__(self, name: str) -> None:
        super().__init__(_Request)
        self.name, self.run = name, 1

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has enough of an answer hangs up."""

    def answer(self, target: str, body: str) -> tuple[str, str] | None:
        """Return content type and text for a path with its query and the body of the request; None if there is none."""
        raise NotImplementedError

    def documents(self) -> Any:
        """What there is in this run."""
        return json.loads((DOCUMENTS / f"{self.name}.json").read_text())[self.run - 1]


class Files(Remote):
    """Answers with the files of a folder."""

    def answer(self, target: str, body: str) -> tuple[str, str] | None:
        path = DOCUMENTS / self.name / str(self.run) / target.lstrip("/")
        return (_TYPES[path.suffix], path.read_text()) if path.is_file() else None


class Api(Remote):
    """Answers with JSON. What the second run does not say is as it was in the first."""

    def answer(self, target: str, body: str) -> tuple[str, str] | None:
        answers = self.documents()
        if self.run > 1:
            answers = json.loads((DOCUMENTS / f"{self.name}.json").read_text())[0] | answers
        found = answers.get(target, answers.get(urlsplit(target).path))
        return None if found is None else ("application/json", json.dumps(found))


class Folder(Remote):
    """A web accessible folder: lists of files with their dates, as Apache shows them, and ISO documents."""

    def answer(self, target: str, body: str) -> tuple[str, str] | None:
        files = self.documents()
        name = target.removeprefix("/")
        if name in files:
            return "application/xml", files[name] if isinstance(files[name], str) else _bare(iso(name, files[name]))
        inside = {path.removeprefix(name): values for path, values in files.items() if path.startswith(name)}
        return ("text/html", _listing(inside)) if inside and (not name or name.endswith("/")) else None


class Csw(Remote):
    """A catalogue service: as much of CSW 2.0.2 as a harvester asks for."""

    def answer(self, target: str, body: str) -> tuple[str, str] | None:
        asked = {key.lower(): values[0] for key, values in parse_qs(urlsplit(target).query).items()}
        if asked.get("request") == "GetCapabilities":
            return "application/xml", (DOCUMENTS / "csw_capabilities.xml").read_text()
        records = {key: iso(key, values) if values else "" for key, values in self.documents().items()}
        if asked.get("request") == "GetRecordById":
            return "application/xml", _GET_RECORD_BY_ID.format(records=_bare(records.get(asked["id"], "")))
        given = ElementTree.fromstring(body)
        if given.tag != f"{{{_CSW}}}GetRecords":
            return None
        first, most = max(int(given.get("startPosition", "1")), 1), int(given.get("maxRecords", "10"))
        page = list(records.items())[first - 1 : first - 1 + most]
        # one that cannot be read is listed all the same
        listed = [_bare(text or iso(key, _UNREAD)) for key, text in page]
        following = first + len(page) if first + len(page) <= len(records) else 0
        answer = {"matched": len(records), "returned": len(page), "following": following, "records": "".join(listed)}
        return "application/xml", _GET_RECORDS.format(**answer)


class Ckan(RemotePortal):
    """Another CKAN."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.run = 1

    @property
    def run(self) -> int:
        return self._run

    @run.setter
    def run(self, number: int) -> None:
        self._run = number
        self.datasets = json.loads((DOCUMENTS / f"{self.name}.json").read_text())[number - 1]["datasets"]


def iso(identifier: str, values: dict[str, Any]) -> str:
    """Return a record as a document of ISO 19139."""
    west, south, east, north = values["box"]
    text = {key: escape(values[key]) for key in ("title", "abstract", "date")}
    keywords = "".join(_KEYWORD.format(escape(word)) for word in values["keywords"])
    links = "".join(_LINK.format(*map(escape, link)) for link in values["links"])
    return Template((DOCUMENTS / "iso.xml").read_text()).substitute(
        text, identifier=identifier, keywords=keywords, links=links, west=west, south=south, east=east, north=north
    )


def _bare(document: str) -> str:
    return document.partition("?>")[2]


def _listing(files: dict[str, Any]) -> str:
    """Return the page of a folder, with its files and the folders in it."""
    rows = {}
    for path, values in files.items():
        name, slash, _ = path.partition("/")
        modified = "" if slash or isinstance(values, str) else values["modified"]
        link, cell = f'<a href="{name}{slash}">{name}{slash}</a>', '</td><td align="right">'
        rows[name + slash] = f"<tr><td>{link}{cell}{modified}  {cell}1.0K</td></tr>\n"
    rows_text = "".join(rows.values())
    return f"<html><title>Index</title><body><table>\n{rows_text}</table></body></html>"


class _Request(BaseHTTPRequestHandler):
    server: Remote
    protocol_version = "HTTP/1.1"
    timeout = 30
    #: the harvester of web accessible folders reads a page after the kind of its server
    server_version, sys_version = "Apache/2.4", ""

    def do_GET(self) -> None:
        self._answer("")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def _answer(self, body: str) -> None:
        found = self.server.answer(self.path, body)
        content_type, text = found or ("text/plain", "Not found")
        content = text.replace("@BASE@", self.server.url).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


_UNREAD = {"title": "", "abstract": "", "date": "2025-01-01", "keywords": [], "box": [0, 0, 1, 1], "links": []}
_KEYWORD = "<gmd:keyword><gco:CharacterString>{}</gco:CharacterString></gmd:keyword>"
_LINK = """<gmd:onLine><gmd:CI_OnlineResource>
<gmd:linkage><gmd:URL>{}</gmd:URL></gmd:linkage>
<gmd:protocol><gco:CharacterString>{}</gco:CharacterString></gmd:protocol>
<gmd:name><gco:CharacterString>{}</gco:CharacterString></gmd:name>
</gmd:CI_OnlineResource></gmd:onLine>"""
_GET_RECORD_BY_ID = f'<csw:GetRecordByIdResponse xmlns:csw="{_CSW}">{{records}}</csw:GetRecordByIdResponse>'
_GET_RECORDS = (
    f'<csw:GetRecordsResponse xmlns:csw="{_CSW}" version="2.0.2"><csw:SearchStatus timestamp="2025-01-01T00:00:00"/>'
    '<csw:SearchResults numberOfRecordsMatched="{matched}" numberOfRecordsReturned="{returned}"'
    ' nextRecord="{following}" elementSet="brief" recordSchema="http://www.isotc211.org/2005/gmd">'
    "{records}</csw:SearchResults></csw:GetRecordsResponse>"
)
