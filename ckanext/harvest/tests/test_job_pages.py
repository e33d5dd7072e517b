"""The pages of jobs, as a browser gets them: how far they are, what went wrong, and what can be done about it."""

from __future__ import annotations

import contextvars
import csv
import datetime
import functools
import html
import io
import json
import re
from types import SimpleNamespace
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan import model
from ckan.tests import factories
from flask import current_app

from ckanext.harvest import runner
from ckanext.harvest.model import HarvestGatherError, HarvestJob, HarvestObject, HarvestObjectError, stats, tally
from ckanext.harvest.tests.harvesting import act, by_guid, counts, elsewhere, harvest, start, work_off
from ckanext.harvest.tests.logic.people import People
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, save_objects
from ckanext.harvest.views.jobs import AllErrors
from ckanext.relay import clock

PLUGINS = {"scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")
SCRIPT = {"guids": ("one", "two", "three")}
EVIL = "<script>alert(1)</script>"


class Visitor:
    """Somebody who asks for the pages of a source's jobs."""

    def __init__(self, people: People, kind: str = "editor") -> None:
        self.source = people.source["name"]
        self.headers = {}
        if people.names[kind]:
            self.headers["Authorization"] = factories.APIToken(user=people.names[kind])["token"]
        model.Session.commit()
        self.client = current_app.test_client()

    def ask(self, method: str, path: str, **options: Any) -> Any:
        model.Session.remove()
        # the language is said by what CKAN 2.11 has around the application
        call = functools.partial(
            self.client.open,
            path,
            method=method,
            headers=self.headers,
            environ_overrides={"CKAN_LANG": "en"},
            **options,
        )
        return contextvars.Context().run(call)

    def get(self, path: str = "", expected: int = 200, **query: Any) -> str:
        """Return a page of the source's jobs as text."""
        answer = self.ask("GET", f"/harvest/{self.source}/job{path}", query_string=query)
        assert answer.status_code == expected, answer.text
        return str(answer.text)

    def post(self, path: str, expected: int = 302) -> Any:
        """Send the form of a page and return the answer."""
        answer = self.ask("POST", f"/harvest/{self.source}/job{path}")
        assert answer.status_code == expected, answer.text
        return answer


@pytest.fixture
def people() -> People:
    return People("scripted")


@pytest.fixture
def editor(people: People) -> Visitor:
    return Visitor(people)


