"""Clearing by the workers: what was asked for is done in the end, or it is said why not."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
import pytest
from ckan import model

from ckanext.harvest import clearing, progress, runner, tasks
from ckanext.harvest.model import HarvestJob, clear, clearings, jobs, lease_table
from ckanext.harvest.tests.harvesting import act, found, harvest, make_source
from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, save_by_hand
from ckanext.relay import lease, search

SCRIPT = {"imports": save_by_hand}
PLUGINS = {"scripted_harvester": ScriptedHarvester}
pytestmark = pytest.mark.usefixtures("portal", "script")


@pytest.fixture
def asked(script: Script, source_id: str) -> str:
    """A source with five datasets that somebody wants to be cleared."""
    script.guids = tuple("abcde")
    harvest(source_id)
    clearings.ask(source_id, "somebody")
    return source_id


def is_due(source_id: str) -> bool:
    """Whether the sweep sends a message for it."""
    return runner.Next("clear", source_id) in list(runner.tick())


def test_it_is_done(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is gone, how far it is is told on the way, and a message that comes late finds nothing to do."""
    monkeypatch.setattr(clearing, "_BATCH", 2)
    seen = []
    report = progress.report

    def look(done: int, total: int) -> None:
        report(done, total)
        known = clearings.find(asked)
        seen.append((known.done, known.total) if known else None)

    monkeypatch.setattr(progress, "report", look)
    assert is_due(asked)
    tasks.clear(asked)
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]
    assert clearings.find(asked) is None and not is_due(asked)
    model.Session.remove()
    assert found() == [] and HarvestJob.filter(source_id=asked).count() == 0
    harvest(asked)
    tasks.clear(asked)
    assert len(found()) == 5


def test_a_worker_that_dies(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has removed stays removed, and the next one goes on."""
    monkeypatch.setattr(clearing, "_BATCH", 2)
    with monkeypatch.context() as patch:

        def dies(package_ids: Any) -> None:
            remove(package_ids)
            raise KeyboardInterrupt

        remove = clear.remove_datasets
        patch.setattr(clear, "remove_datasets", dies)
        with pytest.raises(KeyboardInterrupt):
            tasks.clear(asked)
    model.Session.remove()
    assert is_due(asked)
    tasks.clear(asked)
    assert found() == [] and clearings.find(asked) is None


def test_what_goes_away_by_itself(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Solr that is away, and somebody who clears the source by a command: it is tried again."""
    with monkeypatch.context() as patch:

        def away() -> None:
            raise search.SearchUnavailable("Solr does not answer")

        patch.setattr(search, "require", away)
        tasks.clear(asked)
    assert is_due(asked)
    with lease.held(lease_table, jobs.clear_task(asked), longest=60):
        assert not is_due(asked)
        tasks.clear(asked)
        assert len(found()) == 5
    assert is_due(asked)
    tasks.clear(asked)
    assert found() == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (tk.ValidationError({"id": ["It is under a spell"]}), "5 datasets could not be removed"),
        (RuntimeError("The plugin has a bug"), "RuntimeError: The plugin has a bug"),
    ],
)
def test_a_plugin_that_refuses(asked: str, error: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said why, and not tried again until somebody asks."""

    def refuse(context: Any, data_dict: Any) -> None:
        raise error

    get_action = tk.get_action
    with monkeypatch.context() as patch:
        patch.setattr(clearing, "_somebody_is_told", lambda: True)
        patch.setattr(tk, "get_action", lambda name: refuse if name == "dataset_purge" else get_action(name))
        tasks.clear(asked)
    known = clearings.find(asked)
    assert known is not None and said in (known.error or "")
    assert not is_due(asked)
    tasks.clear(asked)
    assert len(found()) == 5
    clearings.ask(asked, "somebody")
    assert is_due(asked)
    tasks.clear(asked)
    assert found() == []


def test_whoever_clears_it_does_what_was_asked(asked: str) -> None:
    """A source that was cleared by the action need not be cleared by a worker any more."""
    act("harvest_source_clear", id=asked)
    assert clearings.find(asked) is None


def test_one_source_of_several(asked: str) -> None:
    """A sweep of one source sends the messages of that one."""
    other = str(make_source("scripted")["id"])
    assert runner.Next("clear", asked) not in list(runner.tick(other))
    assert runner.Next("clear", asked) in list(runner.tick(asked))
