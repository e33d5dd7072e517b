"""What a source may hold, and what is said when it may not."""

from __future__ import annotations

import json
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan import model
from ckan.tests import factories

from ckanext.harvest.harvesters import HarvesterBase
from ckanext.harvest.logic.validators import _normalize_url
from ckanext.harvest.model import HarvestSource
from ckanext.harvest.tests.harvesting import act, make_source
from ckanext.harvest.tests.logic.people import KINDS, People
from ckanext.relay.errors import MASK


class FieldsHarvester(HarvesterBase):
    """A harvester with fields of its own in the form, and one that is hard to please."""

    def info(self) -> dict[str, Any]:
        return {"name": "fields", "title": "Fields", "description": "Has fields of its own"}

    def extra_schema(self) -> dict[str, Any]:
        validator = tk.get_validator
        return {
            "collection": [validator("not_empty"), validator("unicode_safe")],
            "depth": [validator("ignore_missing"), validator("natural_number_validator")],
        }

    def validate_config(self, config: str | None) -> str | None:
        if config and "forbidden" in config:
            raise KeyError("forbidden")
        return None


PLUGINS = {"fields_harvester": FieldsHarvester}
pytestmark = pytest.mark.usefixtures("portal")


def mistakes(**fields: Any) -> dict[str, Any]:
    """Return the errors of a source that cannot be created."""
    given = {"name": "a-source", "url": "http://city.example", "source_type": "ckan"} | fields
    with pytest.raises(tk.ValidationError) as caught:
        act("harvest_source_create", **{key: value for key, value in given.items() if value is not None})
    assert HarvestSource.filter(url=str(given["url"])).count() == 0 or "already" in str(caught.value)
    return dict(caught.value.error_dict)


REGISTERED = "Registered types: ['ckan', 'fields']"


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"url": None}, "url", "Missing value"),
        ({"url": ""}, "url", "Missing value"),
        ({"name": None}, "name", "Missing value"),
        ({"name": "No Name"}, "name", "Must be purely lowercase alphanumeric (ascii) characters and these symbols: -_"),
        ({"source_type": None}, "source_type", "Missing value"),
        ({"source_type": "oai"}, "source_type", f"Unknown harvester type: oai. {REGISTERED}"),
        ({"frequency": "HOURLY"}, "frequency", "Frequency HOURLY not recognised"),
        ({"frequency": "hourly"}, "frequency", "Frequency HOURLY not recognised"),
        ({"config": "{force_all"}, "config", "Error parsing the configuration options: it is not JSON: "),
        ({"config": '["a"]'}, "config", "Error parsing the configuration options: it must be a JSON object"),
        (
            {"config": '{"api_version": "x"}'},
            "config",
            "Error parsing the configuration options: api_version must be an integer",
        ),
        (
            {"config": '{"default_groups": ["none"]}'},
            "config",
            "Error parsing the configuration options: Default group not found",
        ),
        ({"config": '{"user": "nobody"}'}, "config", "Error parsing the configuration options: User not found"),
        (
            {"source_type": "fields", "collection": "a", "config": '{"forbidden": 1}'},
            "config",
            "Error parsing the configuration options: 'forbidden'",
        ),
        ({"source_type": "fields"}, "collection", "Missing value"),
        (
            {"source_type": "fields", "collection": "a", "config": '["forbidden"]'},
            "config",
            "Error parsing the configuration options: 'forbidden'",
        ),
        ({"source_type": "fields", "collection": "a", "depth": "-1"}, "depth", "Must be a natural number"),
    ],
)
def test_mistakes(fields: dict[str, Any], field: str, message: str) -> None:
    """Each mistake has its message, on its field."""
    errors = mistakes(**fields)
    assert list(errors) == [field]
    assert errors[field][0].startswith(message)


def test_a_name_that_is_taken() -> None:
    """The name of a source is one that no other dataset has."""
    factories.Dataset(name="a-source")
    assert mistakes() == {"name": ["That URL is already in use."]}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("http://city.example", "http://city.example/", True),
        ("http://city.example/a", "http://CITY.example:80/a/", True),
        ("https://city.example:443/a", "https://city.example/a?page=1#top", True),
        ("basic_test", "basic_test", True),
        ("http://city.example/a", "https://city.example/a", False),
        ("http://city.example:8080/a", "http://city.example/a", False),
        ("http://city.example/a", "http://city.example/A", False),
        ("basic_test", "basic_test_2", False),
    ],
)
def test_normalized_urls(first: str, second: str, same: bool) -> None:
    """Scheme, host without the scheme's own port, and path without a last slash."""
    assert (_normalize_url(first) == _normalize_url(second)) is same


def test_a_url_that_another_source_has() -> None:
    """One URL twice needs two configurations; a deleted source is not in the way, nor is a source in its own."""
    first = make_source("ckan", url="http://city.example/data", config='{"force_all": true}', title="First")
    text = "There already is a Harvest Source for this URL (& config): url=http://city.example/data title=First"
    again = {"url": "http://CITY.example:80/data/?x=1", "config": '{"force_all": true}'}
    assert mistakes(**again) == {"url": [text]}
    act("harvest_source_create", name="other-config", source_type="ckan", **again | {"config": '{"force_all": false}'})
    act("harvest_source_patch", id=first["id"], title="Still the first")
    act("harvest_source_delete", id=first["id"])
    act("harvest_source_create", name="the-next", source_type="ckan", **again)