def words(page: str) -> str:
    """Return what a page says, without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def part(page: str, element_id: str) -> str:
    """Return what an element says that holds no other of its kind."""
    found = re.search(rf'<(\w+)[^>]* id="{element_id}".*?</\1>', page, re.S)
    assert found, f"no {element_id} in {page}"
    return words(found[0])


def rows(page: str, table_id: str) -> list[str]:
    """Return what the rows of a table say."""
    table = re.search(rf'<table[^>]* id="{table_id}">.*?<tbody>(.*?)</tbody>', page, re.S)
    return [words(row) for row in re.findall(r"<tr>.*?</tr>", table[1], re.S)] if table else []


def counters(page: str) -> dict[str, int]:
    """Return the counters that a page shows."""
    names = ("gathered", "fetched", "imported", "failed", "errored")
    return {name: int(part(page, f"job-{name}")) for name in names}


def fails(obj: HarvestObject) -> Any:
    raise RuntimeError(f"{obj.guid} is broken")


def job_with_errors(source_id: str, **messages: list[str]) -> HarvestJob:
    """Make a job that has ended, with errors of its records by stage; each error has a record of its own."""
    job = HarvestJob.get(start(source_id))
    number = 0
    for stage, of_stage in messages.items():
        for message in of_stage:
            if stage == "Gather":
                HarvestGatherError.create(message, job)
                continue
            obj = HarvestObject(guid=f"guid-{number}", job=job, state="ERROR", report_status="errored")
            obj.save()
            HarvestObjectError.create(message, obj, stage)
            number += 1
    job.gather_started = job.gather_finished = clock.now()
    job.save()
    work_off(runner.Next("finish", job.id))
    return HarvestJob.get(job.id)


# -- how far it is


def test_a_job_while_it_runs(script: Script, people: People, editor: Visitor) -> None:
    """Its part of the page asks for itself, and counts what is gathered, fetched, imported and failed so far."""
    seen = {}

    def look_and_save(obj: HarvestObject) -> Any:
        if obj.guid == "two":
            raise RuntimeError("broken by the test")
        obj.save()
        return ScriptedHarvester().save(obj)

    def gather(job: HarvestJob) -> list[str]:
        ids = save_objects(job)
        seen["gathering"] = editor.get(f"/{job.id}/progress")
        return ids

    script.gather, script.imports = gather, look_and_save
    job_id = start(people.source["id"])
    assert "Waiting for a worker" in words(editor.get(f"/{job_id}"))
    list(runner.gather(job_id))
    assert counters(seen["gathering"]) == {"gathered": 3, "fetched": 0, "imported": 0, "failed": 0, "errored": 0}
    assert "not known yet how many" in words(seen["gathering"])
    for obj in HarvestObject.filter(harvest_job_id=job_id).order_by(HarvestObject.gathered).all()[:2]:
        runner.process_one(obj.id)
    page = editor.get(f"/{job_id}")
    assert counters(page) == {"gathered": 3, "fetched": 1, "imported": 1, "failed": 1, "errored": 1}
    assert "2 of 3 records are done (66 %)." in words(page)
    address = f"/harvest/{people.source['name']}/job/{job_id}/progress"
    assert f'hx-get="{address}" hx-trigger="every 2s" hx-swap="outerHTML"' in page


def test_a_job_that_ends_while_somebody_looks(script: Script, people: People, editor: Visitor) -> None:
    """The last answer says so, is not asked for again, and brings the rest of the page up to date."""
    script.imports = fails
    job = harvest(people.source["id"])
    address = f"/harvest/{people.source['name']}/job/{job.id}/progress"
    answer = editor.ask("GET", address)
    assert answer.status_code == 286
    assert "hx-get" not in answer.text
    assert counters(answer.text) == {"gathered": 3, "fetched": 0, "imported": 0, "failed": 3, "errored": 3}
    assert re.search(r'<p id="job-said" hx-swap-oob="innerHTML">The job has ended.</p>', answer.text)
    assert re.search(r'<section id="job-errors"[^>]*hx-swap-oob="outerHTML">', answer.text)
    assert len(rows(answer.text, "causes")) == 3
    model.Session.remove()
    opened = editor.ask("GET", address, query_string={"cause": "0" * 32}).text
    assert "job-errors" not in opened, "what somebody reads is not taken away"


def test_pace_and_rest(people: People, editor: Visitor) -> None:
    """They are told from what the sweep counted, and from the beginning as long as it has not."""
    job = HarvestJob.get(start(people.source["id"]))
    job.gather_started = clock.now() - datetime.timedelta(seconds=100)
    job.created = job.gather_finished = job.gather_started
    for number in range(100):
        done = number < 50
        state, status = ("COMPLETE", "added") if done else ("WAITING", None)
        model.Session.add(HarvestObject(guid=str(number), job=job, state=state, report_status=status))
    model.Session.commit()
    page = words(editor.get(f"/{job.id}"))
    assert re.search(r"(30|2[5-9](\.\d)?) records a minute\.", page), page
    assert "About 1 minute left." in page
    elsewhere("UPDATE harvest_job SET gather_started = '2000-01-01' WHERE id = :id", id=job.id)
    assert "About 1 minute left." in words(editor.get(f"/{job.id}")), "as a retry of an old job"
    before = [
        [(clock.now() - datetime.timedelta(seconds=seconds)).isoformat(), done] for seconds, done in ((200, 0), (10, 0))
    ]
    elsewhere(
        "UPDATE harvest_job SET tally = :tally WHERE id = :id",
        tally=json.dumps({"states": {}, "stats": {}, "track": before}), id=job.id,
    )  # fmt: skip
    page = words(editor.get(f"/{job.id}"))
    assert re.search(r"(5|[2-4](\.\d)?) records a second\.", page), page


def test_a_job_with_very_many_objects(monkeypatch: pytest.MonkeyPatch, people: People, editor: Visitor) -> None:
    """It is counted by the sweep, and its page shows what that found; without a sweep it counts itself."""
    monkeypatch.setattr(tally, "FEW", 2)
    job = HarvestJob.get(start(people.source["id"]))
    job.gather_started = clock.now()
    job.save()
    save_objects(job)
    list(runner.sweep())
    elsewhere("UPDATE harvest_object SET state = 'COMPLETE', report_status = 'added'")
    assert counters(editor.get(f"/{job.id}"))["imported"] == 0
    assert "Counted at" in editor.get(f"/{job.id}")
    monkeypatch.setattr(tally, "STALE", 0)
    assert counters(editor.get(f"/{job.id}"))["imported"] == 3
    monkeypatch.undo()
    assert counters(editor.get(f"/{job.id}"))["imported"] == 3


def test_the_sweep_counts_each_job_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time is up it begins with the others the next time, and an ended job keeps its last counts."""
    ids = [start(People("scripted").source["id"]) for _ in range(2)]
    tally.note(seconds=-1)
    assert [HarvestJob.get(each).tally for each in ids] == [None, None]
    counted = []
    count = stats.count

    def slowly(job_ids: Any) -> Any:
        counted.extend(job_ids)
        monkeypatch.setattr(tally, "time", SimpleNamespace(monotonic=lambda: 1e12))
        return count(job_ids)

    monkeypatch.setattr(stats, "count", slowly)
    for _ in range(2):
        model.Session.remove()
        tally.note(seconds=60)
        monkeypatch.undo()
        monkeypatch.setattr(stats, "count", slowly)
    assert sorted(counted) == sorted(ids)
    monkeypatch.undo()
    act("harvest_job_abort", id=ids[0])
    model.Session.remove()
    assert tally.progress(HarvestJob.get(ids[0])).gathered == 0


