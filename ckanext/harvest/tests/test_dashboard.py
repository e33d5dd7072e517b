"""How all sources are doing: the action, and its page as a browser gets it."""

from __future__ import annotations

import contextvars
import datetime
import functools
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories
from flask import current_app

from ckanext.harvest import runner, tasks
from ckanext.harvest.domain import health_of_source
from ckanext.harvest.model import HarvestGatherError, HarvestJob, HarvestObject, HarvestSource, lease_table
from ckanext.harvest.tests.harvesting import act, harvest, make_source, start
from ckanext.harvest.tests.logic.people import KINDS, People
from ckanext.harvest.tests.scripted_harvester import ScriptedHarvester
from ckanext.relay import celery_app, clock, heartbeat, lease

PLUGINS = {"scripted_harvester": ScriptedHarvester}
SCRIPT = {"guids": ("one", "two", "three")}
pytestmark = pytest.mark.usefixtures("portal", "script")

DAY = datetime.timedelta(days=1)


@pytest.fixture(autouse=True)
def no_leases(portal: None) -> None:
    """Nobody is at work, and nobody has ever looked for due sources."""
    lease.execute(sa.delete(lease_table))


def ended(source_id: str, days_ago: float = 1, gather_errors: int = 0, **counts: int) -> str:
    """Save a job that has ended; ``unchanged`` stands for what a job calls "not modified"."""
    began = clock.now() - days_ago * DAY
    zero = dict.fromkeys(("added", "updated", "not modified", "errored", "deleted"), 0)
    kept = zero | {{"unchanged": "not modified"}.get(key, key): count for key, count in counts.items()}
    kept["errored"] += gather_errors
    times = {"created": began, "gather_started": began, "gather_finished": began, "finished": began}
    job = HarvestJob(source_id=source_id, status="Finished", stats=json.dumps(kept), **times)
    model.Session.add(job)
    model.Session.flush()
    for number in range(gather_errors):
        model.Session.add(HarvestGatherError(message=f"error {number}", harvest_job_id=job.id))
    model.Session.commit()
    return str(job.id)


def update(source_id: str, **fields: Any) -> None:
    """Change the row of a source."""
    for name, value in fields.items():
        setattr(HarvestSource.get(source_id), name, value)
    model.Session.commit()


def shown(**asked: Any) -> dict[str, Any]:
    """Return what a sysadmin is shown."""
    return act("harvest_dashboard_show", **asked)


def states(**asked: Any) -> list[list[str]]:
    return [[found["state"] for found in each["findings"]] for each in shown(**asked)["sources"]]


# -- sources


def test_a_source_that_was_harvested() -> None:
    """What really ran is shown as it is: its counts, its datasets, and that all is well."""
    source = make_source("scripted", title="Statistics")
    job = harvest(source["id"])
    [one] = shown()["sources"]
    assert (one["id"], one["name"], one["title"]) == (source["id"], source["name"], "Statistics")
    assert one["findings"] == [{"state": "ok", "since": None, "facts": {}}]
    assert one["last_job"]["id"] == job.id and one["last_job"]["stats"]["added"] == 3
    assert one["datasets"] == 3
    today = shown(days=1)["days"]
    assert [(day["day"], day["jobs"], day["added"]) for day in today] == [(clock.now().date().isoformat(), 1, 3)]
    assert json.dumps(shown()), "it is JSON all through"


def test_what_is_wrong_comes_first() -> None:
    """Failing, late, shrinking sources stand before those that are well, and how many there are is said."""
    names = ("a-well", "b-shrinks", "c-late", "d-fails", "e-new", "f-runs")
    ids = {name: make_source("scripted", name=name, title=name)["id"] for name in names}
    ended(ids["a-well"], unchanged=10)
    for days_ago in (2, 3):
        ended(ids["b-shrinks"], days_ago, unchanged=10)
    ended(ids["b-shrinks"], 1, unchanged=4)
    update(ids["c-late"], frequency="DAILY", next_run=clock.now() - DAY)
    ended(ids["d-fails"], gather_errors=2, unchanged=100)
    start(ids["f-runs"])
    update_job = HarvestJob.filter(source_id=ids["f-runs"]).one()
    update_job.gather_started = clock.now()
    model.Session.commit()
    answer = shown()
    assert [each["name"] for each in answer["sources"]] == [names[number] for number in (3, 2, 1, 5, 4, 0)]
    assert [found["state"] for each in answer["sources"] for found in each["findings"]] == [
        *("failing", "late", "shrinking", "running", "never run", "ok")
    ]
    assert {state for state, count in answer["states"].items() if count == 1} == {
        *("failing", "late", "shrinking", "running", "never run", "ok")
    }
    failing = answer["sources"][0]["findings"][0]["facts"]
    assert failing == {"failed": 0, "records": 100, "gather_errors": 2, "runs": 1}