@pytest.mark.parametrize("config", ["", "{}", None])
def test_no_configuration_is_no_configuration(config: str | None) -> None:
    """The same URL without a configuration is refused, however its absence is written."""
    make_source("ckan", url="http://city.example/data")
    given = {"url": "http://city.example/data"} | ({} if config is None else {"config": config})
    if config == "{}":
        act("harvest_source_create", name="a-source", source_type="ckan", **given)  # another text
    else:
        assert list(mistakes(**given)) == ["url"]


@pytest.mark.parametrize("url", ["basic_test", "  http://city.example/data  ", "file:///srv/data", "http://[broken"])
def test_any_text_is_a_url(url: str) -> None:
    """Harvesters read their sources from wherever they like; only blanks around it are taken off."""
    source = make_source("ckan", url=url)
    assert source["url"] == HarvestSource.get(source["id"]).url == url.strip()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, "MANUAL"),
        ({"frequency": ""}, "MANUAL"),
        *(
            ({"frequency": each}, each.upper())
            for each in ("MANUAL", "monthly", "Weekly", "BIWEEKLY", "daily", "ALWAYS")
        ),
    ],
)
def test_frequencies(given: dict[str, str], kept: str) -> None:
    """A frequency in any case, and none is MANUAL."""
    source = make_source("ckan", **given)
    assert HarvestSource.get(source["id"]).frequency == kept
    assert act("harvest_source_show", id=source["id"]).get("frequency", "MANUAL") == kept


def test_the_fields_of_a_harvester_go_into_the_configuration() -> None:
    """What ``extra_schema`` names is validated, merged into the JSON, and shown at the top."""
    source = make_source("fields", collection="rivers", depth="3", config='{"other": 1}')
    assert json.loads(source["config"]) == {"other": 1, "collection": "rivers", "depth": 3}
    shown = act("harvest_source_show", id=source["id"])
    assert (shown["collection"], shown["depth"]) == ("rivers", 3)
    updated = act("harvest_source_patch", id=source["id"], collection="lakes")
    assert json.loads(updated["config"])["collection"] == "lakes"


def test_a_field_that_no_harvester_knows() -> None:
    """Other fields at the top are not kept."""
    source = make_source("ckan", collection="rivers")
    assert "collection" not in act("harvest_source_show", id=source["id"])


def test_the_type_cannot_be_chosen() -> None:
    """A source is a dataset of type harvest, whatever is asked for."""
    assert make_source("ckan", type="dataset")["type"] == "harvest"


def test_default_groups_are_looked_up() -> None:
    """The groups that a configuration names are found when it is saved, and stored with id and name."""
    group = factories.Group()
    source = make_source("ckan", config=json.dumps({"default_groups": [group["name"]]}))
    assert json.loads(source["config"])["default_group_dicts"] == [{"id": group["id"], "name": group["name"]}]


# -- secrets

CONFIG = {"api_key": "hidden-key", "user_agent": "Us", "nested": {"password": "hidden-pass"}, "token": "env:CITY"}
SECRETS = ("hidden-key", "hidden-pass")


def test_secrets_are_for_those_who_may_edit() -> None:
    """Everybody else sees a mask, wherever the source is shown; a reference is no secret."""
    people = People(config=json.dumps(CONFIG))
    source_id = people.source["id"]
    for kind in KINDS:
        name = people.names[kind]
        calls = [
            people.call(kind, "harvest_source_show", id=source_id),
            people.call(kind, "package_show", id=source_id),
            people.call(kind, "harvest_source_list")[0],
            people.call(kind, "package_search", fq="dataset_type:harvest")["results"][0],
        ]
        for number, shown in enumerate(calls):
            text = json.dumps(shown)
            sees = [secret in text for secret in SECRETS]
            if kind in ("editor", "admin", "sysadmin"):
                # what a search shows comes from the index, in which there is no secret
                assert all(sees) or number == 3, (name, number)
            else:
                assert not any(sees) and MASK in text and "env:CITY" in text, (kind, number)


def test_no_secret_in_the_search_index() -> None:
    """Whoever reads Solr finds no secret of a source."""
    import requests

    make_source("ckan", config=json.dumps(CONFIG))
    # other tests have portals of their own in this core
    query = {"q": "dataset_type:harvest", "fq": f"site_id:{tk.config['ckan.site_id']}", "fl": "*"}
    found = requests.get(f"{tk.config['solr_url']}/select", params=query, timeout=10)
    assert found.json()["response"]["numFound"] == 1
    assert not [secret for secret in SECRETS if secret in found.text]


def test_a_secret_that_comes_back_masked_keeps_its_value() -> None:
    """Who edits what was shown to them does not overwrite a secret by its mask, and can change it."""
    people = People(config=json.dumps(CONFIG))
    source_id = people.source["id"]
    shown = json.loads(people.call("member", "harvest_source_show", id=source_id)["config"])
    assert shown["api_key"] == shown["nested"]["password"] == MASK
    people.call("editor", "harvest_source_patch", id=source_id, config=json.dumps(shown | {"user_agent": "Them"}))
    assert json.loads(HarvestSource.get(source_id).config) == CONFIG | {"user_agent": "Them"}
    people.call("editor", "harvest_source_patch", id=source_id, config=json.dumps(shown | {"api_key": "new-key"}))
    model.Session.expire_all()
    assert json.loads(HarvestSource.get(source_id).config) == CONFIG | {"api_key": "new-key"}


def test_a_mask_without_a_secret_behind_it_is_not_kept() -> None:
    """A copy of another source's configuration does not have a mask for a token."""
    source = make_source("ckan", config=json.dumps({"api_key": MASK, "force_all": True}))
    assert MASK not in HarvestSource.get(source["id"]).config
