"""Loading datasets into a portal, against a stand-in that keeps what it is given."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ckanapi.errors import NotFound, ValidationError

from ckanext.relay.devstack import harvest, quickstart
from ckanext.relay.devstack.load import BadLine, load, parse, same

ORGANIZATION = {"name": "town", "title": "Town"}
DATASET = {
    "name": "trees",
    "title": "Trees",
    "organization": ORGANIZATION,
    "groups": [{"name": "nature", "title": "Nature"}],
    "tags": [{"name": "tree"}, {"name": "green"}],
    "extras": [{"key": "b", "value": "2"}, {"key": "a", "value": "1"}],
    "resources": [{"url": "https://x.example/1", "format": "GEOJSON"}, {"url": "https://x.example/2", "name": ""}],
}


class FakePortal:
    """Shows datasets as CKAN does: with ids, sorted parts, formats in their usual spelling."""

    def __init__(self) -> None:
        self.owners: dict[str, Any] = {}
        self.datasets: dict[str, Any] = {}
        self.calls: list[str] = []

    def call_action(self, action: str, given: dict[str, Any]) -> Any:
        self.calls.append(action)
        kind, verb = action.rsplit("_", 1)
        name: str = given["id" if verb == "show" else "name"]
        kept = self.datasets if kind == "package" else self.owners
        if verb == "show" and name not in kept:
            raise NotFound()
        if " " in name:
            raise ValidationError({"name": ["no blanks"], "__type": "Validation Error"})
        if verb != "show":
            kept[name] = self.as_shown(given) if kind == "package" else given
        return kept[name]

    def as_shown(self, dataset: dict[str, Any]) -> dict[str, Any]:
        resources = [
            {"id": f"r{number}", "mimetype": None, **resource, "format": resource.get("format", "").title()}
            for number, resource in enumerate(dataset["resources"])
        ]
        shown = {
            **dataset,
            "resources": resources,
            "organization": self.owners.get(dataset.get("owner_org", "")),
            "id": "1",
        }
        for key in ("tags", "extras"):
            shown[key] = sorted(({"id": "x", **item} for item in dataset.get(key, [])), key=str)
        return {**shown, "owner_org": "an-id"}


def lines(*datasets: Any) -> list[bytes]:
    return [dataset if isinstance(dataset, bytes) else json.dumps(dataset).encode() for dataset in datasets]


def test_the_same_file_twice_changes_nothing() -> None:
    portal = FakePortal()
    first = load(lines(DATASET), lambda: portal)
    assert (first.created, first.errors) == (1, [])
    assert set(portal.owners) == {"town", "nature"}
    portal.calls.clear()
    assert load(lines(DATASET), lambda: portal).unchanged == 1
    assert not [call for call in portal.calls if not call.endswith("_show")]


def test_a_change_keeps_the_ids_of_resources() -> None:
    portal = FakePortal()
    load(lines(DATASET), lambda: portal)
    turned = {**DATASET, "resources": DATASET["resources"][::-1]}  # type: ignore[index]
    assert load(lines(turned), lambda: portal).updated == 1
    assert [(r["id"], r["url"][-1]) for r in portal.datasets["trees"]["resources"]] == [("r1", "2"), ("r0", "1")]


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Wood"},
        {"tags": []},
        {"extras": [{"key": "a", "value": "2"}]},
        {"resources": []},
        {"resources": [{"url": "https://x.example/1", "format": "CSV"}, {"url": "https://x.example/2"}]},
        {"owner_org": "village"},
    ],
)
def test_each_difference_is_seen(change: dict[str, Any]) -> None:
    shown = {**DATASET, "owner_org": "an-id"}
    wanted = {key: value for key, value in DATASET.items() if key != "organization"} | {"owner_org": "town"}
    assert same(wanted, shown)
    assert not same({**wanted, **change}, shown)


def test_bad_lines_are_reported_with_their_number_and_the_rest_arrives() -> None:
    portal = FakePortal()
    bad = lines(
        b"{", b"[]", b"\xff", {"title": "x"}, {"name": "a b"}, b"", DATASET, DATASET, {"name": "t", "tags": ["x"]}
    )
    steps: list[int] = []
    loaded = load(bad, lambda: portal, steps.append)
    assert loaded.created == 1
    starts = sorted(error.partition(":")[0] for error in loaded.errors)
    assert starts == [f"line {number}" for number in (1, 2, 3, 4, 5, 8, 9)]
    assert "line 5: a b: name: ['no blanks']" in loaded.errors
    assert sum(steps) == len(bad)


def test_an_organisation_that_cannot_be_made_is_reported() -> None:
    portal = FakePortal()
    loaded = load(lines({"name": "x", "organization": {"name": "a b"}}), lambda: portal)
    assert loaded.errors == ["organization a b: name: ['no blanks']"]


def test_names_in_what_is_wrong() -> None:
    with pytest.raises(BadLine, match="groups must be a list of objects with a name"):
        parse(b'{"name": "x", "groups": 3}')
    with pytest.raises(BadLine, match="organization"):
        parse(b'{"name": "x", "organization": "town"}')


def test_our_sample_is_good() -> None:
    portal = FakePortal()
    loaded = load(quickstart.SAMPLE.read_bytes().splitlines(), lambda: portal)
    assert (loaded.created, loaded.errors) == (12, [])


def test_the_progress_line_needs_no_progress() -> None:
    job = {"status": "Running", "gather_finished": None, "stats": {"added": 3, "errored": 1}}
    assert harvest.progress_line(job, 2) == "running: … gathered, 4 imported, 1 errors, 2.0 datasets/s"
    job["progress"] = {"gathered": 120, "done": 8}
    assert harvest.progress_line(job, 2) == "running: 120 gathered, 8 imported, 1 errors, 4.0 datasets/s"


@pytest.mark.parametrize(("url", "networks"), [("http://127.0.0.1:5000/", "127.0.0.1"), ("https://8.8.8.8", "")])
def test_only_the_private_address_that_was_named_is_opened(url: str, networks: str) -> None:
    assert quickstart._networks_of(url) == networks
