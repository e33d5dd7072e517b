"""What beat sends and workers do. (A real worker generates reports in the flow test.)"""

from __future__ import annotations

import pytest

from ckanext.relay import celery_app
from ckanext.report import tasks
from ckanext.report.tests.browsing import report

pytestmark = pytest.mark.usefixtures("portal")


def test_beat_and_workers_know_the_tasks() -> None:
    """The sweep is in the schedule, and workers serve the queues."""
    assert celery_app._sweeps["report.sweep"] == "report"
    assert {"report.priority", "report.bulk"} <= celery_app._queues


def test_the_sweep_lets_a_worker_generate(monkeypatch: pytest.MonkeyPatch) -> None:
    """If something is due; not after it was generated."""
    sent: list[str] = []
    monkeypatch.setattr(tasks, "send", lambda task, **_: sent.append(task.name))
    tasks.sweep()
    assert sent == ["report.generate"]
    assert report("tagless-datasets").get_cached_date() is None
    tasks.generate()
    assert report("tagless-datasets").get_cached_date() is not None
    tasks.sweep()
    assert sent == ["report.generate"]
