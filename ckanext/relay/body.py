"""What becomes of a body on its way in: unpacked, hashed, limited and written to a file, a piece at a time."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from typing import IO

#: how much of a body is handed out beside the file
HEAD_BYTES = 64 * 1024
PIECE = 64 * 1024
_GZIP = b"\x1f"


class TooManyBytes(Exception):
    """The body has as many bytes as the limit, or more.

    :ivar size: bytes as far as is known
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes")
        self.size = size


class StorageFailed(Exception):
    """The temporary file could not be written. This is our own trouble, not that of the server."""


class Body:
    """Takes a body piece by piece; a context manager that removes its file if the block fails.

    :ivar size: bytes so far
    :ivar head: the first 64 KiB
    :ivar path: of the file; None if none is written
    """

    def __init__(self, folder: str | None, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._file: IO[bytes] | None = None
        self._sha1 = hashlib.sha1(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self.size = 0
        self.head = b""
        self.path: str | None = None

    def __enter__(self) -> Body:
        if self._folder is not None:
            try:
                descriptor, self.path = tempfile.mkstemp(dir=self._folder)
            except OSError as error:
                raise StorageFailed(f"Cannot write to {self._folder}: {error.strerror}") from error
            # unbuffered: the pieces are large already
            self._file = open(descriptor, "wb", buffering=0)  # noqa: SIM115  # closed below
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._file:
            self._file.close()
        if kind and self.path:
            os.unlink(self.path)

    def take(self, pieces: Iterable[bytes]) -> None:
        """Write, hash and count the pieces; without a file, only as many as the head needs.

        :raises TooManyBytes: the limit is reached
        :raises StorageFailed: the disk is full or broken
        """
        for piece in pieces:
            self.size += len(piece)
            if len(self.head) < HEAD_BYTES:
                self.head += piece[: HEAD_BYTES - len(self.head)]
            if self._file is None:
                if self.size >= HEAD_BYTES:
                    return
                continue
            if self.size >= self._max_bytes:
                raise TooManyBytes(self.size)
            self._sha1.update(piece)
            self._sha256.update(piece)
            self._write(piece)

    def _write(self, piece: bytes) -> None:
        assert self._file
        view = memoryview(piece)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise StorageFailed(f"Cannot write to {self._folder}: {error.strerror}") from error

    def sha1(self) -> str | None:
        """Return the SHA-1 of what is in the file, hexadecimal, or None if there is no file."""
        return self._sha1.hexdigest() if self.path else None

    def sha256(self) -> str | None:
        """Return the SHA-256 of what is in the file, hexadecimal, or None if there is no file."""
        return self._sha256.hexdigest() if self.path else None


def inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack gzip or zlib in pieces of at most 64 KiB, however small what they come from.

    :raises zlib.error: it is neither
    :raises EOFError: it ends too early
    """
    unpacker = zlib.decompressobj(wbits=47)  # either of them
    begun = False
    for packed in pieces:
        while packed:
            if unpacker.eof:
                if not packed.startswith(_GZIP):
                    break  # padding
                unpacker = zlib.decompressobj(wbits=47)  # the next member of a gzip file
            begun = True
            if piece := unpacker.decompress(packed, PIECE):
                yield piece
            packed = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    while piece := unpacker.decompress(b"", PIECE):
        yield piece
    if begun and not unpacker.eof:
        raise EOFError("The compressed body ends too early")