# -- what went wrong

SAME = (
    "Invalid package with GUID {0}: {{'title': ['Missing value']}}",
    "HTTP error: 404 https://example.org/datasets/{0}?page=1",
    "Could not read line {0} of file-{0}.csv at 2026-01-0{0}T10:00:00.{0}",
    "Resource 9a1f-{0}0c4d skipped: its URL has no host",
)
OTHERS = ("HTTP error: 503 https://example.org/", "KeyError: 'title'", "KeyError: 'name'")


def test_errors_by_cause(people: People, editor: Visitor) -> None:
    """Messages that differ in ids, numbers, addresses and dates only are one cause; what a server answered is not."""
    job = job_with_errors(
        people.source["id"],
        Import=[message.format(number) for number in range(1, 4) for message in SAME],
        Fetch=[*OTHERS, OTHERS[0]],
        Gather=["No datasets found at CKAN: http://one.example", "No datasets found at CKAN: http://two.example"],
    )
    found = act("harvest_job_error_causes", id=job.id)
    assert found["count"] == 8
    assert found["stages"] == {"Import": 12, "Fetch": 4, "Gather": 2}
    assert [(each["stage"], each["count"]) for each in found["results"]] == [
        *[("Import", 3)] * 4, ("Fetch", 2), ("Gather", 2), *[("Fetch", 1)] * 2,
    ]  # fmt: skip
    shown = rows(editor.get(f"/{job.id}"), "causes")
    assert {row.removeprefix("3 Import ").removesuffix(" Show records") for row in shown[:4]} == {
        message.format(1) for message in SAME
    }
    assert shown[4] == f"2 Fetch {OTHERS[0]} Show records"


