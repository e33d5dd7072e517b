"""Who works on what, by the clock of the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.model import meta

from ckanext.relay import lease
from ckanext.relay.tests.waiting import wait_until

_metadata = sa.MetaData()
leases = lease.table("relay_test_lease", _metadata)
things = sa.Table(
    "relay_test_thing",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("claimed_by", sa.UnicodeText),
)


@pytest.fixture(autouse=True)
def tables(with_plugins: None, ckan_config: dict[str, Any]) -> Iterator[None]:
    """Tables as a plugin has them, and leases that are renewed every three seconds."""
    ckan_config["ckanext.relay.lease_seconds"] = 9
    _metadata.drop_all(meta.engine)
    _metadata.create_all(meta.engine)
    with meta.engine.begin() as connection:
        connection.execute(sa.insert(things), [{"id": number} for number in range(20)])
    yield
    model.Session.remove()
    _metadata.drop_all(meta.engine)


def rows() -> list[Any]:
    with meta.engine.connect() as connection:
        return list(connection.execute(sa.select(leases)))


def free() -> int:
    """Return how many things nobody has."""
    query = sa.select(sa.func.count()).select_from(things).where(lease.is_free(leases, things.c.claimed_by))
    with meta.engine.connect() as connection:
        return int(connection.scalar(query) or 0)


def somebody_sleeps() -> bool:
    with meta.engine.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        return bool(connection.exec_driver_sql(query).scalar())


def claim(lease_id: str, count: int = 20, slowly: float = 0) -> list[int]:
    """Claim things as workers do.

    :param slowly: seconds from the beginning of the statement to the moment at which it looks at the first row
    """
    ready = lease.is_free(leases, things.c.claimed_by)
    picked = sa.select(things.c.id).where(ready).order_by(things.c.id).limit(count)
    if slowly:
        picked = picked.where(sa.select(sa.func.pg_sleep(slowly).isnot(None)).scalar_subquery())
    update = sa.update(things).values(claimed_by=lease_id).returning(things.c.id)
    return [row.id for row in lease.claim_rows(picked, things.c.id, ready, update)]


def test_a_lease_that_was_taken_while_another_worker_looks() -> None:
    """Whoever was already looking for rows when another one took its lease, and all rows, gets none of them."""
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(claim, "slow", 20, 4)
        wait_until(somebody_sleeps, 10, every=0.02)
        with lease.held(leases, "test", longest=60) as lease_id:
            assert len(claim(lease_id)) == 20
            assert slow.result(60) == []


def test_a_lease_is_held_while_its_block_runs() -> None:
    """Its row says who does what; it is gone with the block, and its things are free."""
    with lease.held(leases, "dig", longest=60) as lease_id:
        [row] = rows()
        assert (row.id, row.task) == (lease_id, "dig")
        assert 0 < (row.expires - row.started).total_seconds() < 20
        assert len(claim(lease_id)) == 20
        assert free() == 0
        assert lease.alive(leases, "dig") == 1
        assert lease.alive(leases, "fill") == 0
    assert rows() == []
    assert free() == 20


def test_a_lease_ends_with_an_error_in_its_block() -> None:
    """What went wrong passes through."""
    with pytest.raises(LookupError), lease.held(leases, "dig", longest=60):
        raise LookupError
    assert rows() == []


def test_a_lease_is_renewed() -> None:
    """It holds as long as its holder lives, also while the session has its rows locked."""
    with lease.held(leases, "dig", longest=60) as lease_id:
        claim(lease_id)
        model.Session.execute(sa.select(things).with_for_update())
        model.Session.execute(sa.update(things).values(claimed_by=lease_id))
        before = rows()[0].expires
        wait_until(lambda: rows()[0].expires > before, 30)
        assert lease.alive(leases, "dig") == 1
        assert free() == 0


def test_a_lease_of_who_hangs_runs_out(ckan_config: dict[str, Any]) -> None:
    """After its longest time it is not renewed any more, and others may take over."""
    ckan_config["ckanext.relay.lease_seconds"] = 0.9
    with lease.held(leases, "dig", longest=0.6) as lease_id:
        claim(lease_id)
        wait_until(lambda: lease.alive(leases, "dig") == 0, 30)
        time.sleep(1)
        assert lease.alive(leases, "dig") == 0
        assert free() == 20


@pytest.mark.parametrize("disturb", ["commit", "rollback", "remove", "close"])
def test_the_session_is_no_matter(disturb: str) -> None:
    """Whatever is done to CKAN's session, who has what stays as it is."""
    with lease.held(leases, "dig", longest=60) as lease_id:
        model.Session.execute(sa.text("SELECT 1"))
        claim(lease_id, 5)
        getattr(model.Session, disturb)()
        assert (free(), lease.alive(leases, "dig")) == (15, 1)


