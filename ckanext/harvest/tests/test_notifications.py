"""Mails about jobs that have ended, through a real mail server that is not always well."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories

from ckanext.harvest import notifications, runner
from ckanext.harvest.logic import dictization
from ckanext.harvest.logic.action import update
from ckanext.harvest.model import (
    HarvestGatherError,
    HarvestJob,
    HarvestObject,
    HarvestObjectError,
    errors,
    lease_table,
    mails,
)
from ckanext.harvest.tests.harvesting import act, ended, harvest, make_source, start, sweep, work_off
from ckanext.harvest.tests.mail_server import MailServer
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester
from ckanext.relay import lease

SUMMARY = "Test portal - Harvesting Job Successful - Summary Notification"
ERROR = "Test portal - Harvesting Job - Error Notification"
#: What overridden templates may use.
EXTRA_VARS = {
    *("organization", "site_title", "site_url", "job_url", "harvest_source_title", "harvest_configuration"),
    *("job_finished", "job_id", "job_created"),
    *("records_in_error", "records_added", "records_deleted", "records_updated"),
    *("error_summary_title", "obj_errors_title", "job_errors_title", "obj_errors", "job_errors", "errors"),
}


class TellsMore(p.SingletonPlugin):
    """Chains the recipients, as the plugins of some portals do."""

    p.implements(p.IActions)
    more: list[dict[str, str]] = []

    def get_actions(self) -> dict[str, Any]:
        @tk.chained_action
        def harvest_get_notifications_recipients(original: Any, context: Any, data_dict: Any) -> Any:
            if self.more == ["raise"]:
                raise LookupError("the directory of people is away")
            return [*original(context, data_dict), *self.more]

        return {"harvest_get_notifications_recipients": harvest_get_notifications_recipients}


PLUGINS = {"scripted_harvester": ScriptedHarvester, "tells_more": TellsMore}


@pytest.fixture
def server(ckan_config: Any) -> Iterator[MailServer]:
    with MailServer() as running:
        ckan_config["smtp.server"] = running.address
        yield running


@pytest.fixture(autouse=True)
def settings(portal: None, ckan_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each job is told of, and failed tries are made again at once."""
    ckan_config["ckan.harvest.status_mail.all"] = True
    monkeypatch.setattr(ScriptedHarvester, "script", Script())
    monkeypatch.setattr(TellsMore, "more", [])
    monkeypatch.setattr(notifications.log, "disabled", False)  # migrations silence loggers
    lease.execute(sa.delete(lease_table))


@pytest.fixture
def source_id(settings: None) -> str:
    """A source of an organization with an admin."""
    admin = factories.User(email="admin@example.org")
    organization = factories.Organization(users=[{"name": admin["name"], "capacity": "admin"}])
    return str(make_source("scripted", owner_org=organization["id"], title="Lakes & <rivers>")["id"])


def script(**stages: Any) -> None:
    for stage, does in stages.items():
        setattr(ScriptedHarvester.script, stage, does)


def time_passes() -> None:
    """Let the pause after a try that failed pass."""
    lease.execute(sa.update(lease_table).where(lease_table.c.task == "mail due").values(started=lease.now))


def received(server: MailServer) -> list[tuple[str, str]]:
    return sorted((to, subject) for to, subject, _ in server.mails)


def test_the_mail_about_a_job_that_went_well(server: MailServer, source_id: str) -> None:
    """It has the subject of the contract, says what was done, and goes to the people of the organization, once."""
    job_id = harvest(source_id).id
    assert received(server) == [("admin@example.org", SUMMARY)]
    text = server.mails[0][2]
    name = model.Package.get(source_id).name
    for part in (
        "Harvest source: Lakes & <rivers>",
        job_id,
        f"http://test.ckan.example/harvest/{name}/job/{job_id}",
        "Records added: 1",
    ):
        assert part in text
    assert "Configuration: Not specified" in text
    sweep()
    work_off(runner.Next("mail", job_id))
    assert len(server.mails) == 1


def test_the_mail_about_a_job_with_errors(server: MailServer, source_id: str) -> None:
    """It has another subject, and the errors, HTML or not, as they are."""
    script(guids=("one", "two"), imports=lambda obj: HarvestGatherError.create("bad <record> & more", obj.job))
    harvest(source_id)
    assert received(server) == [("admin@example.org", ERROR)]
    assert "bad <record> & more" in server.mails[0][2]
    assert "Records in error: 4" in server.mails[0][2]


