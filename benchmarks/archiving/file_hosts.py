"""Hosts with files: many loopback addresses, one port, one process; each answer takes a latency.

``python -m benchmarks.archiving.file_hosts`` reads ``{"addresses", "latency"}`` as JSON from standard input and prints
its port. A path says what is there:

===================  ==============================================================================================
``/ok/N.csv``        a small table, with ETag and Last-Modified; 304 when it is asked for with its ETag
``/gone/N.csv``      404
``/hang/N.csv``      nothing, until the client goes away
``/slow/N.csv``      as ``/ok``, after seconds
``/big/BYTES-N.zip`` so many zero bytes
``/statistics``      what was asked for since the last time this was asked; takes no latency
===================  ==============================================================================================
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"
SLOW_SECONDS = 5.0
ROWS = 80  # of a small table: about 2 KB
_BLOCK = bytes(1 << 20)


class Hosts:
    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.forget()

    def forget(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.bodies = self.connections = 0
        self.first = self.last = 0.0

    def told(self) -> dict[str, Any]:
        return {
            "statuses": self.statuses,
            "bodies": self.bodies,
            "connections": self.connections,
            "first": self.first,
            "last": self.last,
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # The client went away, as it may.
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether another one may follow."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.split(" ", 2)
        _, kind, *rest = path.partition("?")[0].split("/")
        name = rest[0] if rest else ""
        if kind == "statistics":
            self.connections -= 1
            _send(writer, 200, json.dumps(self.told()).encode())
            self.forget()
            return False
        self.last = time.time()
        self.first = self.first or self.last
        if kind == "hang":
            self.statuses["hang"] += 1
            await reader.read()
            return False
        await asyncio.sleep(SLOW_SECONDS if kind == "slow" else self.latency)
        if kind not in ("ok", "slow", "big"):
            self._count(404, _send(writer, 404, b"There is no such file.\n"))
        elif f'"{name}"' in head:  # If-None-Match
            self._count(304, _send(writer, 304, b"", ETag=f'"{name}"'))
        elif kind == "big":
            await self._send_big(writer, name)
        else:
            body = _table(name) if method == "GET" else b""
            self._count(200, _send(writer, 200, body, ETag=f'"{name}"', Last_Modified=MODIFIED))
        await writer.drain()
        return "connection: close" not in head.lower()

    async def _send_big(self, writer: asyncio.StreamWriter, name: str) -> None:
        size = int(name.split("-")[0])
        _send(writer, 200, b"", size, Content_Type="application/zip", ETag=f'"{name}"', Last_Modified=MODIFIED)
        self._count(200, 0)
        for start in range(0, size, len(_BLOCK)):
            block = _BLOCK[: size - start]
            writer.write(block)
            await writer.drain()
            self.bodies += len(block)

    def _count(self, status: int, sent: int) -> None:
        self.statuses[str(status)] += 1
        self.bodies += sent


def _send(writer: asyncio.StreamWriter, status: int, body: bytes, size: int | None = None, **headers: str) -> int:
    """Send an answer, or the head of one with a body of ``size``; how long the body is that was sent."""
    reason = {200: "OK", 304: "Not Modified", 404: "Not Found"}[status]
    given = {"Content_Type": "text/csv", "Content_Length": str(len(body) if size is None else size), **headers}
    if status == 304:
        del given["Content_Length"]
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name.replace('_', '-')}: {value}" for name, value in given.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    return len(body)


def _table(name: str) -> bytes:
    """A table that is another one for each name, and always the same for one."""
    return b"station;date;value\n" + b"".join(
        f"{name};2026-01-01;{row * 37 % 101}\n".encode() * 2 for row in range(ROWS)
    )


async def main() -> None:
    asked = json.loads(sys.stdin.readline())
    hosts = Hosts(asked["latency"])
    first, *others = asked["addresses"]
    servers = [await asyncio.start_server(hosts.serve, first, 0, backlog=1000)]
    port = servers[0].sockets[0].getsockname()[1]
    servers += [await asyncio.start_server(hosts.serve, each, port, backlog=100) for each in others]
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until whoever started it has ended


if __name__ == "__main__":
    asyncio.run(main())