def test_a_source_that_loses_its_datasets() -> None:
    """How many datasets come from it now is counted where its jobs give a reason to."""
    source_id = make_source("scripted")["id"]
    harvest(source_id)
    model.Session.query(HarvestJob).update({"finished": clock.now() - DAY, "created": clock.now() - DAY})
    ended(source_id, 0.5, deleted=20)
    assert states() == [["shrinking"]]
    [found] = shown()["sources"][0]["findings"]
    assert found["facts"] == {"of": "datasets", "before": 23, "after": 3}


def test_a_part_of_the_list() -> None:
    """A page of it, those in one state, or one source by id or name."""
    for number in range(3):
        ended(make_source("scripted", name=f"source-a{number}", title=f"A {number}")["id"], unchanged=1)
    late = make_source("scripted", name="source-late", title="Late", frequency="DAILY")
    update(late["id"], next_run=clock.now() - DAY)
    first, second = shown(limit=2), shown(limit=2, offset=2)
    assert (first["count"], second["count"]) == (4, 4)
    assert [each["title"] for each in first["sources"] + second["sources"]] == ["Late", "A 0", "A 1", "A 2"]
    of_state = shown(state="late")
    assert (of_state["count"], [each["title"] for each in of_state["sources"]]) == (1, ["Late"])
    assert of_state["states"]["ok"] == 3, "the others are still counted"
    for named in ("source-late", late["id"]):
        assert [each["title"] for each in shown(source_id=named)["sources"]] == ["Late"]


def test_a_source_that_was_deleted() -> None:
    """It is not listed, and not found."""
    source = make_source("scripted")
    act("harvest_source_delete", id=source["id"])
    assert shown()["sources"] == []
    with pytest.raises(tk.ObjectNotFound):
        shown(source_id=source["id"])


@pytest.mark.parametrize(
    "asked", [{"state": "blue"}, {"days": "x"}, {"days": 367}, {"limit": -1}, {"offset": "y"}, {"source_id": ["a"]}]
)
def test_what_makes_no_sense(asked: dict[str, Any]) -> None:
    """It is refused with the name of the parameter."""
    with pytest.raises(tk.ValidationError) as refused:
        shown(**asked)
    assert set(refused.value.error_dict) <= {*asked, "limit"}


@pytest.mark.parametrize("named", ["no-such-source", "\x00"])
def test_a_source_that_is_not_there(named: str) -> None:
    """It is not found."""
    with pytest.raises(tk.ObjectNotFound):
        shown(source_id=named)


# -- what the jobs brought


def test_what_was_done_each_day() -> None:
    """The counts of all jobs that ended on a day are summed; days without any are there."""
    one, two = (make_source("scripted")["id"] for _ in range(2))
    ended(one, 2, added=5, errored=1)
    ended(two, 2, added=7, unchanged=3)
    ended(one, 0, updated=2)
    ended(one, 40, added=1000)
    days = shown(days=4)["days"]
    assert [day["added"] for day in days] == [0, 12, 0, 0]
    assert [day["jobs"] for day in days] == [0, 2, 0, 1]
    assert days[1] | {"day": ""} == {
        "day": "", "jobs": 2, "added": 12, "updated": 0, "not modified": 3, "errored": 1, "deleted": 0
    }  # fmt: skip
    assert [day["added"] for day in shown(days=4, source_id=two)["days"]] == [0, 7, 0, 0]
    assert shown(days=0)["days"] == []


def test_what_each_job_of_a_source_brought() -> None:
    """Its jobs one by one, the oldest first; a job that kept no counts is left out."""
    source_id = make_source("scripted")["id"]
    ids = [ended(source_id, days_ago, added=days_ago) for days_ago in (3, 2)]
    uncounted = ended(source_id, 1)
    HarvestJob.get(uncounted).stats = None
    model.Session.commit()
    assert [(job["job"], job["added"]) for job in shown(source_id=source_id)["jobs"]] == [(ids[0], 3), (ids[1], 2)]
    assert states(source_id=source_id) == [["ok"]]
    assert shown()["jobs"] == []


