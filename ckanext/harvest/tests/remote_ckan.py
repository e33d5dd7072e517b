"""A remote CKAN on this machine: as much of its API as a harvester asks for, and all the ways in which it can fail."""

from __future__ import annotations

import copy
import json
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ckanext.harvest.tests.loopback import Loopback

Dataset = dict[str, Any]
#: What answers instead of the API: it is given the request and its parameters, and does the rest by itself.
Answer = Callable[["Request", dict[str, str]], None]


def dataset(number: int | str, **fields: Any) -> Dataset:
    """Return a dataset as ``package_search`` of a CKAN shows it."""
    dataset_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"dataset {number}"))
    return {
        "id": dataset_id,
        "name": f"dataset-{number}",
        "title": f"Dataset {number}",
        "notes": "What it is about.",
        "type": "dataset",
        "state": "active",
        "private": False,
        "isopen": True,
        "license_id": "cc-by",
        "metadata_created": "2026-01-01T00:00:00.000000",
        "metadata_modified": "2026-01-02T00:00:00.000000",
        "num_resources": 1,
        "organization": None,
        "owner_org": None,
        "creator_user_id": "c0ffee00-0000-4000-8000-000000000000",
        "groups": [],
        "tags": [{"name": "water", "display_name": "water", "state": "active", "vocabulary_id": None}],
        "extras": [{"key": "contact", "value": "office@city.example"}],
        "resources": [
            {
                "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"resource of {number}")),
                "package_id": dataset_id,
                "name": "Table",
                "url": f"http://files.city.example/{number}.csv",
                "url_type": "upload",
                "format": "CSV",
                "state": "active",
            }
        ],
        "tracking_summary": {"total": 7, "recent": 1},
    } | fields


class Request(BaseHTTPRequestHandler):
    """One request to the portal."""

    server: RemotePortal
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        params = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self.server.requests.append((parts.path, params, dict(self.headers)))
        if self.server.instead is not None:
            self.server.instead(self, params)
            return
        action = parts.path.removeprefix("/api/3/action/")
        handler = getattr(self, f"_{action}", None)
        if parts.path == f"/api/3/action/{action}" and handler:
            handler(params)
        else:
            self.send_text("Not found", status=404, content_type="text/plain")

    def _package_search(self, params: dict[str, str]) -> None:
        found = [each for each in self.server.datasets if _matches(each, params.get("fq", ""))]
        if params.get("sort") == "id asc":
            found.sort(key=lambda each: str(each.get("id")))
        rows = min(int(params.get("rows", "10")), self.server.most_rows)
        start = int(params.get("start", "0"))
        page = found[start : start + rows]
        if "fl" in params:
            page = [{params["fl"]: each.get(params["fl"])} for each in page]
        self.send_result({"count": len(found) + self.server.lost, "results": page})

    def _group_show(self, params: dict[str, str]) -> None:
        self._show(self.server.groups, params)

    def _organization_show(self, params: dict[str, str]) -> None:
        self._show(self.server.organizations, params)

    def _show(self, described: list[dict[str, Any]], params: dict[str, str]) -> None:
        for each in described:
            if params.get("id") in (each["id"], each["name"]):
                self.send_result(each)
                return
        self.send_json({"success": False, "error": {"__type": "Not Found Error", "message": "Not found"}}, status=404)

    def send_result(self, result: Any) -> None:
        self.send_json({"help": "…", "success": True, "result": result})

    def send_json(self, answer: Any, status: int = 200) -> None:
        self.send_text(json.dumps(answer), status, "application/json;charset=utf-8")

    def send_text(self, text: str, status: int = 200, content_type: str = "text/html") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: ``requests`` of the portal has it all."""


def _matches(each: Dataset, fq: str) -> bool:
    """Tell whether a dataset is found by a filter query: as much of Solr's language as the harvester speaks."""
    text = fq
    while "(" in text:
        inner = text[text.index("(") + 1 : text.index(")")]
        if not any(_term(each, term) for term in inner.split(" OR ")):
            return False
        text = text.replace(f"({inner})", "")
    if "metadata_modified:[" in text:
        begin = text.index("metadata_modified:[")
        end = text.index("]", begin) + 1
        since = text[begin:end].removeprefix("metadata_modified:[").split()[0].removesuffix("Z")
        if str(each.get("metadata_modified")) < since:
            return False
        text = text[:begin] + text[end:]
    return all(_term(each, term) for term in text.split())


