"""The badge of a link is the confirmed verdict."""

from __future__ import annotations

from typing import Any

import pytest

from ckanext.archiver.domain.badge import Badge, badge


@pytest.mark.parametrize(
    ("archival", "expected"),
    [
        ({"verdict": "ok", "is_broken": False}, Badge("not-broken")),
        ({"verdict": "broken", "is_broken": True, "suspect_since": "2026-01-01"}, Badge("broken")),
        ({"verdict": "unsure", "is_broken": None}, Badge("not-sure")),
        # failed for the first time: it was fine, and nobody knows better yet
        ({"verdict": "ok", "is_broken": True, "suspect_since": "2026-01-01"}, Badge("not-broken", suspect=True)),
        ({"verdict": None, "is_broken": True, "suspect_since": "2026-01-01"}, Badge("not-sure", suspect=True)),
        ({"verdict": "unsure", "is_broken": None, "suspect_since": "2026-01-01"}, Badge("not-sure", suspect=True)),
        # taken over from ckanext-archiver, which takes one failure for broken
        ({"verdict": None, "is_broken": True, "suspect_since": None}, Badge("not-sure", suspect=True)),
        ({"verdict": None, "is_broken": None, "suspect_since": None}, Badge("not-sure")),
        ({"verdict": None, "is_broken": False, "suspect_since": None}, Badge("not-broken")),
        # indexed by ckanext-archiver, which knows no verdict
        ({"is_broken": True}, Badge("broken")),
        ({"is_broken": False}, Badge("not-broken")),
        ({"is_broken": None}, Badge("not-sure")),
        ({}, Badge("not-sure")),
    ],
)
def test_what_is_shown(archival: dict[str, Any], expected: Badge) -> None:
    """A link is shown as broken only if that is confirmed."""
    assert badge(archival) == expected
