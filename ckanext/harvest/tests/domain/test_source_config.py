"""The configuration of a CKAN source."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ckanext.harvest.domain import source_config

TERMS = [
    ({}, []),
    ({"organizations_filter_include": []}, []),
    ({"organizations_filter_include": None}, []),
    ({"organizations_filter_include": ["city"]}, ["organization:city"]),
    (
        {"organizations_filter_include": ["city", "county"]},
        ["(organization:city OR organization:county)"],
    ),
    ({"organizations_filter_exclude": ["city", "county"]}, ["-organization:city", "-organization:county"]),
    ({"groups_filter_include": ["air"]}, ["groups:air"]),
    ({"groups_filter_exclude": ["air"]}, ["-groups:air"]),
    (
        {"groups_filter_include": ["air", "water"], "organizations_filter_exclude": ["city"]},
        ["-organization:city", "(groups:air OR groups:water)"],
    ),
    ({"groups_filter_include": ["air", "air"]}, ["groups:air"]),
    ({"groups_filter_include": "air", "groups_filter_exclude": ["", 7]}, ["groups:air", "-groups:7"]),
    ({"organizations_filter_include": ["7d3f3f0e-0d7a-4d3b"]}, ["organization:7d3f3f0e-0d7a-4d3b"]),
    ({"organizations_filter_include": ["a OR b"]}, ['organization:"a OR b"']),
    ({"organizations_filter_include": ["*"]}, ['organization:"*"']),
    ({"organizations_filter_include": ["OR"]}, ['organization:"OR"']),
    ({"groups_filter_include": ["-air", "straße"]}, ['(groups:"-air" OR groups:"straße")']),
    (
        {"groups_filter_exclude": ['x" OR groups:"y', "back\\slash"]},
        ['-groups:"x\\" OR groups:\\"y"', '-groups:"back\\\\slash"'],
    ),
]


@pytest.mark.parametrize(("config", "terms"), TERMS)
def test_search_filters(config: dict[str, Any], terms: list[str]) -> None:
    """One value stands alone, as other portals' tests expect it; several are alternatives in parentheses."""
    assert source_config.search_filters(config) == terms


@pytest.mark.parametrize("text", [None, "", "  ", "\n", "{}"])
def test_an_empty_configuration(text: str | None) -> None:
    """Nothing said is nothing wrong."""
    assert source_config.parse(text) == {}


@pytest.mark.parametrize(
    "config",
    [
        {"api_version": 2},
        {"api_version": "3"},
        {"default_tags": [{"name": "a"}]},
        {"default_groups": ["a", "b"]},
        {"default_extras": {"a": 1}, "override_extras": False},
        {"default_extras": {"link": "{harvest_source_url}/dataset/{dataset_id}", "set": "{{{dataset_id}}}"}},
        {"force_all": True, "clean_tags": False, "read_only": True},
        {"remote_groups": "create", "remote_orgs": "only_local"},
        {"organizations_filter_include": ["a"], "groups_filter_exclude": ["b"]},
        {"delete_missing": True, "delete_limit": 0, "adopt_existing": False},
        {"delete_limit": 12.5, "overlap_hours": 48},
        {"api_key": "env:CITY", "user_agent": "Our portal", "user": "harvest"},
        {"api_key": None, "user_agent": None, "user": None},
        {"something": "of another harvester"},
    ],
)
def test_good_configurations(config: dict[str, Any]) -> None:
    """What may be in it, and what somebody else reads."""
    assert source_config.parse(json.dumps(config)) == config


