"""What people asked the workers to generate: a row of ``data_cache`` each, which is gone when the report is there or
has failed. The message to a worker is a hint; the sweep sends it again as long as there is the row."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ckan import model

from ckanext.relay import lease
from ckanext.relay.clock import now

from . import runner
from .domain.options import WANTED, extract_entity_name
from .model import DataCache

if TYPE_CHECKING:
    from .report_registry import Report, ReportRegistry

log = logging.getLogger(__name__)

#: How often a report is begun whose worker ends on the way: it has too little memory, as a rule.
MOST_ATTEMPTS = 2


@dataclass(frozen=True)
class Wanted:
    """A report that somebody asked for.

    :param report: its name
    :param asked: when, UTC, in ISO format
    :param begun: when a worker began to generate it, UTC, in ISO format; None while it waits
    :param attempts: how often one began
    """

    report: str
    options: dict[str, Any]
    asked: str
    begun: str | None = None
    attempts: int = 0


def ask(report: Report, options: dict[str, Any]) -> str:
    """Note that a report is to be generated, if that is not noted already, and commit.

    :param options: a value for each option
    :returns: the id of the note, for :func:`generate`
    """
    object_id, key = _place(report, options)
    if DataCache.version(object_id, key) is None:
        _note(object_id, key, Wanted(report.name, options, now().isoformat()))
    found = DataCache.version(object_id, key)
    return found[0] if found else ""


def find(report: Report, options: dict[str, Any]) -> Wanted | None:
    """Return what was asked for with these options and is not done."""
    value = DataCache.get(*_place(report, options))[0]
    return Wanted(**json.loads(value)) if value else None


def waiting() -> list[str]:
    """Return the ids of all notes; those that a worker is at are among them."""
    query = model.Session.query(DataCache.id).filter(DataCache.key.startswith(WANTED, autoescape=True))
    return [row.id for row in query.order_by(DataCache.created)]


def generate(note_id: str, registry: ReportRegistry) -> None:
    """Generate what a note asks for, unless another process is at it or it was done."""
    with lease.only_one(f"ckanext-report {note_id}") as mine:
        row = model.Session.get(DataCache, note_id) if mine else None
        if row is None:
            return
        object_id, key, wanted = row.object_id, row.key, Wanted(**json.loads(row.value))
        try:
            report = registry.get_report(wanted.report)
        except KeyError:
            log.warning("The report %s was asked for, but no plugin brings it any more", wanted.report)
        else:
            _note(object_id, key, replace(wanted, begun=now().isoformat(), attempts=wanted.attempts + 1))
            _attempt(report, wanted)
        DataCache.drop(object_id, key)
        model.Session.commit()


def _attempt(report: Report, wanted: Wanted) -> None:
    options = {name: wanted.options.get(name, default) for name, default in report.option_defaults.items()}
    if wanted.attempts < MOST_ATTEMPTS:
        runner.attempt(report, options)
    else:
        runner.note_failure(report, options, "The worker ended on the way, again and again: was there enough memory?")


def _note(object_id: str | None, key: str, wanted: Wanted) -> None:
    DataCache.set(object_id, key, asdict(wanted), convert_json=True)
    model.Session.commit()


def _place(report: Report, options: dict[str, Any]) -> tuple[Any, str]:
    return extract_entity_name(options), WANTED + report.generate_key(options)
