"""The Celery tasks of the report plugin: the sweep finds that something is due, a worker generates it."""

from __future__ import annotations

from ckanext.relay import config as relay_config
from ckanext.relay.celery_app import BULK, add_queues, add_sweep, app, send

from . import runner
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


@app.task(name="report.sweep")
def sweep() -> None:
    """Let a worker generate, if something is due."""
    if runner.due(ReportRegistry.instance().get_reports()):
        # dropped if nobody comes to it in time, for then the next sweep has sent another
        expires = 4 * relay_config.sweep_seconds()
        send(generate, kind=KIND, lane=BULK, expires=expires, time_limit=HUNG_SECONDS)


add_sweep("report.sweep", KIND)