def _term(each: Dataset, term: str) -> bool:
    if term.startswith("-"):
        return not _term(each, term[1:])
    field, _, value = term.partition(":")
    value = value.strip('"')
    if field == "id":
        return each.get("id") == value
    if field == "dataset_type":
        return each.get("type") == value
    if field == "organization":
        return (each.get("organization") or {}).get("name") == value
    return value in [group["name"] for group in each.get("groups") or ()]


class RemotePortal(Loopback, ThreadingHTTPServer):
    """A CKAN that answers on a free port of the loopback interface while it is used as a context manager.

    ``datasets``, ``groups`` and ``organizations`` are what it shows; ``instead`` answers in its place.
    """

    def __init__(self) -> None:
        super().__init__(Request)
        self.datasets: list[Dataset] = []
        self.groups: list[dict[str, Any]] = []
        self.organizations: list[dict[str, Any]] = []
        self.most_rows = 1000
        #: how many datasets a search counts and does not show
        self.lost = 0
        self.instead: Answer | None = None
        self.requests: list[tuple[str, dict[str, str], dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has enough of an answer hangs up."""

    def searches(self) -> list[dict[str, str]]:
        """Return the parameters of all searches so far."""
        return [params for path, params, _ in self.requests if path.endswith("/package_search")]

    def asked(self, action: str) -> int:
        """Return how often an action was called."""
        return sum(path.endswith(f"/{action}") for path, _, _ in self.requests)

    def change(self, number: int, **fields: Any) -> None:
        """Change a dataset, of which the portal says so."""
        modified = time.strftime("%Y-%m-%dT%H:%M:%S.000000", time.gmtime())
        self.datasets[number] = copy.deepcopy(self.datasets[number]) | {"metadata_modified": modified} | fields


# -- how it can fail


def html(request: Request, params: dict[str, str]) -> None:
    """Answer with a page for people."""
    request.send_text("<!doctype html><title>Welcome</title><p>Please log in.")


def no_success(request: Request, params: dict[str, str]) -> None:
    """Answer as CKAN does when an action fails."""
    request.send_json({"success": False, "error": {"message": "The search index is being rebuilt"}})


def no_results(request: Request, params: dict[str, str]) -> None:
    """Answer with JSON of another shape."""
    request.send_json({"success": True, "result": ["one", "two"]})


def error_500(request: Request, params: dict[str, str]) -> None:
    """Answer with an error."""
    request.send_text("Internal Server Error", status=500)


def redirect_loop(request: Request, params: dict[str, str]) -> None:
    """Send whoever asks to the same place again."""
    request.send_response(302)
    request.send_header("Location", request.path)
    request.send_header("Content-Length", "0")
    request.end_headers()


def hang(request: Request, params: dict[str, str]) -> None:
    """Take the request and never answer."""
    request.server.stopping.wait(60)
    request.close_connection = True


def trickle(request: Request, params: dict[str, str]) -> None:
    """Answer with a byte now and then, for ever."""
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    while not request.server.stopping.wait(0.05):
        request.wfile.write(b"1\r\n \r\n")


def endless(request: Request, params: dict[str, str]) -> None:
    """Answer with more than anybody wants."""
    request.send_response(200)
    request.send_header("Content-Type", "application/json")
    request.end_headers()
    request.close_connection = True
    request.wfile.write(b'{"success": true, "result": {"results": ["')
    while not request.server.stopping.is_set():
        request.wfile.write(b"x" * 65536)


def hang_up(request: Request, params: dict[str, str]) -> None:
    """Break the connection in the middle of the answer."""
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"success": tr')
    request.wfile.flush()
    request.connection.shutdown(socket.SHUT_RDWR)
    request.close_connection = True


def after(pages: int, fails: Answer) -> Answer:
    """Answer some searches well before failing."""

    def answer(request: Request, params: dict[str, str]) -> None:
        if len(request.server.searches()) <= pages:
            request._package_search(params)
        else:
            fails(request, params)

    return answer


def unused_port() -> Iterator[int]:
    """Yield a port of the loopback interface on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # bound, but not listening: nobody else gets it either
        yield probe.getsockname()[1]
