"""The configuration of a CKAN source."""

from __future__ import annotations

import json
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
        {"default_extras": {"link": "{harvest_source_url}/dataset/{dataset_id}"}},
        {"force_all": True, "clean_tags": False, "read_only": True},
        {"remote_groups": "create", "remote_orgs": "only_local"},
        {"organizations_filter_include": ["a"], "groups_filter_exclude": ["b"]},
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
        ('{"remote_groups": "all"}', "remote_groups must be one of only_local, create"),
        ('{"remote_orgs": true}', "remote_orgs must be one of only_local, create"),
        ('{"groups_filter_include": "a"}', "groups_filter_include must be a list of names"),
        ('{"organizations_filter_exclude": [1]}', "organizations_filter_exclude must be a list of names"),
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


@pytest.mark.parametrize("value", ["{nothing}", "{dataset_id.__class__}", "{}", "{dataset_id"])
def test_a_default_extra_that_cannot_be_filled_in(value: str) -> None:
    """The form says so, instead of every record later; and a template reaches into nothing."""
    with pytest.raises(ValueError, match="default_extras: link"):
        source_config.parse(json.dumps({"default_extras": {"link": value}}))
