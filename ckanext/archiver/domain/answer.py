"""What asking for a link came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .cause import Cause


@dataclass(frozen=True)
class Answer:
    """The server answered, with whichever status.

    :ivar url: that answered in the end, without user and password
    :ivar status: of HTTP; 304 also stands for a 200 with the ETag that we have already, and 200 for a file by FTP
    :ivar reason: the phrase beside the status, as the server has it
    :ivar headers: names in lower case; of several headers of one name the first; values are printable
    :ivar redirects: of each redirect its status and where it led
    :ivar size: bytes of the whole body, unpacked; None if it was not read to its end
    :ivar sha1: hexadecimal, of the whole body; None if it is not kept
    :ivar sha256: the same
    :ivar head: the first 64 KiB of the body, unpacked
    :ivar path: temporary file with the whole body; None if it is not kept
    :ivar method: ``GET``, ``HEAD`` or, by FTP, ``RETR`` or ``LIST``
    :ivar request_type: ``GET``, or as which service the answer was recognized, such as ``WMS 1.3``
    :ivar retry_after: after how many seconds the server wants to be asked again; None if it does not say
    """

    url: str
    status: int
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    redirects: tuple[tuple[int, str], ...] = ()
    size: int | None = None
    sha1: str | None = None
    sha256: str | None = None
    head: bytes = b""
    path: str | None = None
    method: str = "GET"
    request_type: str = "GET"
    retry_after: float | None = None

    @property
    def mimetype(self) -> str | None:
        """The Content-Type, in lower case and without parameters; None if there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() or None


@dataclass(frozen=True)
class Failure:
    """There is no answer, or none that was taken.

    :ivar message: the reason to be recorded, complete
    :ivar redirects: as those of an answer
    """

    cause: Cause
    message: str
    redirects: tuple[tuple[int, str], ...] = ()