# -- workers and queues


def test_nobody_is_there() -> None:
    """Without worker and beat, that is what is said."""
    engine = shown()["engine"]
    assert (engine["workers"], engine["processes"], engine["lanes"]) == (0, 0, [])
    assert (engine["last_sweep"], engine["sweep_missed"]) == (None, True)
    assert (engine["open_jobs"], engine["waiting_records"]) == (0, 0)


def test_who_is_there() -> None:
    """Workers that serve the queues of harvesting, the last sweep, and what waits."""
    heartbeat.beat(lease_table, "web1:17", 4, ["bulk", "priority"])
    heartbeat.beat(lease_table, "web2:18", 2, ["bulk"])
    lease.note(lease_table, runner.SWEEP)
    celery_app.purge(tasks.KIND)
    source_id = make_source("scripted")["id"]
    job_id = start(source_id)
    list(runner.gather(job_id))
    engine = shown()["engine"]
    assert (engine["workers"], engine["processes"], engine["lanes"]) == (2, 6, ["bulk", "priority"])
    assert [each["name"] for each in engine["worker_list"]] == ["web1:17", "web2:18"]
    assert 0 <= engine["last_sweep"] < 60 and not engine["sweep_missed"]
    assert (engine["open_jobs"], engine["waiting_records"]) == (1, 3)
    assert engine["messages"] == {"priority": 1, "bulk": 0}
    celery_app.purge(tasks.KIND)


def test_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is shown all the same, and at once."""
    nowhere = celery_app.app.connection_for_read("redis://127.0.0.1:9/0")
    monkeypatch.setattr(celery_app.app, "connection_for_read", lambda: nowhere)
    begun = time.monotonic()
    assert shown()["engine"]["messages"] is None
    assert time.monotonic() - begun < 10


# -- who sees what


def test_each_sees_the_sources_of_their_organizations() -> None:
    """Who may edit datasets of an organization sees its sources, and what was done for them; a sysadmin sees all."""
    people = People(source_type="scripted")
    other = make_source("scripted", owner_org=people.elsewhere["id"])
    ended(people.source["id"], 0, added=1)
    ended(other["id"], 0, added=10)
    heartbeat.beat(lease_table, "web1:17", 4, ["bulk"])
    seen = {}
    for kind in KINDS:
        try:
            answer = people.call(kind, "harvest_dashboard_show", days=1)
        except tk.NotAuthorized:
            continue
        seen[kind] = ({each["id"] for each in answer["sources"]}, answer["days"][0]["added"])
        assert answer["engine"]["workers"] == 1
        assert bool(answer["engine"]["worker_list"]) is (kind == "sysadmin"), "names of hosts are not for everybody"
    mine, theirs = people.source["id"], other["id"]
    assert seen == {
        "editor elsewhere": ({theirs}, 10),
        "editor": ({mine}, 1),
        "admin": ({mine}, 1),
        "sysadmin": ({mine, theirs}, 11),
    }
    with pytest.raises(tk.ObjectNotFound):
        people.call("editor", "harvest_dashboard_show", source_id=theirs)


def test_no_password_is_shown() -> None:
    """Not that in the URL of a source."""
    make_source("scripted", url="http://somebody:hidden-word@source.example/")
    assert "hidden-word" not in json.dumps(shown())


# -- many


def test_the_number_of_queries_does_not_grow() -> None:
    """As many for thirty sources as for three."""
    numbers: list[int] = []
    for _ in range(2):
        for _ in range(3 if not numbers else 27):
            ended(make_source("scripted")["id"], 1, unchanged=100, deleted=20)
        with counted() as statements:
            shown()
        numbers.append(len(statements))
    assert numbers[0] == numbers[1] <= 20


@contextmanager
def counted() -> Iterator[list[str]]:
    """Count the statements that the database gets inside the block."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    sa.event.listen(model.meta.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(model.meta.engine, "before_cursor_execute", note)


