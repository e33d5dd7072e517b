"""Keys of stored data, which other programs read."""

from __future__ import annotations

from collections import OrderedDict

import pytest

from ckanext.report.domain.options import extract_entity_name, key_of

ORDER = OrderedDict(organization=None, include_sub_organizations=False, number=1)


def test_a_key() -> None:
    """Options in their order: texts as they are, booleans as 1 and 0, the rest as Python writes it."""
    options = {"number": 3, "include_sub_organizations": True, "organization": "parks", "other": "is not part of it"}
    assert key_of("broken-links", options, ORDER) == (
        "broken-links?organization=parks&include_sub_organizations=1&number=3"
    )
    assert key_of("broken-links", dict(ORDER), ORDER) == (
        "broken-links?organization=None&include_sub_organizations=0&number=1"
    )
    assert key_of("plain", {}, {}) == "plain"


def test_an_option_that_is_missing() -> None:
    """A key without it would be another key."""
    with pytest.raises(KeyError):
        key_of("broken-links", {"number": 1}, ORDER)


def test_what_a_report_is_about() -> None:
    """The first option that names something; it may name nothing."""
    assert extract_entity_name({"package": "trees", "publisher": "parks"}) == "parks"
    assert extract_entity_name({"organization": None, "group": "city"}) is None
    assert extract_entity_name({"year": "2020"}) is None
