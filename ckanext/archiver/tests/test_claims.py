"""How workers get at links: hosts in turns, links by their wait, and each check written down once."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model

from ckanext.archiver.domain.history import Copy
from ckanext.archiver.model import hosts, lease_table, links, notices, rechecks, record, removals
from ckanext.archiver.model.tables import day_table, link_table, removal_table
from ckanext.archiver.tests.rows import (
    GONE,
    add_dataset,
    all_hosts,
    archival,
    ask,
    change,
    check,
    checked,
    due,
    link,
    worker,
)
from ckanext.relay import clock, lease

pytestmark = pytest.mark.usefixtures("clean_archiver")

HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)


def claimed(limit: int = 10, lane: str | None = None, **options: Any) -> list[str]:
    """Claim hosts for somebody who keeps them for a minute."""
    return [each.host for each in hosts.claim(lease.postpone(lease_table, "archive", 60), limit, lane, **options)]


# -- hosts


def test_a_host_is_in_the_hands_of_one_worker() -> None:
    """Others get other hosts, or none; they are free again when it gives them back, or dies."""
    add_dataset("data", {"r1": "http://a/1", "r2": "http://b/2"})
    ask()
    with worker(limit=1) as first, worker() as second:
        assert len(due(first)) == len(due(second)) == 1
        assert claimed() == []
    assert sorted(claimed()) == ["a", "b"]
    with lease.transaction() as connection:
        connection.execute(sa.update(lease_table).values(expires=clock.now() - HOUR))
    again = hosts.claim(lease.postpone(lease_table, "archive", 60), 10)
    assert {(each.host, each.interrupted) for each in again} == {("a", True), ("b", True)}


def test_turns() -> None:
    """Who had none for the longest time is next, so that the links of one host do not keep others waiting; what a
    person waits for goes before."""
    add_dataset("data", {"r1": "http://a/1", "r2": "http://b/2", "r3": "http://c/3"})
    ask()
    for expected in "abcab":
        with worker(limit=1) as lease_id:
            assert due(lease_id) == [{"a": "r1", "b": "r2", "c": "r3"}[expected]]
    ask("priority", resources=["r1"])
    with worker(limit=1) as lease_id:
        assert due(lease_id) == ["r1"]


def test_a_lane_of_its_own() -> None:
    """A worker for what is urgent takes nothing else."""
    add_dataset("data", {"r1": "http://a/1", "r2": "http://b/2", "r3": "http://b/3"})
    ask()
    assert not hosts.are_due("priority")
    ask("priority", resources=["r3"])
    assert hosts.are_due("priority")
    lease_id = lease.postpone(lease_table, "archive", 60)
    assert [each.host for each in hosts.claim(lease_id, 10, "priority")] == ["b"]
    assert due(lease_id, lane="priority") == ["r3"]
    assert due(lease_id) == ["r3", "r2"]
    assert claimed(named=["b"]) == []
    assert claimed(named=["a"]) == ["a"]


def test_refreshing_one_lane_spoils_nothing_of_the_other() -> None:
    """When a host is due is the earlier of both."""
    add_dataset("data", {"r1": "http://a/1", "r2": "http://a/2"})
    ask(resources=["r1"])
    bulk = all_hosts()["a"].due
    ask("priority", resources=["r2"])
    hosts.refresh("priority")
    row = all_hosts()["a"]
    assert (row.due, row.priority_due) == (bulk, link("r2").due)
    hosts.refresh("bulk")
    assert all_hosts()["a"] == row


def test_a_host_that_is_to_be_left_alone() -> None:
    """It is not claimed until its time has come; failures and answers are kept."""
    add_dataset("data", {"r1": "http://a/1"})
    ask()
    with worker() as lease_id:
        hosts.record(lease_id, [hosts.Known("a", failures=5, pause=3600)])
    row = all_hosts()["a"]
    assert (row.failures, row.last_answer) == (5, None)
    assert abs(row.not_before - clock.now() - HOUR) < datetime.timedelta(minutes=1)
    assert (hosts.are_due(), claimed()) == (False, [])
    change("host", "a", not_before=clock.now())
    with worker() as lease_id:
        hosts.record(lease_id, [hosts.Known("a", failures=6)])
        assert all_hosts()["a"].failures == 6
        hosts.record(lease_id, [hosts.Known("a", answered=True)])
    row = all_hosts()["a"]
    assert row.failures == 0
    assert abs(row.last_answer - clock.now()) < datetime.timedelta(minutes=1)
    hosts.record("somebody else", [hosts.Known("a", failures=9)])
    assert all_hosts()["a"].failures == 0
    assert hosts.witnesses(["b"], 3) == ["a"]
    assert hosts.witnesses(["a"], 3) == []


def test_a_host_that_is_given_back_is_due_with_its_first_open_link() -> None:
    """Or not at all; one that nobody names is forgotten."""
    add_dataset("data", {"r1": "http://a/1", "r2": "http://a/2"})
    ask()
    with worker() as lease_id:
        links.put_off(lease_id, ["r1"], 3600)
        links.put_off(lease_id, ["r2"], 60, own_fault=False)
        links.put_off("somebody else", ["r2"], 7200)
    assert (link("r1").tries, link("r2").tries) == (1, 0)
    assert all_hosts()["a"].due == link("r2").due > clock.now()
    change("link", "r1", lane=None)
    change("link", "r2", lane=None)
    with worker(0) as lease_id:
        hosts.refresh()
    change("host", "a", due=clock.now() - HOUR)
    assert check() == []
    assert all_hosts()["a"].due is None
    hosts.forget_idle()
    assert list(all_hosts()) == ["a"]
    with lease.transaction() as connection:
        connection.execute(sa.delete(link_table))
    hosts.forget_idle()
    assert all_hosts() == {}


# -- links


def test_what_a_link_is_told_of_itself() -> None:
    """All that is needed to plan its check, and what is known from the last one."""
    office = model.Group(name="office", type="organization")
    model.Session.add(office)
    model.Session.commit()
    columns = {"url": "a.csv", "url_type": "upload", "format": "CSV"}
    add_dataset("data", {"r1": columns}, owner_org=office.id, private=True)
    ask("priority")
    with worker() as lease_id:
        (found,) = links.due(lease_id, 10)
    expected = ("r1", "data", "a.csv", "upload", "CSV", "office", True, "priority", "", None)
    names = ("resource_id", "package_id", "url", "url_type", "format", "organization", "private", "lane", "host")
    assert tuple(getattr(found, name) for name in (*names, "previous")) == expected
    check(GONE)
    ask()
    with worker() as lease_id:
        (found,) = links.due(lease_id, 10)
    before = found.previous
    assert before is not None
    assert (before.is_broken, before.failure_count, before.suspect_count) == (True, 1, 1)
    assert before.checked_url == "a.csv"


def test_links_that_share_a_url_come_together() -> None:
    """Also those that are not due yet, and of other datasets; however many URLs are asked for."""
    add_dataset("one", {"r1": "http://a/same", "r2": "http://a/2", "r5": "http://b/same"})
    add_dataset("two", {"r3": "http://a/3", "r4": "http://a/same"})
    ask()
    change("link", "r2", due=clock.now() - HOUR)
    change("link", "r1", due=clock.now() - HOUR / 2)
    change("link", "r4", due=clock.now() + HOUR)
    with worker() as lease_id:
        assert due(lease_id, each=2, hosts=["a"]) == ["r2", "r1", "r4"]
        assert due(lease_id, hosts=["a"], under_way=["r2", "r1"]) == ["r3"]
        assert due(lease_id, hosts=["a"], under_way=["r2", "r3"]) == ["r1", "r4"]
        assert due(lease_id, resources=["r1"]) == ["r1", "r4"]
        found = due(lease_id)
        assert [each for each in found if each != "r5"] == ["r2", "r1", "r4", "r3"]
        assert set(found) == {"r1", "r2", "r3", "r4", "r5"}


def test_a_url_that_all_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request is for so many links at most; the others come next."""
    monkeypatch.setattr(links, "SHARED", 3)
    add_dataset("data", {f"r{number}": "http://a/" for number in range(5)})
    ask()
    assert (len(check()), len(check()), len(check())) == (3, 2, 0)


