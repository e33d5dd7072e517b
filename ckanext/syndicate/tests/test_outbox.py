"""How changes get to workers: one row a dataset and target, none lost, none worked on twice, the urgent first."""

from __future__ import annotations

import datetime
import threading
import time

import pytest
import sqlalchemy as sa
from ckan import model

from ckanext.relay import lease
from ckanext.syndicate.model import affected, lease_table, outbox, targets
from ckanext.syndicate.model.outbox import BULK, PERSON, PRIVACY
from ckanext.syndicate.model.tables import target_table
from ckanext.syndicate.tests.rows import TARGET, add_dataset, ask, asked, change, claim, worker
from ckanext.syndicate.types import Profile

pytestmark = pytest.mark.usefixtures("clean_syndicate")

HOUR = datetime.timedelta(hours=1)


def utcnow() -> datetime.datetime:
    return datetime.datetime.utcnow()


def end_leases() -> None:
    """Let all leases run out, as if their workers had died."""
    lease.execute(sa.update(lease_table).values(expires=utcnow() - HOUR))


# -- asking


def test_asking_twice_is_asking_once() -> None:
    """There is one row, of the latest version, with the higher of both ranks, and its turn is that of the first."""
    assert ask("a", rank=BULK) == 1
    first = asked()["a"]
    assert (first.version, first.rank, first.state, first.attempts, first.force) == (1, BULK, "waiting", 0, False)
    assert abs(first.asked - utcnow()) < datetime.timedelta(minutes=1)
    ask("a", rank=PRIVACY, force=True)
    ask("a", rank=PERSON)
    again = asked()["a"]
    assert (again.version, again.rank, again.force, again.asked) == (3, PRIVACY, True, first.asked)
    assert again.due > first.due


def test_each_target_has_rows_of_its_own() -> None:
    """What is done for one stays to be done for the other."""
    with lease.transaction() as connection:
        assert outbox.ask(["a", "b", "a"], ["one", "two"], BULK, connection=connection) == 4
    with worker() as lease_id:
        (row,) = outbox.claim("one", lease_id, 1)
        assert outbox.done(row, lease_id)
    assert (set(asked("one")), set(asked("two"))) == ({"b"}, {"a", "b"})


def test_asking_for_what_had_failed_or_was_held() -> None:
    """It is tried anew, whatever was decided before; what went wrong stays to be read until it is done."""
    ask("failed", "held")
    with worker() as lease_id:
        rows = {row.local_id: row for row in outbox.claim(TARGET, lease_id, 2)}
        outbox.fail(rows["failed"], lease_id, "refused", "The target says no")
        outbox.hold(rows["held"], lease_id, "Too many copies")
    before = asked()
    assert (before["failed"].state, before["failed"].attempts) == ("failed", 1)
    assert (before["held"].state, before["held"].retracts) == ("held", True)
    ask("failed", "held")
    after = asked()
    assert {row.state for row in after.values()} == {"waiting"}
    assert (after["failed"].attempts, after["failed"].cause, after["failed"].error) == (
        0,
        "refused",
        "The target says no",
    )
    assert after["held"].retracts is None
    assert after["failed"].asked > before["failed"].asked, "it has no claim to the turn that it had"


def test_what_is_rolled_back_was_never_asked_for() -> None:
    """A request is part of the transaction of the change."""
    outbox.ask(["a"], [TARGET], PERSON)
    assert asked() == {}
    model.Session.rollback()
    assert asked() == {}
    outbox.ask(["a"], [TARGET], PERSON)
    model.Session.commit()
    assert list(asked()) == ["a"]


def test_a_whole_portal_is_one_statement() -> None:
    """All of 100,000 datasets that concern a target are found and asked for by one query, in seconds; what a person
    asked for still comes first."""
    profile = Profile(id=TARGET)
    ask("d7", "d99999")
    with lease.transaction() as connection:
        for table, columns, values in (
            ("package", "id, name, type, state, private", "'d' || n, 'd' || n, 'dataset', 'active', false"),
            ("syndication_copy", "local_id, profile_id, name, presence", "'d' || n, 'target', 'd' || n, 'active'"),
        ):
            many = f"SELECT {values} FROM generate_series(1, 100000) AS n"
            connection.execute(sa.text(f"INSERT INTO {table} ({columns}) {many}"))
        connection.execute(sa.text("DELETE FROM syndication_copy WHERE local_id LIKE '%1'"))
        connection.execute(sa.text("ANALYZE package, syndication_copy"))
        statements: list[str] = []
        sa.event.listen(connection, "before_cursor_execute", lambda *args: statements.append(args[2]))
        began = time.monotonic()
        query = affected.datasets(profile, sa.true(), BULK, needs_code=False)
        assert outbox.ask(query, [TARGET], BULK, connection=connection) == 90_000
        query = affected.datasets(profile, sa.true(), BULK, needs_code=True)
        assert outbox.ask(query, [TARGET], BULK, connection=connection) == 100_000
        assert time.monotonic() - began < 60
        assert len(statements) == 2
    with worker() as lease_id:
        began = time.monotonic()
        assert claim(lease_id, 3) == ["d7", "d99999", "d10"]
        assert time.monotonic() - began < 10


