"""Generating reports: one process a report at a time, each stored as soon as it is there."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckan import model

from ckanext.relay import lease, redaction
from ckanext.relay.clock import now
from ckanext.relay.texts import storable

from . import config
from .domain.options import FAILED, extract_entity_name
from .domain.schedule import is_due
from .model import DataCache

if TYPE_CHECKING:
    from .report_registry import Report

log = logging.getLogger(__name__)

#: How long a worker generates reports before others have a turn in its process.
TURN_SECONDS = 60


@dataclass(frozen=True)
class Outcome:
    """How generating a report ended: ``error`` is None if it did well."""

    report: str
    options: dict[str, Any]
    seconds: float
    error: Exception | None = None


Job = tuple["Report", dict[str, Any]]


def refresh(report: Report, options: dict[str, Any]) -> tuple[Any, datetime.datetime]:
    """Generate a report, store it, commit, and return the data and when that was (UTC).

    If another process generates the same one, wait for it and return what it stored. Whatever ``generate`` raises is
    raised; the session is rolled back then.

    :param options: a value for each option
    """
    key, object_id = report.generate_key(options, defaults_for_missing_keys=False), extract_entity_name(options)
    asked = now()
    with lease.one_at_a_time(f"ckanext-report {key}"):
        version = DataCache.version(object_id, key)
        if version and version[1] and version[1] > asked:
            return DataCache.get(object_id, key, convert_json=True)[0], version[1]
        try:
            data = report.generate(**options)
            created = DataCache.set(object_id, key, data, convert_json=True)
            DataCache.drop(object_id, FAILED + key)
            model.Session.commit()
        except Exception as error:
            model.Session.rollback()
            note_failure(report, options, described(error))
            raise
    return data, created


def note_failure(report: Report, options: dict[str, Any], why: str) -> None:
    """Keep why a report could not be generated, and commit."""
    DataCache.set(extract_entity_name(options), FAILED + report.generate_key(options), why)
    model.Session.commit()


def described(error: Exception) -> str:
    """Return what an error says, for a sysadmin: without secrets, and without what PostgreSQL text cannot hold."""
    return storable(redaction.scrub(f"{type(error).__name__}: {error}"))


def attempt(report: Report, options: dict[str, Any]) -> Outcome:
    """Generate a report; what it raises is logged and returned."""
    started = time.monotonic()
    try:
        refresh(report, options)
    except Exception as error:  # third-party code; the other reports are generated all the same
        log.exception("The report %s could not be generated with %s", report.name, options)
        return Outcome(report.name, options, time.monotonic() - started, error=error)
    return Outcome(report.name, options, time.monotonic() - started)


def combinations(reports: Iterable[Report]) -> tuple[list[Job], list[Outcome]]:
    """Return each report with each of its combinations of options, and those that could not say which they are."""
    jobs: list[Job] = []
    failed: list[Outcome] = []
    for report in reports:
        try:
            jobs += [(report, options) for options in report.combinations()]
        except Exception as error:  # noqa: BLE001 - third-party code; without a trace, as a sweep comes here often
            log.error("The report %s cannot say its combinations of options: %r", report.name, error)
            failed.append(Outcome(report.name, {}, 0, error=error))
    return jobs, failed


def due(reports: Iterable[Report]) -> list[Job]:
    """Return the reports that the workers are to generate, with their options; those that never were come first."""
    hours, hour_of_day = config.generate_hours(), config.hour_of_day()
    if not hours:
        return []
    by_key = {report.generate_key(options): (report, options) for report, options in combinations(reports)[0]}
    created = DataCache.created_by_key([*by_key, *(FAILED + key for key in by_key)])
    found = [key for key in by_key if is_due(created.get(key), created.get(FAILED + key), now(), hours, hour_of_day)]
    return [by_key[key] for key in sorted(found, key=lambda key: created.get(key) or datetime.datetime.min)]


def generate_due(reports: Iterable[Report]) -> Iterator[Outcome]:
    """Generate what is due, for about a minute; do nothing if another process does."""
    with lease.only_one("ckanext-report due") as mine:
        until = time.monotonic() + TURN_SECONDS
        for report, options in due(reports) if mine else ():
            yield attempt(report, options)
            if time.monotonic() > until:
                return


def failure(report: Report, options: dict[str, Any]) -> tuple[str, datetime.datetime] | None:
    """Return what the last attempt to generate a report came to, and when, if it failed."""
    said, at = DataCache.get(extract_entity_name(options), FAILED + report.generate_key(options))
    return (said, at) if at else None
