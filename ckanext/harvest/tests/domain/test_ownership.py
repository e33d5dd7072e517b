"""Which datasets a source may change."""

from __future__ import annotations

from typing import Any

import pytest

from ckanext.harvest.domain import ownership
from ckanext.harvest.domain.ownership import Claim


def claim(source_id: str, active: bool = True, current: bool = True) -> Claim:
    return Claim(source_id, f"Source {source_id}", active, current)


CASES: list[tuple[str, list[Claim], dict[str, bool], str | None]] = [
    ("its own", [claim("me")], {}, None),
    ("its own, and was another's", [claim("me"), claim("other", current=False)], {}, None),
    ("it was its own, and was deleted", [claim("me", current=False)], {}, None),
    ("an active source has it", [claim("other")], {}, "Source other"),
    ("an active source has it, and it was its own", [claim("me", current=False), claim("other")], {}, "Source other"),
    ("an active source has it, even if it may adopt", [claim("other")], {"may_adopt": True}, "Source other"),
    ("a source that is inactive now had it", [claim("old", active=False)], {}, None),
    ("two had it, one is active", [claim("old", active=False), claim("other")], {}, "Source other"),
    ("another source had it and gave it up", [claim("other", current=False)], {}, None),
    ("nobody harvested it", [], {}, "adopt_existing"),
    ("nobody knows any more who harvested it", [], {"is_orphan": True}, None),
    ("nobody harvested it, and it may adopt", [], {"may_adopt": True}, None),
]


@pytest.mark.parametrize(("claims", "facts", "says"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_who_may_change_a_dataset(claims: list[Claim], facts: dict[str, Any], says: str | None) -> None:
    """Neither what people of this portal made nor what an active source has is changed; a refusal says what to do."""
    refusal = ownership.refusal(claims, "me", **({"is_orphan": False, "may_adopt": False} | facts))
    if says is None:
        assert refusal is None
    else:
        assert says in str(refusal)
