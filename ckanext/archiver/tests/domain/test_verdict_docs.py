"""The table of verdicts in the documentation says what the code does."""

from __future__ import annotations

import pytest

from ckanext.archiver.domain import status
from ckanext.archiver.domain.cause import Cause, Weight, http, weight
from ckanext.archiver.domain.verdict import status_id
from ckanext.archiver.tests.verdict_table import Row, row, rows

WEIGHTS = {"at once": Weight.IMMEDIATE, "after several tries": Weight.CONFIRM, "never": Weight.NEVER}
BAD = [each for each in rows() if each.cause]


def test_all_causes_are_there() -> None:
    """Each once; those of HTTP statuses as examples."""
    named = [each.cause for each in BAD]
    assert sorted(set(named)) == sorted(named)
    assert {cause for cause in Cause if not cause.startswith("http_")} <= set(named)


def test_what_is_fine() -> None:
    """Two rows without a cause."""
    assert [each.status for each in rows() if not each.cause] == [status.ARCHIVED, status.NOT_CHANGED]


@pytest.mark.parametrize("said", BAD, ids=[each.cause for each in BAD])
def test_status_and_weight(said: Row) -> None:
    """As the functions say them, and never "not sure" and broken."""
    cause = Cause(said.cause)
    assert status_id(cause) == said.status
    assert weight(cause) is WEIGHTS[said.broken]
    assert status.is_broken(said.status) or weight(cause) is Weight.NEVER


@pytest.mark.parametrize("code", range(400, 600))
def test_statuses_of_http(code: int) -> None:
    """Each belongs to one of the rows."""
    said = row(f"http_{code}")
    assert (status_id(http(code)), weight(http(code))) == (said.status, WEIGHTS[said.broken])
    assert said.says(f"Server reported status error: {code} Whatever")