def test_a_resource_that_went_while_it_waited() -> None:
    """It is dropped, whichever way it went: a host is not claimed for it again and again."""
    add_dataset("data", {"r1": "http://a/1", "r2": "http://a/2"})
    add_dataset("other", {"r3": "http://a/3"})
    ask()
    change("resource", "r1", state="deleted")
    change("package", "other", state="deleted")
    with worker() as lease_id:
        assert due(lease_id) == ["r2"]
        assert due(lease_id) == ["r2"]
    assert (link("r1"), link("r3")) == (None, None)


# -- what is recorded


def test_a_check_is_written_down() -> None:
    """In the archival, a new one or the one that is there, and in the link, which is not asked for any more."""
    add_dataset("data", {"r1": "http://a/1", "r2": "http://a/2"})
    ask("priority")
    assert check() == ["r1", "r2"]
    row = archival("r1")
    assert (row.package_id, row.status_id, row.is_broken, row.verdict) == ("data", 0, False, "ok")
    assert (row.cache_filepath, row.size, row.hash) == ("/archive/r1/data.csv", 7, "sha1")
    assert row.created is not None
    waiting = link("r1")
    assert (waiting.lane, waiting.due, waiting.notice, waiting.succeeded, waiting.shows, waiting.suspect) == (
        None, None, "priority", True, True, False,
    )  # fmt: skip
    assert abs(waiting.recheck_at - clock.now() - 30 * DAY) < HOUR
    ask()
    check(GONE)
    later = archival("r1")
    assert (later.id, later.created, later.cache_filepath) == (row.id, row.created, row.cache_filepath)
    assert (later.status_id, later.failure_count, later.verdict) == (12, 1, "ok")
    assert link("r1").suspect
    assert link("r1").recheck_at - clock.now() < DAY