def test_errors_go_with_their_object(people: People) -> None:
    """ckanext-spatial gives the object of a record that has not changed to the job that imported it."""
    first = job_with_errors(people.source["id"], Import=["One", "Two"]).id
    second = job_with_errors(people.source["id"], Import=["Three"])
    by_guid(second)["guid-0"].harvest_job_id = first
    model.Session.commit()
    numbers = {job_id: act("harvest_job_show", id=job_id)["object_error_summary"] for job_id in (first, second.id)}
    assert {job_id: len(summary) for job_id, summary in numbers.items()} == {first: 3, second.id: 0}


def test_the_records_of_a_cause(people: People, editor: Visitor) -> None:
    """Each has a link to what was harvested and to its dataset; they are paged, and the filter stays."""
    job = job_with_errors(
        people.source["id"], Import=[f"Record {number} is bad" for number in range(45)], Fetch=["Other"]
    )
    package = act("package_create", name="a-dataset", title="A dataset", owner_org=people.organization["id"])
    first = by_guid(job)["guid-0"]
    first.package_id = package["id"]
    first.save()
    page = editor.get(f"/{job.id}", q="is bad")
    link = re.search(r'href="(\?[^"]*cause=[^"]*)#job-errors"', page)
    assert link
    asked = html.unescape(link[1])
    assert "q=is+bad" in asked or "q=is%20bad" in asked
    opened = editor.ask("GET", f"/harvest/{people.source['name']}/job/{job.id}{asked}").text
    assert "Errors 1 to 20 of 45" in words(opened)
    listed = rows(opened, "errors")
    assert len(listed) == 20
    assert listed[0].startswith("guid-0 Import Record 0 is bad A dataset ")
    assert f'href="/harvest/object/{first.id}/view"' in opened
    assert 'href="/dataset/a-dataset"' in opened
    last = editor.ask("GET", f"/harvest/{people.source['name']}/job/{job.id}{asked}&page=99").text
    assert len(rows(last, "errors")) == 5


def test_narrowed_down(people: People, editor: Visitor) -> None:
    """By stage, by a part of the message, by the GUID of a record; special characters mean themselves."""
    job = job_with_errors(
        people.source["id"], Import=["all broken", "all% broken"], Fetch=["under_score", "underscore"]
    )

    def found(**query: Any) -> list[str]:
        listed = rows(editor.get(f"/{job.id}", **query), "causes")
        return sorted(row.split(" ", 2)[2].removesuffix(" Show records") for row in listed)

    assert found() == ["all broken", "all% broken", "under_score", "underscore"]
    assert found(stage="Import") == ["all broken", "all% broken"]
    assert found(q="l%") == ["all% broken"]
    assert found(q="r_s") == ["under_score"]
    assert found(q="BROKEN", stage="Fetch") == []
    assert found(q="guid-3") == ["underscore"]
    assert found(q="\\") == found(q="no such text") == []
    assert "No error is like that." in editor.get(f"/{job.id}", q="no such text")
    assert found(q="\x00", stage="Im\x00port") == ["all broken", "all% broken"]


def test_export(people: People, editor: Visitor) -> None:
    """All errors, or those that the page is narrowed down to, as CSV and as JSON; no cell is a formula."""
    job = job_with_errors(people.source["id"], Import=["=1+1", "two"], Gather=["all is bad"])
    table = list(csv.DictReader(io.StringIO(editor.get(f"/{job.id}/errors.csv").lstrip("\ufeff"))))
    assert [(row["stage"], row["guid"]) for row in table] == [
        ("Import", "guid-0"),
        ("Import", "guid-1"),
        ("Gather", ""),
    ]
    assert not table[0]["message"].startswith("=")
    assert "=1+1" in table[0]["message"]
    listed = json.loads(editor.get(f"/{job.id}/errors.json", stage="Import", q="two"))
    listed = listed if isinstance(listed, list) else next(each for each in listed.values() if isinstance(each, list))
    [row] = listed
    assert (row["stage"], row["message"], row["guid"], row["state"]) == ("Import", "two", "guid-1", "ERROR")
    assert datetime.datetime.fromisoformat(row["created"])
    editor.get(f"/{job.id}/errors.xml", expected=400)


