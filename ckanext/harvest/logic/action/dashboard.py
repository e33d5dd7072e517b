"""The action on how all sources are doing."""

from __future__ import annotations

import datetime
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import ckan.plugins.toolkit as tk
from kombu.exceptions import OperationalError

from ckanext.harvest import runner, tasks
from ckanext.harvest.domain import health_of_source, stats
from ckanext.harvest.domain.health_of_source import STATES, Finding, Run, Source
from ckanext.harvest.logic.auth import user_is_sysadmin
from ckanext.harvest.logic.parameters import limit_and_offset
from ckanext.harvest.model import dashboard, lease_table
from ckanext.relay import celery_app, clock, diagnosis, heartbeat, lease
from ckanext.relay.errors import redact

__all__ = ["harvest_dashboard_show"]

_LIMIT, _MOST = 50, 1000
_DAYS, _MOST_DAYS = 30, 366
#: Jobs of one source whose counts are shown one by one.
_JOBS = 50


@tk.side_effect_free
def harvest_dashboard_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return how harvesting goes: which sources are late, failing or shrinking, what the last jobs brought, and whether
    workers are there. Sysadmins see all sources, others those of the organizations whose datasets they may edit.

    :param state: only sources of which this is said: one of the keys of ``states``
    :param source_id: only this source, by id or name
    :param days: from how many days back what was done is summed up (30, at most 366)
    :param limit: how many sources at most (50, at most 1000)
    :param offset: how many of the sources to leave out, of which the worst are first
    :returns: ``states`` (of how many sources each state is said), ``count`` (of how many sources this is the list),
        ``sources``, ``days`` (what the jobs came to that ended on each day), ``jobs`` (the same for each job, if a
        source is named), ``engine`` (what is waiting, and who lives to do it)
    :raises ValidationError: one of the parameters makes no sense
    """
    tk.check_access("harvest_dashboard_show", context, data_dict)
    state, days = _state(data_dict), _number_of_days(data_dict)
    limit, offset = limit_and_offset(data_dict)
    source_id = _source_id(data_dict)
    organization_ids = None if _sees_all(context) else _organization_ids(context)
    now = clock.now()
    judged = _judge(dashboard.sources(organization_ids, source_id), now)
    if source_id and not judged:
        raise tk.ObjectNotFound(tk._("Harvest Source was not found."))
    listed = [each for each in judged if state in (None, *(found.state for found in each.findings))]
    page = listed[offset : offset + min(_LIMIT if limit is None else limit, _MOST)]
    only = None if organization_ids is None and not source_id else [each.row.id for each in judged]
    counts = Counter(found.state for each in judged for found in each.findings)
    return {
        "states": {each: counts[each] for each in STATES},
        "count": len(listed),
        "sources": _dicts(page),
        "days": _days(only, now, days),
        "jobs": [_dated(job) for job in dashboard.newest_jobs(source_id, _JOBS)] if source_id else [],
        "engine": _engine(only, names=user_is_sysadmin(context)),
    }


# -- what is asked for


def _state(data_dict: dict[str, Any]) -> str | None:
    state = data_dict.get("state") or None
    if state is not None and state not in STATES:
        raise tk.ValidationError({"state": [tk._("Must be one of {0}").format(", ".join(STATES))]})
    return state


def _number_of_days(data_dict: dict[str, Any]) -> int:
    days, _ = limit_and_offset({"limit": data_dict.get("days")})
    if days is not None and days > _MOST_DAYS:
        raise tk.ValidationError({"days": [tk._("Must be at most {0}").format(_MOST_DAYS)]})
    return _DAYS if days is None else days


def _source_id(data_dict: dict[str, Any]) -> str | None:
    named = data_dict.get("source_id")
    if not named:
        return None
    if not isinstance(named, str):
        raise tk.ValidationError({"source_id": [tk._("Must be an id or a name")]})
    if "\x00" in named:  # no text of the database holds it
        raise tk.ObjectNotFound(tk._("Harvest Source was not found."))
    return dashboard.id_of(named) or named


def _sees_all(context: Any) -> bool:
    return bool(context.get("ignore_auth")) or user_is_sysadmin(context)


def _organization_ids(context: Any) -> list[str]:
    """Return the organizations whose datasets the user may edit, as CKAN decides it for a dataset."""
    mine = {"user": context.get("user")}
    return [each["id"] for each in tk.get_action("organization_list_for_user")(mine, {"permission": "update_dataset"})]


# -- sources


@dataclass(frozen=True)
class _Judged:
    """A source, what there is to say of it, and its newest job."""

    row: Any
    findings: tuple[Finding, ...]
    last_job: tuple[str, Run] | None


def _judge(rows: list[Any], now: datetime.datetime) -> list[_Judged]:
    """Return the sources with what there is to say of each, those first that somebody should look at."""
    jobs = dashboard.newest_runs([row.id for row in rows])
    runs = {source_id: [run for _, run in found] for source_id, found in jobs.items()}
    may_shrink = [source_id for source_id, found in runs.items() if health_of_source.must_count(found)]
    datasets = dict.fromkeys(may_shrink, 0) | dashboard.datasets(may_shrink)
    judged = [
        _Judged(row, health_of_source.findings(_source(row, runs, datasets), now), jobs.get(row.id, [None])[0])
        for row in rows
    ]
    return sorted(judged, key=lambda each: STATES.index(each.findings[0].state))


def _source(row: Any, runs: dict[str, list[Run]], datasets: dict[str, int]) -> Source:
    found = runs.get(row.id, [])
    return Source(bool(row.active), row.frequency or "MANUAL", row.created, row.next_run, found, datasets.get(row.id))


def _dicts(page: list[_Judged]) -> list[dict[str, Any]]:
    datasets = dashboard.datasets([each.row.id for each in page])
    return [
        {
            "id": each.row.id,
            "name": each.row.name,
            "title": each.row.title or each.row.name,
            "url": redact(each.row.url or ""),
            "source_type": each.row.type,
            "frequency": each.row.frequency,
            "organization": {"name": each.row.group_name, "title": each.row.group_title or each.row.group_name}
            if each.row.group_name
            else None,
            "next_run": _iso(each.row.next_run),
            "datasets": datasets.get(each.row.id, 0),
            "findings": [_dated(asdict(found)) for found in each.findings],
            "last_job": _job_dict(*each.last_job) if each.last_job else None,
        }
        for each in page
    ]


def _job_dict(job_id: str, run: Run) -> dict[str, Any]:
    return {
        "id": job_id,
        "status": run.status,
        "started": _iso(run.started or run.created),
        "finished": _iso(run.ended),
        "stats": run.counts,
    }


# -- what was done, and who does it


def _days(source_ids: list[str] | None, now: datetime.datetime, count: int) -> list[dict[str, Any]]:
    """Return the sums of each day, also of those on which nothing was done."""
    if not count:
        return []
    first = now.date() - datetime.timedelta(days=count - 1)
    begun = datetime.datetime.combine(first, datetime.time())
    found = {each["day"]: each for each in dashboard.days(source_ids, begun)}
    nothing = {"jobs": 0, **dict.fromkeys(stats.KEYS, 0)}
    days = (first + datetime.timedelta(days=number) for number in range(count))
    return [_dated(nothing | found.get(day, {}) | {"day": day}) for day in days]


def _engine(source_ids: list[str] | None, names: bool) -> dict[str, Any]:
    """Return who is at work and what waits, from rows and the broker's own counts: no worker is asked.

    :param names: whether workers are told by name
    """
    workers = heartbeat.workers(lease_table)
    try:
        messages: dict[str, int] | None = celery_app.waiting(tasks.KIND)
    except OperationalError:
        messages = None
    last_sweep = lease.noted(lease_table, runner.SWEEP)
    return {
        "workers": len(workers),
        "processes": sum(worker.processes for worker in workers),
        "lanes": sorted({lane for worker in workers for lane in worker.lanes}),
        "worker_list": [_dated(asdict(worker)) for worker in workers] if names else [],
        "last_sweep": last_sweep,
        "sweep_missed": diagnosis.is_missed(last_sweep),
        "messages": messages,
        "open_jobs": dashboard.open_jobs(source_ids),
        "waiting_records": dashboard.waiting_records(source_ids),
        "waiting_records_counted_to": dashboard.COUNTED,
    }


def _dated(given: dict[str, Any]) -> dict[str, Any]:
    return {key: _iso(value) if isinstance(value, datetime.date) else value for key, value in given.items()}


def _iso(when: datetime.date | None) -> str | None:
    return when.isoformat() if when else None