def test_records_that_wait_are_counted_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a limit they are not counted any more."""
    from ckanext.harvest.model import dashboard

    monkeypatch.setattr(dashboard, "COUNTED", 2)
    list(runner.gather(start(make_source("scripted")["id"])))
    assert HarvestObject.filter(state="WAITING").count() == 3
    assert shown()["engine"]["waiting_records"] == 2


# -- the page


def get(path: str, user: str | None = None) -> Any:
    """Ask for a page, as somebody whose request is not part of the one that surrounds the tests."""
    headers = {"Authorization": factories.APIToken(user=user)["token"]} if user else {}
    model.Session.commit()
    ask = functools.partial(current_app.test_client().get, headers=headers, environ_overrides={"CKAN_LANG": "en"})
    return contextvars.Context().run(ask, path)


@pytest.mark.parametrize("kind", KINDS)
def test_who_gets_the_page(kind: str) -> None:
    """The same people as the action answers."""
    people = People(source_type="scripted", title="Our own source")
    answer = get("/harvest/dashboard", people.names[kind] or None)
    if kind in ("anonymous", "member"):
        assert answer.status_code == 403
    else:
        assert answer.status_code == 200
        assert ("Our own source" in answer.text) is (kind != "editor elsewhere")


def page(path: str = "/harvest/dashboard") -> str:
    """Return the text of the page for a sysadmin, with single spaces and without tags."""
    answer = get(path, factories.Sysadmin()["name"])
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", answer.text))


def test_the_page_says_what_is_wrong() -> None:
    """In sentences, for each kind of thing."""
    ids = [make_source("scripted", title=f"Source number {number}")["id"] for number in range(6)]
    ended(ids[0], 2, errored=8, unchanged=2)
    ended(ids[0], 1, errored=9, unchanged=1)
    ended(ids[1], gather_errors=1)
    update(ids[2], frequency="DAILY", next_run=clock.now() - DAY)
    job = HarvestJob.get(start(ids[3]))
    job.created = clock.now() - DAY
    job = HarvestJob.get(start(ids[4]))
    job.created = job.gather_started = clock.now() - 2 * DAY
    model.Session.commit()
    for days_ago, count in ((3, 2000), (2, 2000), (1, 1000)):
        ended(ids[5], days_ago, unchanged=count)
    text = page()
    for sentence in (
        "9 of 10 records of the last job failed. It is the last of 2 jobs in a row that had errors.",
        "The last job could not gather all that the source has.",
        "It was due at",
        "Its job has waited for a worker since",
        "Its job has run since",
        "The last job found 1,000 records, each of the two before at least 2,000.",
        "No worker is running, so nothing is harvested. Start one with ckan relay worker.",
        "Nobody has ever looked for sources that are due.",
    ):
        assert sentence in text, sentence


@pytest.mark.parametrize("state", health_of_source.STATES)
def test_the_page_of_those_in_one_state(state: str) -> None:
    """Each state can be asked for, also when no source is in it."""
    ended(make_source("scripted", title="A source that is well")["id"], unchanged=1)
    assert ("A source that is well" in page(f"/harvest/dashboard?state={state}")) is (state == "ok")


def test_the_page_of_one_source() -> None:
    """It shows each of its jobs."""
    source = make_source("scripted", title="Statistics")
    ended(source["id"], 1, added=4711)
    text = page(f"/harvest/dashboard?source={source['name']}")
    assert "How Statistics is doing" in text and "4,711" in text
    assert get("/harvest/dashboard?source=none", factories.Sysadmin()["name"]).status_code == 404


@pytest.mark.parametrize("query", ["state=blue", "days=x", "page=0", "page=99999", "page=%00", "source="])
def test_addresses_that_make_no_sense(query: str) -> None:
    """The page is shown as if they were not there."""
    make_source("scripted", title="A source")
    assert "A source" in page(f"/harvest/dashboard?{query}")


def test_titles_are_text() -> None:
    """Whatever is in a title, an address or the name of a state is shown, not run."""
    people = People(source_type="scripted", title="<script>alert(1)</script>")
    act("organization_patch", id=people.organization["id"], title="<script>alert(2)</script>")
    answer = get("/harvest/dashboard", people.names["admin"])
    assert "<script>alert(" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text and "&lt;script&gt;alert(2)" in answer.text
    answer = get(f"/harvest/dashboard?source={people.source['name']}", people.names["admin"])
    assert "<script>alert(" not in answer.text
