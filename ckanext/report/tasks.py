"""The Celery tasks of the report plugin: the sweep finds that something is due or asked for, a worker generates it."""

from __future__ import annotations

from ckanext.relay import config as relay_config
from ckanext.relay.celery_app import BULK, PRIORITY, add_queues, add_sweep, app, send

from . import runner, wanted
from .report_registry import ReportRegistry

KIND = "report"

#: When a worker that is at one report is taken for hung, and its process replaced.
HUNG_SECONDS = 2 * 60 * 60

add_queues(KIND)


@app.task(name="report.generate")
def generate() -> None:
    """Generate what is due, for a while."""
    for _ in runner.generate_due(ReportRegistry.instance().get_reports()):
        pass


@app.task(name="report.generate_wanted")
def generate_wanted(note_id: str) -> None:
    """Generate what somebody asked for."""
    wanted.generate(note_id, ReportRegistry.instance())


@app.task(name="report.sweep")
def sweep() -> None:
    """Let a worker generate, if something is due or asked for."""
    for note_id in wanted.waiting():
        send_wanted(note_id)
    if runner.due(ReportRegistry.instance().get_reports()):
        send(generate, kind=KIND, lane=BULK, expires=_until_the_next_sweeps(), time_limit=HUNG_SECONDS)


def send_wanted(note_id: str) -> None:
    """Let a worker generate what a note asks for, now."""
    expires = _until_the_next_sweeps()
    send(generate_wanted, note_id, kind=KIND, lane=PRIORITY, expires=expires, time_limit=HUNG_SECONDS)


def _until_the_next_sweeps() -> int:
    # a message is dropped if nobody comes to it in time, for then the next sweep has sent another
    return 4 * relay_config.sweep_seconds()


add_sweep("report.sweep", KIND)