def test_what_servers_send_can_be_stored() -> None:
    """PostgreSQL takes neither NUL nor half a character in a text; what came with them is recorded without."""
    add_dataset("data", {"r1": "http://a/1"})
    ask()
    with worker() as lease_id:
        (of,) = links.due(lease_id, 1)
        found = checked(of, reason="a\0b\ud800", redirects=[[301, "http://b/\0"]])
        assert record.record_all(lease_id, [found]).done == [found]
    row = archival("r1")
    assert row.reason == "a\N{REPLACEMENT CHARACTER}b?"
    assert row.redirects.startswith('[[301, "http://b/')


@pytest.mark.parametrize("columns", [{"url": "http://b/1"}, {"format": "JSON"}])
def test_a_resource_that_changed_meanwhile(columns: dict[str, str]) -> None:
    """What was found of the old one does not count, and the new one is still to be checked."""
    add_dataset("data", {"r1": "http://a/1", "r2": "http://a/2"})
    ask()
    with worker() as lease_id:
        found = [checked(each) for each in links.due(lease_id, 10)]
        change("resource", "r1", **columns)
        ask("priority", packages=["data"])
        recorded = record.record_all(lease_id, found)
    assert ([each.link.resource_id for each in recorded.done], recorded.busy) == (["r2"], [])
    assert (archival("r1"), link("r1").lane) == (None, "priority")
    assert check() == ["r1"]


def test_a_worker_whose_lease_ran_out() -> None:
    """Another one has the host by then, and what it finds counts."""
    add_dataset("data", {"r1": "http://a/1"})
    ask()
    with worker() as late:
        (of,) = links.due(late, 1)
        change("host", "a", claimed_by=None)
        assert check(GONE) == ["r1"]
        assert record.record_all(late, [checked(of)]) == record.Recorded([], [])
        links.put_off(late, ["r1"], 60)
    assert archival("r1").status_id == 12
    assert record.record_all(late, []) == record.Recorded([], [])


def test_a_check_is_recorded_once() -> None:
    """The same again changes nothing: the link is not asked for any more."""
    add_dataset("data", {"r1": "http://a/1"})
    ask()
    with worker() as lease_id:
        (of,) = links.due(lease_id, 1)
        assert len(record.record_all(lease_id, [checked(of, GONE)]).done) == 1
        assert record.record_all(lease_id, [checked(of)]) == record.Recorded([], [])
    assert archival("r1").failure_count == 1


def test_a_resource_that_somebody_is_saving() -> None:
    """Nobody waits for anybody: the check is to be recorded a little later, and then is or is not what counts."""
    add_dataset("data", {"r1": "http://a/1", "r2": "http://a/2"})
    ask()
    with worker() as lease_id:
        found = [checked(each) for each in links.due(lease_id, 10)]
        with lease.transaction() as somebody:
            somebody.execute(sa.select(link_table).where(link_table.c.resource_id == "r1").with_for_update())
            recorded = record.record_all(lease_id, found)
        assert [each.link.resource_id for each in recorded.done] == ["r2"]
        assert [each.link.resource_id for each in recorded.busy] == ["r1"]
        assert record.record_all(lease_id, recorded.busy).done == recorded.busy


