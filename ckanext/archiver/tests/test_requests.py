"""Asking for links to be checked: of whom, how urgently, and as one row a resource whatever is asked how often."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model

from ckanext.archiver.model import Archival, requests
from ckanext.archiver.model.resources import Wanted, facts
from ckanext.archiver.model.tables import link_table
from ckanext.archiver.tests.rows import add_dataset, all_links, ask, change, check, link
from ckanext.relay import clock, lease
from ckanext.relay.tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("clean_archiver")

MONTH = datetime.timedelta(days=30)


def asked() -> dict[str, str]:
    return {row.resource_id: row.lane for row in all_links() if row.lane}


def fact(resource_id: str) -> Any:
    return next(row for row in model.Session.execute(facts()) if row.resource_id == resource_id)


def test_a_row_a_resource() -> None:
    """All that is asked for is in it; asking again changes nothing."""
    add_dataset("data", {"r1": "http://Example.ORG:80/a b.csv", "r2": "http://example.org/2"})
    assert ask(packages=["data"]) == 2
    row = link("r1")
    assert (row.package_id, row.url, row.host) == ("data", "http://Example.ORG:80/a b.csv", "example.org")
    assert (row.lane, row.tries, row.checked, row.notice, row.succeeded) == ("bulk", 0, None, None, False)
    assert abs(row.due - clock.now()) < datetime.timedelta(minutes=1)
    assert ask(packages=["data"]) == 0
    assert link("r1") == row


def test_of_two_lanes_the_more_urgent_counts() -> None:
    """Whichever was asked for first; how long it waits already is not forgotten."""
    add_dataset("data", {"r1": "http://a/1"})
    ask("bulk")
    due = link("r1").due
    assert ask("priority") == 1
    assert (link("r1").lane, link("r1").due) == ("priority", due)
    assert ask("bulk") == 0
    assert link("r1").lane == "priority"


@pytest.mark.parametrize("name", ["group", "organization", "packages", "resources"])
def test_whose_links(name: str) -> None:
    """Those of a group or an organization, private ones included, of datasets, single ones, or all."""
    group = model.Group(name="g", type="organization" if name == "organization" else "group")
    model.Session.add(group)
    model.Session.commit()
    owner = group.id if name == "organization" else None
    add_dataset("one", {"r1": "http://a/1", "r2": "http://a/2"}, owner_org=owner, private=True)
    add_dataset("two", {"r3": "http://a/3"})
    row = {"id": "m", "group_id": group.id, "table_id": "one", "table_name": "package", "state": "active"}
    model.Session.execute(sa.insert(model.Member.__table__).values(capacity="public", **row))
    model.Session.commit()
    wanted = {"group": group.id, "organization": group.id, "packages": ["one"], "resources": ["r1", "r2"]}
    assert ask(**{name: wanted[name]}) == 2
    assert set(asked()) == {"r1", "r2"}
    assert requests.resource_ids(Wanted(**{name: wanted[name]})) == ["r1", "r2"]
    assert ask() == 1
    assert set(asked()) == {"r1", "r2", "r3"}


def test_whose_links_are_never_checked() -> None:
    """Those of harvest sources, of what is deleted, and of drafts."""
    add_dataset("source", {"r1": "http://a/1"}, type="harvest")
    add_dataset("deleted", {"r2": "http://a/2"}, state="deleted")
    add_dataset("draft", {"r3": "http://a/3"}, state="draft")
    add_dataset("data", {"r4": {"url": "http://a/4", "state": "deleted"}, "r5": "http://a/5"})
    add_dataset("untyped", {"r6": "http://a/6"}, type=None)
    add_dataset("showcase", {"r7": "http://a/7"}, type="showcase")
    assert (ask(), set(asked())) == (3, {"r5", "r6", "r7"})
    assert ask(packages=["source", "deleted", "draft"]) == 0


HOSTS = [
    ("http://example.org/a", "example.org"),
    ("HTTPS://EXAMPLE.org", "example.org"),
    ("http://example.org:80/", "example.org"),
    ("https://example.org:443/", "example.org"),
    ("https://example.org:80/", "example.org"),
    ("http://example.org:8080/a:80", "example.org:8080"),
    ("ftp://example.org:21/a", "example.org"),
    ("  http://example.org?q=http://other/", "example.org"),
    ("http://user:p@ss@example.org/a@b", "example.org"),
    ("http://[::1]:8080/a", "[::1]:8080"),
    ("http://example.org\\@other/", "example.org"),
    ("http://exa mple.org/", "exa"),
    ("http://münchen.example/", "münchen.example"),
    ("http:///no-host", ""),
    ("data.csv", ""),
    ("/dataset/a", ""),
    ("javascript:alert(1)", ""),
    ("", ""),
    ("http://" + "a" * 5000 + "/", "a" * 255),
    ("x" * 5000 + "://a/", ""),
]


@pytest.mark.parametrize(("url", "host"), HOSTS, ids=range(len(HOSTS)))
def test_hosts(url: str, host: str) -> None:
    """What is asked together; hostile URLs are no error, since that would keep a dataset from being saved."""
    add_dataset("data", {"r1": url})
    ask("priority")
    assert link("r1").host == host


def test_what_makes_a_link_another_one() -> None:
    """Its URL, format and licence, whether it is private, and the file of an upload; nothing else."""
    add_dataset("data", {"r1": {"url": "http://a/1", "format": "CSV"}, "r2": {"url": "a.csv", "url_type": "upload"}})
    now = clock.now()
    irrelevant = {"name": "x", "description": "x", "hash": "x", "size": 5, "mimetype": "text/csv", "position": 7}
    before = fact("r1").fingerprint
    change("resource", "r1", last_modified=now, metadata_modified=now, extras='{"x": "y"}', **irrelevant)
    change("package", "data", title="x", notes="x", metadata_modified=now)
    assert fact("r1").fingerprint == before
    seen = {before}
    for columns in (
        *(
            {"url": "http://a/2"},
            {"format": "JSON"},
            {"url_type": "upload"},
            {"extras": '{"upload_in_progress": true}'},
        ),
        {"extras": '{"upload_in_progress": false}'},
    ):
        change("resource", "r1", **columns)
        seen.add(fact("r1").fingerprint)
    for name, value in (("license_id", "cc-by"), ("private", True)):
        change("package", "data", **{name: value})
        seen.add(fact("r1").fingerprint)
    assert len(seen) == 8
    upload = fact("r2").fingerprint
    change("resource", "r2", last_modified=now)
    assert fact("r2").fingerprint != upload


def test_a_link_that_changes_while_it_waits() -> None:
    """The row is that of the new URL, and waits from now on; failed tries are none of it."""
    add_dataset("data", {"r1": "http://a/1"})
    ask()
    before = link("r1")
    change("link", "r1", tries=3)
    change("resource", "r1", url="http://b/1")
    assert ask(packages=["data"]) == 1
    row = link("r1")
    assert (row.url, row.host, row.tries) == ("http://b/1", "b", 0)
    assert row.due > before.due
    assert row.fingerprint != before.fingerprint


def test_asking_for_all_passes_over_what_somebody_is_changing() -> None:
    """``archiver update`` neither waits for people who save datasets nor lets them wait in a circle."""
    add_dataset("data", {"r1": "http://a/1", "r2": "http://a/2"})
    ask()
    check()
    with lease.transaction() as somebody:
        somebody.execute(sa.select(link_table).where(link_table.c.resource_id == "r1").with_for_update())
        assert ask() == 1
    assert set(asked()) == {"r2"}
    assert ask() == 1


def test_taking_in_and_asking_do_not_wait_in_a_circle() -> None:
    """Two that write the rows of the same new resources write them in the same order."""
    add_dataset("data", {f"r{number}": f"http://a/{number}" for number in (3, 2, 1)})  # as they come from the disk
    with ThreadPoolExecutor(1) as pool:
        with lease.transaction() as somebody:
            assert requests.request("bulk", Wanted(resources=["r1"]), somebody) == 1
            adopted = pool.submit(requests.adopt, MONTH)
            wait_until(_somebody_waits, 20)
            assert requests.request("bulk", Wanted(resources=["r3"]), somebody) == 1
        assert adopted.result(20) == 1
    assert asked() == {"r1": "bulk", "r3": "bulk"} and link("r2").lane is None


def _somebody_waits() -> bool:
    return bool(lease.rows(sa.text("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")))


def test_what_is_gone_rests() -> None:
    """Its link is not checked any more; what is known of it stays, for it may come back."""
    add_dataset("data", {"r1": "http://a/1", "r2": "http://a/2"})
    ask()
    check()
    requests.forget(["r1"])
    requests.forget([])
    model.Session.commit()
    assert [row.resource_id for row in all_links()] == ["r2"]
    assert model.Session.query(Archival).count() == 2


def test_resources_that_nobody_told_of_are_taken_in() -> None:
    """From before the plugin was enabled, for example: each is checked when its age asks for it."""
    now = clock.now()
    add_dataset("data", {"r1": "http://a/1", "r2": "http://a/2", "r3": "http://a/3", "r4": "http://a/4"})
    for resource_id, is_broken in (("r1", False), ("r2", True), ("r3", None)):
        model.Session.add(Archival(resource_id=resource_id, package_id="data", is_broken=is_broken, updated=now))
    model.Session.commit()
    ask(resources=["r4"])
    add_dataset("other", {"r5": "http://a/5"})
    assert requests.adopt(MONTH) == 4
    assert requests.adopt(MONTH) == 0
    assert asked() == {"r4": "bulk"}
    assert abs(link("r1").recheck_at - now - MONTH) < datetime.timedelta(minutes=1)
    for resource_id in ("r2", "r3", "r5"):
        assert link(resource_id).recheck_at - now < datetime.timedelta(minutes=1)
    assert requests.known("data") == requests.current("data")
    change("package", "other", state="deleted")
    change("resource", "r1", state="deleted")
    assert requests.adopt(MONTH) == 2
    assert [row.resource_id for row in all_links()] == ["r2", "r3", "r4"]
