"""The table of ``docs/archiver-verdicts.rst``, for the tests that hold it against the code."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).resolve().parents[3] / "docs" / "archiver-verdicts.rst"


class Row(NamedTuple):
    """What is said of one kind of event; the cause is empty if all is well."""

    what: str
    status: int
    reason: str
    cause: str
    broken: str

    def says(self, reason: str) -> bool:
        """Return whether a reason is the one of this row; ``…`` stands for anything."""
        pattern = "(?s:.*)".join(map(re.escape, self.reason.split("…")))
        return not self.reason or re.fullmatch(pattern, reason) is not None


@cache
def rows() -> tuple[Row, ...]:
    """Return the rows of the table of verdicts."""
    table = PAGE.read_text(encoding="utf-8").partition("     - Broken\n")[2].partition("\n\n")[0]
    found = []
    for text in re.split(r"^   \* - ", table, flags=re.MULTILINE)[1:]:
        what, status, *rest = [" ".join(cell.split()) for cell in re.split(r"^     -", text, flags=re.MULTILINE)]
        reason, cause, broken = (cell.strip("`") for cell in rest)
        found.append(Row(what, int(status), reason, cause, broken))
    return tuple(found)


def row(cause: str) -> Row:
    """Return the row of a cause; statuses of HTTP that have none of their own share that of 404."""
    known = {each.cause: each for each in rows()}
    shared = {"http_401": "http_403", "http_402": "http_403", "http_407": "http_403", "http_408": "http_429"}
    shared |= {"http_425": "http_429", "http_451": "http_429"}
    if cause not in known and re.fullmatch(r"http_\d{3}", cause):
        own = known[shared.get(cause, "http_404")]
        return own._replace(cause=cause, reason=own.reason.replace(own.cause[5:], cause[5:]))
    return known[cause]