def test_an_error_belongs_to_the_job_of_its_object_whoever_writes_it(people: People) -> None:
    """One that another program writes is found like our own."""
    job = job_with_errors(people.source["id"], Import=["one"])
    elsewhere(
        "INSERT INTO harvest_object_error (id, harvest_object_id, message, stage) "
        "VALUES ('raw', :object, 'raw', 'Fetch')",
        object=by_guid(job)["guid-0"].id,
    )
    found = act("harvest_job_error_list", id=job.id, stage="Fetch")
    assert [each["message"] for each in found["results"]] == ["raw"]
    assert found["count"] == 1
    shown = act("harvest_object_show", id=by_guid(job)["guid-0"].id)["errors"][0]
    assert set(shown) == {"id", "harvest_object_id", "message", "stage", "line", "created"}


def test_hostile_texts(people: People, editor: Visitor) -> None:
    """A script in a message, a stage or a GUID is shown as text."""
    job = job_with_errors(people.source["id"], **{EVIL: [f"{EVIL} in a message"], "Gather": [EVIL]})
    obj = by_guid(job)["guid-0"]
    obj.guid, obj.content = EVIL, EVIL
    obj.save()
    [cause] = [each for each in act("harvest_job_error_causes", id=job.id)["results"] if each["stage"] == EVIL]
    for page in (
        editor.get(f"/{job.id}"),
        editor.get(f"/{job.id}", stage=EVIL, q=EVIL),
        editor.get(f"/{job.id}", stage=EVIL, cause=cause["cause"]),
        editor.ask("GET", f"/harvest/object/{obj.id}/view").text,
    ):
        assert EVIL not in page
        assert "&lt;script&gt;alert(1)" in page


def test_a_theme_may_show_the_report(people: People) -> None:
    """Templates of other portals find all errors in ``job_report``."""
    job = job_with_errors(people.source["id"], Import=["one"], Gather=["two"])
    tk.g.user, tk.g.userobj = people.names["editor"], None
    report = AllErrors(job.id)
    assert dict(report) == act("harvest_job_report", id=job.id)
    assert len(report) == 2


# -- what can be done


def test_retry(script: Script, people: People, editor: Visitor) -> None:
    """The button makes a job of the failed records; asked for with GET, its address changes nothing."""
    script.imports = fails
    job = harvest(people.source["id"])
    address = f"/harvest/{people.source['name']}/job/{job.id}/retry"
    assert f'action="{address}"' in editor.get(f"/{job.id}")
    assert "Start a job with the records that failed?" in editor.get(f"/{job.id}/retry")
    assert HarvestJob.filter(source_id=people.source["id"]).count() == 1
    made = HarvestJob.get(editor.post(f"/{job.id}/retry").headers["Location"].rpartition("/")[2])
    assert made.source_id == people.source["id"] and made.id != job.id
    script.imports = None
    work_off(runner.Next("process", made.source_id))
    assert counts(HarvestJob.get(made.id)) == {"added": 3}
    assert "Retry failed records" not in editor.get(f"/{made.id}")
    assert editor.post(f"/{made.id}/retry").headers["Location"].endswith(made.id)
    assert "has no failed record" in editor.get(f"/{made.id}")


