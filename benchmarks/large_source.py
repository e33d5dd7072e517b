"""A CKAN with as many datasets as its URL says, of which it makes each page when it is asked for it.

``http://127.0.0.1:PORT/100000/api/3/action/package_search?rows=100&start=500`` answers as a CKAN with 100,000 datasets.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from . import data

#: So many datasets are different; the others repeat them under ids, names and titles of their own.
_KINDS = 200
_MODIFIED = "2026-01-01T00:00:00.000000"


def _records() -> list[str]:
    kinds = []
    for dataset in data.generated(_KINDS):
        dataset |= {
            "id": "@ID@",
            "name": "@ID@",
            "title": f"{dataset['title']} @ID@",
            "type": "dataset",
            "state": "active",
        }
        dataset |= {"metadata_modified": _MODIFIED, "metadata_created": _MODIFIED, "private": False}
        for position, resource in enumerate(dataset["resources"]):
            resource["id"] = f"@ID@-{position}"
        kinds.append(json.dumps(dataset))
    return kinds


RECORDS = _records()


def record(count: int, number: int) -> str:
    return RECORDS[number % _KINDS].replace("@ID@", f"bench-{count}-{number:08}")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = parse_qs(url.query)
        count, start = int(url.path.split("/")[1]), int(asked.get("start", ["0"])[0])
        rows = min(int(asked.get("rows", ["10"])[0]), 1000)
        results = ",".join(record(count, number) for number in range(start, min(start + rows, count)))
        body = f'{{"success": true, "result": {{"count": {count}, "results": [{results}]}}}}'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_port, flush=True)
        sys.stdin.close()
        server.serve_forever()
