"""Files by FTP, through the same door: guarded connections, limits and deadlines."""

from __future__ import annotations

import contextlib
import ftplib
import io
import socket
from collections.abc import Generator
from urllib.parse import unquote, urlsplit

from .body import HEAD_BYTES, PIECE, Body
from .connections import connected
from .download_outcome import TROUBLE, Download, DownloadFailed, failed, shown_url
from .headers import printable
from .transport import Exchange, MeteredReader, unpacked

#: replies that say that there is no such file; the others say that we may not, or not now
_MISSING = frozenset({550, 553})


class _Client(ftplib.FTP):
    """An FTP client whose connections are guarded and end at the deadline.

    Data comes from the address of the control connection, whatever the server names.
    """

    trust_server_pasv_ipv4_address = False

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(encoding="latin-1")  # bytes as they are
        self.exchange = exchange

    def open(self, host: str, port: int) -> None:
        """Connect, and read the greeting."""
        self.host = host
        self.sock = connected(host, port, self.exchange)
        self.af = self.sock.family
        self.file = io.TextIOWrapper(self._reader(self.sock), encoding=self.encoding, errors="replace")
        self.welcome = self.getresp()

    def _reader(self, sock: socket.socket) -> io.BufferedReader:
        source = sock.makefile("rb", buffering=0)
        return io.BufferedReader(MeteredReader(source, sock, self.exchange, self.exchange.limits.read), PIECE)

    def putline(self, line: str) -> None:
        assert self.sock
        self.sock.settimeout(min(self.exchange.limits.read, self.exchange.remaining()))
        super().putline(line)

    def pieces(self, command: str) -> Generator[bytes, None, None]:
        """Yield what a command sends over the data connection."""
        host, port = self.makepasv()
        with contextlib.closing(connected(host, port, self.exchange)) as data:
            reply = self.sendcmd(command)
            if not reply.startswith("1"):
                raise ftplib.error_reply(reply)
            with self._reader(data) as reader:
                while piece := reader.read(PIECE):
                    yield piece
        self.voidresp()


def retrieve(url: str, folder: str | None, exchange: Exchange) -> Download:
    """Fetch a file, or the listing of a directory.

    :param url: of the scheme ``ftp``; user and password in it are sent, else it is asked for anonymously
    :param folder: where to write it; None: only its first 64 KiB are read
    :raises DownloadFailed: it cannot be had
    :raises StorageFailed: the file cannot be written
    """
    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/") + (f"?{parts.query}" if parts.query else ""), "latin-1")
    shown = shown_url(url)
    client = _Client(exchange)
    try:
        with unpacked(None):
            client.open(parts.hostname or "", parts.port or ftplib.FTP_PORT)
            client.login(unquote(parts.username or "", "latin-1"), unquote(parts.password or "", "latin-1"))
            client.voidcmd("TYPE I")
            return _retrieved(client, shown, path, folder)
    except ftplib.Error as error:
        raise _refused(shown, str(error)) from None
    except TROUBLE as error:
        raise failed(shown, error, exchange.limits, client.sock is not None) from None
    except ValueError:  # a line break in the path
        raise DownloadFailed(shown, "ftp_missing", "There can be no file of this name") from None
    finally:
        client.close()


def _retrieved(client: _Client, url: str, path: str, folder: str | None) -> Download:
    limit = client.exchange.limits.body_bytes
    size = _size(client, path)
    method = "LIST" if size is None and _is_directory(client, path) else "RETR"
    if folder is not None and size is not None and size >= limit:
        raise DownloadFailed(url, "too_large", f"{size} bytes are announced", size=size)
    pieces = client.pieces("LIST" if method == "LIST" else f"RETR {path}")
    with Body(folder, limit) as body, contextlib.closing(pieces):
        body.take(pieces)
        complete = folder is not None or body.size < HEAD_BYTES
        if complete and size is not None and body.size < size:
            raise EOFError
        return Download(
            url=url,
            status=200,
            reason="OK",
            headers={"content-type": "text/plain"} if method == "LIST" else {},
            size=body.size if complete else None,
            sha1=body.sha1(),
            sha256=body.sha256(),
            head=body.head,
            path=body.path,
            method=method,
        )


def _size(client: _Client, path: str) -> int | None:
    try:
        return client.size(path)
    except (ftplib.error_perm, ftplib.error_reply):
        return None  # an old server, a directory, or nothing; what follows will tell


def _is_directory(client: _Client, path: str) -> bool:
    try:
        client.cwd(path or ".")
    except ftplib.error_perm:
        return False
    return True


def _refused(url: str, reply: str) -> DownloadFailed:
    code = int(reply[:3]) if reply[:3].isascii() and reply[:3].isdigit() else None
    message = printable(" ".join(reply.split()))[:200]
    return DownloadFailed(url, "ftp_missing" if code in _MISSING else "ftp_refused", message, status=code)