def test_what_is_free() -> None:
    """What nobody has, what somebody had whose lease ran out, and what somebody had who left no lease."""
    lease.execute(sa.insert(leases).values(id="dead", task="dig", started=lease.now, expires=sa.text("'2020-01-01'")))
    for number, holder in enumerate((None, "dead", "without a lease", "alive")):
        lease.execute(sa.update(things).where(things.c.id == number).values(claimed_by=holder))
    lease.execute(sa.delete(things).where(things.c.id > 3))
    with lease.held(leases, "dig", longest=60) as lease_id:
        lease.execute(sa.update(things).where(things.c.id == 3).values(claimed_by=lease_id))
        assert claim("me") == [0, 1, 2]


def test_claims_at_the_same_time() -> None:
    """Several who claim at the same time never get the same thing."""
    together = threading.Barrier(5)

    def take(_: int) -> list[int]:
        with lease.held(leases, "dig", longest=60) as lease_id:
            together.wait(30)
            taken = [number for _ in range(4) for number in claim(lease_id, 1)]
            together.wait(30)  # what is given back sooner may be taken again
            return taken

    with ThreadPoolExecutor(5) as pool:
        taken = [number for numbers in pool.map(take, range(5)) for number in numbers]
    assert sorted(taken) == list(range(20))


def test_what_is_postponed_is_free_later() -> None:
    """Nobody has it, and nobody gets it before its time."""
    lease_id = lease.postpone(leases, "again", 5)
    lease.execute(sa.update(things).values(claimed_by=lease_id))
    assert free() == 0
    wait_until(lambda: free() == 20, 30)


def test_forgetting_leases() -> None:
    """Those that ran out are forgotten, the others are not."""
    lease.postpone(leases, "past", -1)
    kept = lease.postpone(leases, "future", 60)
    lease.forget_expired(leases)
    assert [row.id for row in rows()] == [kept]


def test_only_one() -> None:
    """Of several with the same name one gets through, the others are told at once; it is free afterwards."""
    with lease.only_one("sweep") as first, lease.only_one("sweep") as second, lease.only_one("other") as third:
        assert (first, second, third) == (True, False, True)
    with lease.only_one("sweep") as again:
        assert again


def test_a_holder_that_fails_lets_the_next_one_in() -> None:
    """An error in the block leaves no lock behind."""
    with pytest.raises(LookupError), lease.only_one("sweep"):
        raise LookupError
    with lease.only_one("sweep") as mine:
        assert mine


def test_one_at_a_time() -> None:
    """Those with the same name go through one after another, also when one fails; others do not wait for them."""
    inside: list[str] = []

    def go(name: str) -> int:
        with lease.one_at_a_time(name):
            inside.append(name)
            most = inside.count(name)
            time.sleep(0.05)
            inside.remove(name)
        return most

    with pytest.raises(LookupError), lease.one_at_a_time("a"):
        assert go("b") == 1
        raise LookupError
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(go, ["a"] * 4)) == [1] * 4