def test_abort(people: People, editor: Visitor) -> None:
    """It is for sysadmins; asked for with GET, its address changes nothing."""
    job_id = start(people.source["id"])
    sysadmin = Visitor(people, "sysadmin")
    editor.get(f"/{job_id}/abort", expected=403)
    editor.post(f"/{job_id}/abort", expected=403)
    assert "Abort the job" not in editor.get(f"/{job_id}")
    assert "Abort the job" in sysadmin.get(f"/{job_id}")
    assert "End this job now?" in sysadmin.get(f"/{job_id}/abort")
    assert HarvestJob.get(job_id).status == "Running"
    sysadmin.post(f"/{job_id}/abort")
    assert HarvestJob.get(job_id).status == "Finished"
    page = sysadmin.get(f"/{job_id}")
    assert "The job was aborted." in page
    assert "There are no errors." in page
    sysadmin.get(f"/{job_id}/abort", expected=302)


def test_an_aborted_job(people: People, editor: Visitor) -> None:
    """Its records that were not done have failed without an error, which the page says; they can be retried."""
    job = HarvestJob.get(start(people.source["id"]))
    save_objects(job)
    act("harvest_job_abort", id=job.id)
    page = editor.get(f"/{job.id}")
    assert counters(page)["failed"] == 3
    assert "Records failed without an error of their own" in page
    assert "Retry failed records" in page


def test_clear_the_history(people: People, editor: Visitor) -> None:
    """Only jobs go that no dataset depends on; asked for with GET, the address changes nothing."""
    useless = job_with_errors(people.source["id"], Import=["one"]).id
    kept = harvest(people.source["id"]).id
    assert "Remove the jobs of this source" in editor.get("/clear")
    assert HarvestJob.filter(source_id=people.source["id"]).count() == 2
    editor.post("/clear")
    model.Session.remove()
    assert [job.id for job in HarvestJob.filter(source_id=people.source["id"])] == [kept]
    assert useless not in editor.get()
    gone = editor.ask("GET", f"/harvest/{editor.source}/job/{useless}/progress")
    assert (gone.status_code, words(gone.text)) == (286, "This job was removed.")


@pytest.mark.parametrize("kind", ["anonymous", "editor elsewhere", "member"])
def test_who_may_not_edit_the_source(kind: str, people: People) -> None:
    """They see no page of its jobs, and change nothing."""
    visitor = Visitor(people, kind)
    job_id = start(people.source["id"])
    for path in (
        "",
        "/last",
        f"/{job_id}",
        f"/{job_id}/progress",
        f"/{job_id}/errors.csv",
        f"/{job_id}/retry",
        "/clear",
    ):
        visitor.get(path, expected=403)
    visitor.post(f"/{job_id}/retry", expected=403)
    visitor.post("/clear", expected=403)


# -- finding them


def test_the_list_of_jobs(people: People, editor: Visitor) -> None:
    """The newest first, paged, each with how it ended."""
    assert "This source was not harvested yet." in editor.get()
    for _ in range(21):
        job_with_errors(people.source["id"])
    newest = harvest(people.source["id"])
    page = editor.get()
    listed = rows(page, "jobs")
    assert len(listed) == 20
    assert "Ended 3 added" in listed[0]
    assert f'href="/harvest/{people.source["name"]}/job/{newest.id}"' in page
    assert "Jobs 1 to 20 of 22" in words(page)
    assert len(rows(editor.get(page=2), "jobs")) == 2
    assert len(rows(editor.get(page="no number"), "jobs")) == 20


def test_the_newest_job(people: People, editor: Visitor) -> None:
    """It has an address of its own, where there is one; a job of another source has none here."""
    editor.get("/last", expected=404)
    job = harvest(people.source["id"])
    assert job.id in editor.get("/last")
    other = harvest(People("scripted").source["id"])
    for path in (f"/{other.id}", f"/{other.id}/progress", f"/{other.id}/errors.csv", "/no-such-job"):
        assert editor.ask("GET", f"/harvest/{editor.source}/job{path}").status_code in (403, 404)
    sysadmin = Visitor(people, "sysadmin")
    sysadmin.get(f"/{other.id}", expected=404)
    sysadmin.get(f"/{other.id}/progress", expected=404)