# -- copies that are not needed


def removals_of() -> dict[str, datetime.datetime]:
    return {row.path: row.due for row in lease.rows(sa.select(removal_table))}


def put_forward() -> None:
    with lease.transaction() as connection:
        connection.execute(sa.update(removal_table).values(due=clock.now() - HOUR))


@pytest.fixture
def kept(archive_dir: Any) -> str:
    """A dataset with a copy in the archive, and an upload."""
    add_dataset("data", {"r1": "http://a/1", "r2": {"url": "a.csv", "url_type": "upload"}})
    ask()
    path = f"{archive_dir}/r1/r1/data.csv"
    with worker() as lease_id:
        found = {each.resource_id: each for each in links.due(lease_id, 10)}
        upload = checked(found["r2"], copy=Copy("/uploads/r2/original", hash="x"))
        record.record_all(lease_id, [checked(found["r1"], copy=Copy(path, hash="x", etag='"e"')), upload])
    return path


def test_a_copy_that_another_one_replaces(kept: str) -> None:
    """It is to be removed after the grace; the original of an upload never is."""
    ask()
    with worker() as lease_id:
        record.record_all(lease_id, [checked(each) for each in links.due(lease_id, 10)])
    assert list(removals_of()) == [kept]
    assert abs(removals_of()[kept] - clock.now() - DAY) < HOUR
    with removals.due(10) as paths:
        assert paths == []
    put_forward()
    with removals.due(10) as paths:
        assert paths == [kept]
    assert removals_of() == {}
    assert archival("r1").cache_filepath == "/archive/r1/data.csv"


@pytest.mark.parametrize(
    ("table", "key", "columns"),
    [
        ("resource", "r1", {"state": "deleted"}),
        ("package", "data", {"state": "deleted"}),
        ("package", "data", {"private": True}),
    ],
)
def test_a_copy_of_what_is_gone(kept: str, table: str, key: str, columns: dict[str, Any]) -> None:
    """After the grace it goes, and what was known of it; unless the resource is back by then."""
    removals.put_gone()
    assert removals_of() == {}
    change(table, key, **columns)
    removals.put_gone()
    removals.put_gone()
    assert list(removals_of()) == [kept]
    put_forward()
    with pytest.raises(OSError, match="no such disk"), removals.due(10) as paths:
        assert paths == [kept]
        raise OSError("no such disk")
    assert (list(removals_of()), archival("r1").cache_filepath) == ([kept], kept)
    back = {name: {"deleted": "active", True: False}[value] for name, value in columns.items()}
    change(table, key, **back)
    with removals.due(10) as paths:
        assert paths == []
    assert (removals_of(), archival("r1").cache_filepath) == ({}, kept)
    change(table, key, **columns)
    removals.put_gone()
    put_forward()
    with removals.due(10) as paths:
        assert paths == [kept]
    row = archival("r1")
    assert (row.cache_filepath, row.hash, row.etag, row.status_id) == (None, None, None, 0)
    assert archival("r2").cache_filepath == "/uploads/r2/original"


def test_copies_of_private_datasets_where_they_are_kept(kept: str, ckan_config: Any) -> None:
    """They stay."""
    ckan_config["ckanext.archiver.private_datasets"] = "archive"
    change("package", "data", private=True)
    removals.put_gone()
    assert removals_of() == {}


def test_what_was_purged_is_forgotten(kept: str) -> None:
    """The archivals too, since nobody can ask for them any more; the copy goes after the grace all the same."""
    with lease.transaction() as connection:
        connection.execute(sa.delete(model.Resource.__table__))
    removals.put_gone()
    assert (archival("r1"), archival("r2"), list(removals_of())) == (None, None, [kept])
    put_forward()
    with removals.due(10) as paths:
        assert paths == [kept]


# -- telling others


def claim_notices() -> list[notices.Notice]:
    return notices.claim(lease.postpone(lease_table, "tell", 60), 10)