BOTH = "Harvest configuration cannot contain both {0}_filter_include and {0}_filter_exclude"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{force_all: true}", "it is not JSON: "),
        ('["a"]', "it must be a JSON object"),
        ("7", "it must be a JSON object"),
        ('{"api_version": "two"}', "api_version must be an integer"),
        ('{"api_version": null}', "api_version must be an integer"),
        ('{"default_tags": {"name": "a"}}', "default_tags must be a list"),
        ('{"default_tags": ["a"]}', "default_tags must be a list of dictionaries"),
        ('{"default_groups": "a"}', "default_groups must be a *list* of group names/ids"),
        ('{"default_groups": [{"name": "a"}]}', "default_groups must be a list of group names/ids (i.e. strings)"),
        ('{"default_extras": ["a"]}', "default_extras must be a dictionary"),
        ('{"force_all": "yes"}', "force_all must be boolean"),
        ('{"override_extras": 1}', "override_extras must be boolean"),
        ('{"clean_tags": "true"}', "clean_tags must be boolean"),
        ('{"read_only": "true"}', "read_only must be boolean"),
        ('{"delete_missing": "yes"}', "delete_missing must be boolean"),
        ('{"adopt_existing": 1}', "adopt_existing must be boolean"),
        ('{"delete_limit": 101}', "delete_limit must be a number from 0 to 100"),
        ('{"delete_limit": -1}', "delete_limit must be a number from 0 to 100"),
        ('{"delete_limit": true}', "delete_limit must be a number from 0 to 100"),
        ('{"delete_limit": "20"}', "delete_limit must be a number from 0 to 100"),
        ('{"overlap_hours": null}', "overlap_hours must be a number from 0 to 8784"),
        ('{"api_key": 7}', "api_key must be text"),
        ('{"user_agent": ["a"]}', "user_agent must be text"),
        ('{"user": 7}', "User not found"),
        ('{"remote_groups": "all"}', "remote_groups must be one of only_local, create"),
        ('{"remote_orgs": true}', "remote_orgs must be one of only_local, create"),
        ('{"groups_filter_include": "a"}', "groups_filter_include must be a list of names"),
        ('{"organizations_filter_exclude": [1]}', "organizations_filter_exclude must be a list of names"),
        ('{"groups_filter_exclude": ["a", " "]}', "groups_filter_exclude must be a list of names"),
        (
            '{"organizations_filter_include": ["a"], "organizations_filter_exclude": ["b"]}',
            BOTH.format("organizations"),
        ),
        ('{"groups_filter_include": ["a"], "groups_filter_exclude": ["b"]}', BOTH.format("groups")),
    ],
)
def test_bad_configurations(text: str, message: str) -> None:
    """Each mistake has its message."""
    with pytest.raises(ValueError) as caught:
        source_config.parse(text)
    assert str(caught.value).startswith(message)
    if not message.endswith((": ", "object")):
        assert str(caught.value) == message


@pytest.mark.parametrize(
    "value",
    [
        "{nothing}",
        "{dataset_id.__class__}",
        "{}",
        "{dataset_id",
        "{dataset_id:>30}",
        "{dataset_id!r}",
        "{dataset_id:{dataset_id}}",
    ],
)
def test_a_default_extra_that_cannot_be_filled_in(value: str) -> None:
    """The form says so, instead of every record later. A template reaches into nothing, and takes no format, which
    could fill up a value to gigabytes."""
    with pytest.raises(ValueError, match="default_extras: link"):
        source_config.parse(json.dumps({"default_extras": {"link": value}}))


@pytest.mark.parametrize(
    ("config", "limit", "overlap"),
    [
        ({}, 20, 1),
        ({"delete_limit": 0, "overlap_hours": 0}, 0, 0),
        ({"delete_limit": 100, "overlap_hours": 72.5}, 100, 72.5),
        ({"delete_limit": "all", "overlap_hours": -1}, 20, 1),
        ({"delete_limit": 1000, "overlap_hours": None}, 20, 1),
    ],
)
def test_numbers(config: dict[str, Any], limit: float, overlap: float) -> None:
    """What makes no sense, in a configuration that no form has checked, does not widen what may be deleted."""
    assert source_config.number(config, "delete_limit") == limit
    assert source_config.number(config, "overlap_hours") == overlap


DOCS = Path(__file__).parents[4] / "docs" / "ckan-harvester.rst"


@pytest.mark.skipif(not DOCS.is_file(), reason="the documentation is in the checkout only")
def test_each_key_is_documented() -> None:
    """Who reads the page of the harvester knows every key that has a meaning, and reads of no other."""
    documented = re.findall(r"^   \* - ``(\w+)``", DOCS.read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(source_config.KEYS)