def test_a_query_may_say_how_urgent_each_is() -> None:
    """By a column ``rank``."""
    add_dataset("a")
    add_dataset("b", private=True)
    package = model.Package.__table__
    rank = sa.case((package.c.private, PRIVACY), else_=BULK).label("rank")
    with lease.transaction() as connection:
        outbox.ask(sa.select(package.c.id, rank), [TARGET], PERSON, connection=connection)
    assert {key: row.rank for key, row in asked().items()} == {"a": BULK, "b": PRIVACY}


# -- claiming


def test_the_most_urgent_comes_first() -> None:
    """What is to be taken away because it is private, then what people changed, then the rest; of each the oldest."""
    for name, rank in (("d", BULK), ("b", PERSON), ("c", PERSON), ("e", BULK), ("a", PRIVACY)):
        ask(name, rank=rank)
    with worker() as lease_id:
        assert claim(lease_id, 2) == ["a", "b"]
        assert claim(lease_id) == ["c", "d", "e"]
        assert claim(lease_id) == []


def test_two_workers_never_have_the_same_row() -> None:
    """However many claim at the same time; one that somebody is just changing is passed over."""
    ask(*(f"d{number}" for number in range(200)))
    found: list[list[str]] = []

    def work() -> None:
        lease_id = lease.postpone(lease_table, "push", 60)
        mine: list[str] = []
        while rows := claim(lease_id, 7):
            mine += rows
        found.append(mine)

    with lease.transaction() as somebody:
        outbox.ask(["d5"], [TARGET], PERSON, connection=somebody)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    claimed = [name for mine in found for name in mine]
    assert len(claimed) == len(set(claimed)) == 199
    assert "d5" not in claimed
    with worker() as lease_id:
        assert "d5" in claim(lease_id, 200)


def test_a_worker_that_died() -> None:
    """Its rows are free when its lease has run out, and what it says after that does not count."""
    ask("a", "b")
    dead = lease.postpone(lease_table, "push", 60)
    mine, other = outbox.claim(TARGET, dead, 10)
    with worker() as lease_id:
        assert (claim(lease_id), outbox.are_due(TARGET)) == ([], False)
        end_leases()
        assert outbox.are_due(TARGET)
    with worker() as lease_id:
        rows = outbox.claim(TARGET, lease_id, 10)
        assert [row.local_id for row in rows] == ["a", "b"]
        assert not outbox.done(mine, dead)
        outbox.fail(other, dead, "refused", "late")
        outbox.release(dead)
        assert {row.claimed_by for row in asked().values()} == {lease_id}
        assert {row.state for row in asked().values()} == {"waiting"}
        assert outbox.done(rows[0], lease_id)
        outbox.release(lease_id)
    assert {key: row.claimed_by for key, row in asked().items()} == {"b": None}


def test_only_some_datasets() -> None:
    """Who waits for one claims that one."""
    ask("a", "b", "c")
    with worker() as lease_id:
        assert claim(lease_id, only=["b", "unknown"]) == ["b"]
        assert claim(lease_id, only=[]) == []


# -- what comes of it


def test_done() -> None:
    """It goes."""
    ask("a", force=True)
    with worker() as lease_id:
        (row,) = outbox.claim(TARGET, lease_id, 1)
        assert row == outbox.Row("a", TARGET, 1, PERSON, 0, True, None)
        assert outbox.done(row, lease_id)
        assert not outbox.done(row, lease_id)
    assert asked() == {}


@pytest.mark.parametrize("way", ["done", "fail", "put_off", "hold"])
def test_a_change_during_a_push_is_not_lost(way: str) -> None:
    """Whatever came of the push, it stays to be done, at once; nobody else gets it while the first is at it."""
    ask("a")
    with worker() as lease_id, worker() as other:
        (row,) = outbox.claim(TARGET, lease_id, 1)
        ask("a")
        assert claim(other) == []
        if way == "done":
            assert not outbox.done(row, lease_id)
        elif way == "fail":
            outbox.fail(row, lease_id, "refused", "The target says no")
        elif way == "put_off":
            outbox.put_off(row, lease_id, 3600, "timeout", "The target does not answer", counts=True)
        else:
            outbox.hold(row, lease_id, "Too many copies")
        (again,) = outbox.claim(TARGET, other, 1)
        assert (again.version, again.attempts) == (2, 0)
        assert outbox.done(again, other)


def test_a_change_while_the_row_is_taken_away() -> None:
    """Whichever comes first, the change is still to be pushed: one waits for the other."""
    ask("a")
    with worker() as lease_id:
        (row,) = outbox.claim(TARGET, lease_id, 1)
        results: list[bool] = []
        with lease.transaction() as somebody:
            outbox.ask(["a"], [TARGET], PERSON, connection=somebody)
            thread = threading.Thread(target=lambda: results.append(outbox.done(row, lease_id)))
            thread.start()
            thread.join(0.3)
            assert thread.is_alive()
        thread.join(30)
        assert results == [False]
    assert asked()["a"].version == 2