def test_nobody_is_told_unless_asked_for(server: MailServer, source_id: str, ckan_config: Any) -> None:
    """Without the settings there is no mail; with ``errored`` there is one about errors only."""
    ckan_config["ckan.harvest.status_mail.all"] = False
    script(gather=None)
    harvest(source_id)
    ckan_config["ckan.harvest.status_mail.errored"] = "true"
    harvest(source_id)
    assert server.mails == []
    script(gather=lambda job: None)
    harvest(source_id)
    assert received(server) == [("admin@example.org", ERROR)]


def test_a_mail_about_each_way_in_which_a_job_ends_by_itself(
    server: MailServer, source_id: str, ckan_config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that timed out, or whose harvester is gone, is told of; one that a person aborted is not."""
    start(source_id)
    act("harvest_job_abort", id=source_id)
    sweep()
    assert server.mails == []
    ckan_config["ckan.harvest.timeout"] = 3
    job = HarvestJob.get(start(source_id))
    job.created = datetime.datetime.utcnow() - datetime.timedelta(minutes=4)
    model.Session.commit()
    sweep()
    assert "timeout" in server.mails[0][2]
    monkeypatch.setattr(ScriptedHarvester, "info", lambda self: {"name": "other", "title": "", "description": ""})
    job_id = start(source_id)
    work_off(runner.Next("gather", job_id))
    assert "No harvester could be found" in server.mails[1][2]


@pytest.mark.parametrize("how", ["down", "hangs", "full", "breaks before", "has no sender"])
def test_a_mail_server_that_is_not_well(
    how: str, server: MailServer, source_id: str, ckan_config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job ends all the same and at once; the mail waits, and comes when the server is well, once."""
    server.fails = how
    if how == "hangs":
        monkeypatch.setattr(notifications, "PATIENCE", 0.5)
    if how == "down":
        ckan_config["smtp.server"] = "127.0.0.1:9"
    sender = ckan_config["smtp.mail_from"]
    if how == "has no sender":
        ckan_config["smtp.mail_from"] = None
    begun = time.monotonic()
    job_id = start(source_id)
    work_off(runner.Next("gather", job_id))
    assert time.monotonic() - begun < 10
    ended(job_id)
    assert mails.due() == []  # the next try waits
    sweep()
    server.fails, ckan_config["smtp.server"], ckan_config["smtp.mail_from"] = None, server.address, sender
    assert server.mails == []
    time_passes()
    sweep()
    sweep()
    assert received(server) == [("admin@example.org", SUMMARY)]


@pytest.mark.parametrize("how", ["breaks after", "hangs after", "hangs at the end"])
def test_a_server_that_may_have_taken_the_mail(
    how: str, server: MailServer, source_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hung up, or said nothing more, where it should have said so: nobody gets the mail twice."""
    server.fails = how
    with monkeypatch.context() as patch:
        if how != "breaks after":
            patch.setattr(notifications, "PATIENCE", 0.5)
        harvest(source_id)
    server.fails = None
    time_passes()
    sweep()
    assert received(server) == [("admin@example.org", SUMMARY)]


def test_one_recipient_does_not_keep_it_from_the_others(
    server: MailServer, source_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whom the server refuses is tried again; those who have the mail are left in peace."""
    monkeypatch.setattr(TellsMore, "more", [{"name": n, "email": f"{n}@example.org"} for n in ("moved", "more")])
    server.unknown = {"moved@example.org"}
    harvest(source_id)
    time_passes()
    sweep()
    assert received(server) == [("admin@example.org", SUMMARY), ("more@example.org", SUMMARY)]
    server.unknown = set()
    time_passes()
    sweep()
    assert received(server)[1:] == [("more@example.org", SUMMARY), ("moved@example.org", SUMMARY)]
    assert mails.due() == []


def test_a_worker_that_dies(server: MailServer, source_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before it asked the server, another sends the mail; killed while it asked, nobody gets it twice."""
    monkeypatch.setattr(TellsMore, "more", [{"name": "more", "email": "more@example.org"}])

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(notifications, "_recipients", die)
        with pytest.raises(KeyboardInterrupt):
            harvest(source_id)
    real = notifications._serve

    def die_after(*arguments: Any) -> None:
        real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(notifications, "_serve", die_after)
        time_passes()
        with pytest.raises(KeyboardInterrupt):
            sweep()
    for _ in range(2):
        time_passes()
        sweep()
    assert received(server) == [("admin@example.org", SUMMARY), ("more@example.org", SUMMARY)]


def test_a_lost_message(server: MailServer, source_id: str) -> None:
    """The sweep knows by itself which mail was not sent."""
    job_id = start(source_id)
    run: dict[str, Callable[[str], list[runner.Next]]] = {
        "process": runner.process_batch,
        "finish": runner.finish,
        "reindex": runner.reindex,
    }
    steps = list(runner.gather(job_id))
    while steps:  # what a worker would do, but for the mail
        step = steps.pop()
        if step.task != "mail":
            steps += run[step.task](step.id)
    assert server.mails == []
    sweep()
    assert received(server) == [("admin@example.org", SUMMARY)]


def test_a_mail_that_nobody_can_send_is_given_up(server: MailServer, source_id: str) -> None:
    """After a day; the pauses grow until then."""
    server.fails = "full"
    job = harvest(source_id)
    age = sa.update(lease_table).where(lease_table.c.task == "mail due")
    for hours in (2, 5):
        ago = datetime.timedelta(hours=hours)
        lease.execute(age.values(expires=lease.now + mails.GIVEN_UP_AFTER - ago, started=lease.now))
        sweep()
        [row] = lease.rows(sa.select(lease_table.c.started - lease.now).where(lease_table.c.task == "mail due"))
        assert abs(row[0] - ago) < datetime.timedelta(minutes=1)
    lease.execute(age.values(expires=lease.now, started=lease.now))
    server.fails = None
    sweep()
    notifications.send(job.id)
    assert server.mails == []


def test_extensions_that_raise(
    server: MailServer, source_id: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a chained action raises harms neither job nor sweep, and the mail is sent when it has recovered."""
    monkeypatch.setattr(TellsMore, "more", ["raise"])
    harvest(source_id)
    assert "directory of people" in caplog.text
    TellsMore.more = []
    time_passes()
    sweep()
    assert len(server.mails) == 1


def test_a_job_with_many_errors(server: MailServer, source_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mail has the first of each kind, as the report has them; the others are not even read."""
    monkeypatch.setattr(notifications, "SHOWN_ERRORS", 4)
    objects: list[HarvestObject] = []

    def complain(obj: HarvestObject) -> bool:
        objects.append(obj)
        for number in range(2):
            HarvestObjectError.create(f"{obj.guid} is wrong {number}", obj)
            HarvestObjectError.create(f"{objects[0].guid} was wrong, too", objects[0])
            HarvestGatherError.create(f"{obj.guid} is missing {number}", obj.job)
        return False

    script(guids=tuple(f"record {number}" for number in range(6)), imports=complain)
    job = harvest(source_id)
    report = act("harvest_job_report", id=job.id)
    of_objects = [error["message"] for each in report["object_errors"].values() for error in each["errors"]]
    of_gather = [error["message"] for error in report["gather_errors"]]
    monkeypatch.setattr(dictization, "harvest_job_report", None)
    status = act("harvest_source_show_status", id=source_id)
    extra = update.get_mail_extra_vars(notifications._context(), source_id, status)
    assert (extra["obj_errors"], extra["job_errors"]) == (of_objects[:4], of_gather[:4])
    assert extra["errors"] == of_gather[:4] + of_objects[:4]
    assert len(of_objects) == 24 and list(map(len, errors.first_messages(job.id, 3))) == [3, 3]


def test_the_functions_that_third_parties_call(server: MailServer, source_id: str) -> None:
    """They keep their names, their arguments and what they return."""
    script(guids=("one",), imports=lambda obj: False)
    source = act("harvest_source_patch", id=source_id, config='{"api_key": "hunter2-secret"}')
    job = harvest(source_id)
    server.mails.clear()
    user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    context = {"user": user, "ignore_auth": True}
    status = act("harvest_source_show_status", id=source_id)
    extra = update.get_mail_extra_vars(context, source_id, status)
    assert set(extra) == EXTRA_VARS
    assert (extra["job_id"], extra["records_in_error"], extra["records_added"]) == (job.id, "1", "0")
    assert extra["organization"] == source["organization"]["name"]
    assert extra["harvest_configuration"] == '{"api_key": "********"}'
    assert update.prepare_error_mail(context, source_id, status)[0] == ERROR
    assert update.prepare_summary_mail(context, source_id, status)[0] == SUMMARY
    update.send_error_email(context, source_id, status)
    update.send_summary_email(context, source_id, status)
    server.unknown = {"nobody@example.org"}
    people = [{"name": "N", "email": "nobody@example.org"}, {"name": "S", "email": "somebody@example.org"}]
    update.send_mail(people, "Hello", "there")
    assert received(server) == [
        ("admin@example.org", ERROR),
        ("admin@example.org", SUMMARY),
        ("somebody@example.org", "Hello"),
    ]
    assert not any("hunter2" in text for _, _, text in server.mails)
