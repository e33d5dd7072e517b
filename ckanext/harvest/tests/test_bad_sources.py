"""One bad source or harvester never stops the sweep, a worker, or another source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ckanext.harvest import registry, runner
from ckanext.harvest.harvesters import CKANHarvester
from ckanext.harvest.model import HarvestJob, HarvestSource, jobs
from ckanext.harvest.tests.harvesting import act, counts, ended, gather_errors, make_source, sql, start, sweep
from ckanext.harvest.tests.scripted_harvester import ScriptedHarvester


class InfoRaises(ScriptedHarvester):
    """A harvester that cannot even say its name."""

    def info(self) -> dict[str, Any]:
        raise RuntimeError("broken by the test")


class InfoIsNothing(ScriptedHarvester):
    """A harvester whose info is none."""

    def info(self) -> Any:
        return None


# the broken ones first: whoever looks for a harvester comes by them
PLUGINS = {"raises": InfoRaises, "is_nothing": InfoIsNothing, "scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")


def unknown_type(source_id: str) -> None:
    sql("UPDATE harvest_source SET type = 'gone' WHERE id = :id", id=source_id)


def row_without_dataset(source_id: str) -> None:
    sql("UPDATE harvest_source SET active = false, frequency = 'MANUAL' WHERE id = :id", id=source_id)
    sql("INSERT INTO harvest_source (id, url, type, active, frequency) VALUES ('bare', 'x', 'scripted', true, 'DAILY')")


def corrupt_config(source_id: str) -> None:
    sql("UPDATE harvest_source SET type = 'ckan', config = '{\"force_all\": tru' WHERE id = :id", id=source_id)


def unreadable_frequency(source_id: str) -> None:
    sql("UPDATE harvest_source SET frequency = 'each full moon' WHERE id = :id", id=source_id)


def no_frequency(source_id: str) -> None:
    sql("UPDATE harvest_source SET frequency = NULL WHERE id = :id", id=source_id)


def raising_harvester(source_id: str) -> None:
    bad = HarvestSource.get(source_id).url

    def gather(job: HarvestJob) -> Any:
        if job.source.url == bad:
            raise RuntimeError("broken by the test")
        return []

    ScriptedHarvester.script.gather = gather


BAD = [unknown_type, row_without_dataset, corrupt_config, unreadable_frequency, no_frequency, raising_harvester]


@pytest.mark.parametrize("spoil", BAD, ids=[spoil.__name__ for spoil in BAD])
def test_a_bad_source_among_good_ones(spoil: Callable[[str], None]) -> None:
    """The others are started and harvested; the bad one costs itself a job, with an error that says why, or nothing."""
    sources = [str(make_source("scripted", frequency="DAILY")["id"]) for _ in range(3)]
    spoil(sources[1])
    sweep()
    sweep()
    for source_id in (sources[0], sources[2]):
        [job] = HarvestJob.filter(source_id=source_id).all()
        ended(job.id)
        assert gather_errors(job) == []
    assert HarvestJob.filter(status="Running").count() == 0
    for job in HarvestJob.filter(source_id=sources[1]).all():
        assert gather_errors(job)


def test_a_step_of_the_sweep_that_fails(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong with one source, in starting or in ending it, the sweep comes to the others, and says so."""
    sources = [str(make_source("scripted", frequency="DAILY")["id"]) for _ in range(3)]
    start_due, finish = jobs.start_due, runner.finish

    def broken_start(source_id: str) -> None:
        if source_id == sources[0]:
            raise RuntimeError("cannot be started")
        start_due(source_id)

    def broken_finish(job_id: str) -> Any:
        if HarvestJob.get(job_id).source_id == sources[1]:
            raise RuntimeError("cannot be ended")
        return finish(job_id)

    monkeypatch.setattr(runner.log, "disabled", False)  # migrations, for one, silence loggers
    monkeypatch.setattr(jobs, "start_due", broken_start)
    list(runner.sweep())
    assert HarvestJob.filter(source_id=sources[0]).count() == 0
    assert HarvestJob.filter(status="Running").count() == 2
    assert "cannot be started" in caplog.text
    for job in HarvestJob.filter(status="Running").all():
        list(runner.gather(job.id))
    for source_id in sources[1:]:
        while "process" in [step.task for step in runner.process_batch(source_id)]:
            pass
    monkeypatch.setattr(runner, "finish", broken_finish)
    list(runner.sweep())
    assert "cannot be ended" in caplog.text
    assert [job.source_id for job in HarvestJob.filter(status="Running")] == [sources[1]]


def test_a_harvester_that_cannot_say_its_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is passed over and logged; all others are there, in the form and in the workers."""
    monkeypatch.setattr(registry.log, "disabled", False)
    assert registry.find("scripted") is ScriptedHarvester()
    assert set(registry.types()) >= {"scripted", "ckan"}
    assert isinstance(registry.find("ckan"), CKANHarvester)
    assert "broken by the test" in caplog.text
    job_id = start(str(make_source("scripted")["id"]))
    sweep()
    assert counts(ended(job_id)) == {"added": 1}
    assert act("harvesters_info_show")