def test_what_is_recorded_waits_for_nobody_who_asks() -> None:
    """Who takes a row away in the transaction that records what was pushed has locks, so it does not wait for one who
    saves the dataset; it is told, and takes the row away afterwards unless it was asked for."""
    ask("a", "b")
    with worker() as lease_id:
        a, b = outbox.claim(TARGET, lease_id, 2)
        with lease.transaction() as somebody:
            outbox.ask(["a"], [TARGET], PERSON, connection=somebody)
            with lease.transaction() as connection:
                connection.execute(sa.text("SET LOCAL lock_timeout = '5s'"))
                assert not outbox.done_with(connection, a, lease_id)
                assert outbox.done_with(connection, b, lease_id)
        with lease.transaction() as connection:
            assert not outbox.done_with(connection, a, lease_id)
        assert not outbox.done(a, lease_id)
    assert set(asked()) == {"a"} and asked()["a"].version == 2


def test_put_off() -> None:
    """It is tried again when its time has come, and knows since when it has failed, and how often by its own fault."""
    ask("a")
    with worker() as lease_id:
        (row,) = outbox.claim(TARGET, lease_id, 1)
        outbox.put_off(row, lease_id, 3600, "http_500", "The target fails", counts=True)
        assert claim(lease_id) == []
        entry = asked()["a"]
        assert abs(entry.due - utcnow() - HOUR) < datetime.timedelta(minutes=1)
        assert (entry.attempts, entry.cause, entry.error) == (1, "http_500", "The target fails")
        change("a", due=utcnow() - HOUR)
        (row,) = outbox.claim(TARGET, lease_id, 1)
        assert row.attempts == 1
        outbox.put_off(row, lease_id, 60, "timeout", "The target does not answer", counts=False)
        again = asked()["a"]
        assert (again.attempts, again.cause, again.failing_since) == (1, "timeout", entry.failing_since)


def test_fail_and_retry() -> None:
    """What has failed, or is held, rests until a person says so; what is put off is tried at once then, too."""
    ask("failed", "held", "later", "waiting")
    ask("failed", to="other")
    with worker() as lease_id:
        rows = {row.local_id: row for row in outbox.claim(TARGET, lease_id, 10)}
        outbox.fail(rows["failed"], lease_id, "refused", "The target says no")
        outbox.hold(rows["held"], lease_id, "Too many copies")
        outbox.put_off(rows["later"], lease_id, 3600, "timeout", "The target does not answer", counts=True)
        outbox.release(lease_id)
        outbox.fail(outbox.claim("other", lease_id, 1)[0], lease_id, "refused", "The target says no")
        assert claim(lease_id) == ["waiting"]
        outbox.release(lease_id)
        assert outbox.retry("unknown") == outbox.retry(TARGET, ["waiting"]) == 0
        assert outbox.retry(TARGET, ["held"]) == 1
        assert set(claim(lease_id)) == {"held", "waiting"}
        assert outbox.retry(TARGET) == 2
        assert set(claim(lease_id)) == {"failed", "later"}
        assert outbox.retry() == 1


# -- what there is


def test_which_targets_have_work() -> None:
    """Those with rows that are due and free, unless they are to be left alone."""
    assert (outbox.due_profiles(), outbox.are_due("one")) == ([], False)
    for name in ("one", "two", "three", "four"):
        ask("a", "b", to=name)
    with worker() as lease_id:
        outbox.claim("two", lease_id, 2)
        for row in outbox.claim("three", lease_id, 2):
            outbox.fail(row, lease_id, "refused", "")
        targets.failed("four", "timeout", "The target does not answer", 3600)
        assert outbox.due_profiles() == ["one"]
        assert [outbox.are_due(name) for name in ("one", "two", "three", "four")] == [True, False, False, False]
        assert claim(lease_id, to="four") == ["a", "b"], "who insists gets them"
        outbox.release(lease_id)
        lease.execute(sa.update(target_table).values(not_before=utcnow() - HOUR))
        assert outbox.due_profiles() == ["four", "one", "two"]


def test_numbers() -> None:
    """How many of each kind, and how long the oldest waits."""
    assert outbox.counts() == {}
    ask("a", "b", "c", "d")
    ask("a", to="other")
    with worker() as lease_id:
        first, second, _third, _fourth = outbox.claim(TARGET, lease_id, 4)
        outbox.fail(first, lease_id, "refused", "")
        outbox.hold(second, lease_id, "")
        (row,) = outbox.claim("other", lease_id, 1)
        outbox.fail(row, lease_id, "refused", "")
    assert outbox.counts() == {
        "other": outbox.Counts(0, 0, 1, None),
        TARGET: outbox.Counts(2, 1, 1, asked(TARGET)["c"].asked),
    }
    assert [entry.local_id for entry in outbox.entries(TARGET, states=["held", "failed"])] == ["a", "b"]
    assert {entry.profile_id for entry in outbox.entries(dataset_ids=["a"])} == {"other", TARGET}
    assert len(outbox.entries(limit=2)) == 2