def test_a_dataset_is_told_of_when_all_its_links_are_checked() -> None:
    """Once, with the lane that they were checked in, whether any is well, and whether it looks different now."""
    add_dataset("data", {"r1": "http://a/1", "r2": "http://a/2"})
    add_dataset("other", {"r3": "http://a/3"})
    ask("priority", packages=["data"])
    ask("bulk", packages=["other"])
    check(only=["r1"])
    assert not notices.are_ready()
    check(GONE)
    found = {each.package_id: each for each in claim_notices()}
    assert found == {
        "data": notices.Notice("data", "priority", True, True),
        "other": notices.Notice("other", "bulk", False, True),
    }
    assert (claim_notices(), notices.are_ready()) == ([], False)


def test_what_was_told_is_not_told_again() -> None:
    """Until the next check; that of a file that is the same shows nothing new."""
    add_dataset("data", {"r1": "http://a/1"})
    ask()
    check()
    with lease.held(lease_table, "tell", longest=60) as lease_id:
        assert len(notices.claim(lease_id, 10)) == 1
        notices.told("somebody else", ["data"])
        notices.told(lease_id, ["data"])
    assert not notices.are_ready()
    ask()
    check()
    assert claim_notices() == [notices.Notice("data", "bulk", True, False)]


def test_who_tells_and_dies() -> None:
    """Another one tells again: a message may come twice, but it comes."""
    add_dataset("data", {"r1": "http://a/1"})
    ask()
    check()
    with lease.held(lease_table, "tell", longest=60) as lease_id:
        assert len(notices.claim(lease_id, 10)) == 1
    assert len(claim_notices()) == 1


def test_links_that_are_checked_while_their_dataset_is_told_of() -> None:
    """It is told of again."""
    add_dataset("data", {"r1": "http://a/1"})
    ask()
    check()
    with lease.held(lease_table, "tell", longest=60) as lease_id:
        notices.claim(lease_id, 10)
        ask()
        check(GONE)
        notices.told(lease_id, ["data"])
    assert claim_notices() == [notices.Notice("data", "bulk", True, True)]


def test_a_dataset_does_not_wait_for_ever() -> None:
    """Some links may be those of a host that is left alone for hours; what was urgent does not wait for the rest."""
    add_dataset("data", {"r1": "http://a/1", "r2": "http://a/2"})
    ask()
    check(only=["r1"])
    assert not notices.are_ready()
    change("link", "r1", checked=clock.now() - HOUR)
    assert notices.are_ready()
    change("link", "r1", checked=clock.now(), notice="priority")
    assert notices.are_ready()


# -- checking again


def test_links_are_checked_again_within_the_days_budget() -> None:
    """Those that failed lately come first, then those that wait longest."""
    add_dataset("data", {f"r{number}": f"http://a/{number}" for number in range(6)})
    ask()
    check()
    for number in range(5):
        change("link", f"r{number}", recheck_at=clock.now() - DAY * (5 - number), suspect=number == 3)
    assert rechecks.request(0) == 0
    assert rechecks.request(3, batch=2) == 3
    assert [each for each in ("r0", "r1", "r2", "r3", "r4", "r5") if link(each).lane] == ["r0", "r1", "r3"]
    assert rechecks.request(3) == 0
    with lease.transaction() as connection:
        connection.execute(sa.update(day_table).values(day=day_table.c.day - 1))
    assert rechecks.request(10) == 2
    assert link("r5").lane is None


def test_a_recheck_is_of_what_is_there_now() -> None:
    """A URL that was changed behind our back is noticed; what is gone is dropped and asked for no more."""
    add_dataset("data", {"r1": "http://a/1", "r2": "http://a/2"})
    ask()
    check()
    change("resource", "r1", url="http://b/1")
    change("resource", "r2", state="deleted")
    for resource_id in ("r1", "r2"):
        change("link", resource_id, recheck_at=clock.now() - DAY)
    assert rechecks.request(10) == 2
    assert (link("r1").host, link("r1").lane, link("r2")) == ("b", "bulk", None)
    assert rechecks.request(10) == 0


def test_nothing_is_kept_beside_what_a_link_needs() -> None:
    """What one asks the database for is all there is in a link: no column is forgotten."""
    names = {each.name for each in dataclasses.fields(links.Previous)}
    assert names == set(links._PREVIOUS)
