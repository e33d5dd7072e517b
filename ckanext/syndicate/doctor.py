"""What is wrong with a portal's syndication, and how it is mended.

``ckan syndicate doctor`` shows what is found here. Nothing is written unless mending is asked for, and never at a
target.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from ckan.model import meta

from ckanext.relay import diagnosis, lease
from ckanext.relay.diagnosis import SAMPLE, Finding
from ckanext.relay.errors import ConfigurationError

from . import config, preflight, profiles, rules, runner
from .explanations import explain
from .model import lease_table, outbox
from .model.setup import MIGRATIONS
from .model.tables import FAILED, HELD, copy_table, outbox_table

_outbox, _copy = outbox_table, copy_table
#: Where ckanext-syndicate 2 kept profiles before they were settings.
_OLD_TABLE = "syndicate_config"


def examine(fix: bool = False) -> Iterator[Finding]:
    """Yield what is wrong, and mend it if asked to.

    What cannot be looked at, because something that is needed for it is not there, is left out: that is the finding.
    """
    yield from diagnosis.broker("syndicate")
    if finding := diagnosis.tables("syndicate", str(MIGRATIONS)):
        yield finding
        return
    yield from diagnosis.sweep(lease_table, runner.SWEEP, "datasets to be pushed", "start beat: ckan relay beat")
    yield from _settings()
    for profile in profiles.all_profiles():
        yield from preflight.examine(profile)
    yield from _given_up()
    yield from _held()
    yield from _old_table(fix)
    yield from _of_no_profile(fix)
    yield from _begun(fix)


# -- settings


def _settings() -> Iterator[Finding]:
    found = profiles.all_profiles()
    if not found:
        remedy = f"set {config.PROFILE_PREFIX}<ID>.ckan_url and {config.PROFILE_PREFIX}<ID>.api_key"
        yield Finding("no-target", "no target is configured", remedy)
    for problem in profiles.problems():
        yield Finding("setting-ignored", problem, "correct it, or take it out of the configuration")
    for key in config.idle_settings():
        yield Finding("setting-idle", f"{key} has no effect: Celery has queues of its own", "take it out")
    for profile in (each for each in found if each.predicate):
        try:
            rules.predicate_of(profile)
        except ConfigurationError as error:
            yield Finding("predicate-missing", str(error), error.hint or "correct it", samples=[profile.id])


# -- what waits for a person


def _given_up() -> Iterator[Finding]:
    by_cause: dict[tuple[str, str], list[str]] = defaultdict(list)
    for entry in outbox.entries(states=(FAILED,)):
        by_cause[entry.profile_id, entry.cause or ""].append(entry.local_id)
    for (profile_id, cause), ids in by_cause.items():
        what = f"datasets could not be pushed to {profile_id}. {explain(cause)}".rstrip()
        remedy = f"see why: ckan syndicate status --profile {profile_id}; then: ckan syndicate retry"
        yield Finding("given-up", what, remedy, len(ids), ids[:SAMPLE], left=len(ids))


def _held() -> Iterator[Finding]:
    held: dict[str, list[str]] = defaultdict(list)
    for entry in outbox.entries(states=(HELD,)):
        held[entry.profile_id].append(entry.local_id)
    for profile_id, ids in held.items():
        what = f"copies at {profile_id} are not taken away, because they are many"
        remedy = f"if it is meant: ckan syndicate approve {profile_id}"
        yield Finding("retractions-held", what, remedy, len(ids), ids[:SAMPLE], left=len(ids))


# -- what can be mended here


def _old_table(fix: bool) -> Iterator[Finding]:
    assert meta.engine is not None
    if not sa.inspect(meta.engine).has_table(_OLD_TABLE):
        return
    what = f"the table {_OLD_TABLE} of an older release is still there, with API keys in plain text"
    finding = Finding("old-table", what, "it is dropped; set profiles in the configuration", 1, [], True)
    if fix:
        sa.Table(_OLD_TABLE, sa.MetaData()).drop(meta.engine)
        finding.left = 0
    yield finding


def _of_no_profile(fix: bool) -> Iterator[Finding]:
    wrong = _outbox.c.profile_id.notin_([profile.id for profile in profiles.all_profiles()])
    rows = lease.rows(sa.select(_outbox.c.profile_id, sa.func.count()).where(wrong).group_by(_outbox.c.profile_id))
    if not rows:
        return
    names, count = [row[0] for row in rows], sum(row[1] for row in rows)
    what = "datasets wait for targets that are not configured any more"
    remedy = "they are not pushed there any more; what is at the target stays"
    finding = Finding("target-unknown", what, remedy, count, names[:SAMPLE], True, count)
    if fix:
        finding.left = count - lease.execute(sa.delete(_outbox).where(wrong))
    yield finding


def _begun(fix: bool) -> Iterator[Finding]:
    """Yield copies whose creation was begun and that nobody asks for any more: there may be one nobody knows of."""
    asked = sa.exists().where(_outbox.c.local_id == _copy.c.local_id, _outbox.c.profile_id == _copy.c.profile_id)
    known = [profile.id for profile in profiles.all_profiles()]
    wrong = sa.and_(_copy.c.intent.isnot(None), _copy.c.target_id.is_(None), _copy.c.profile_id.in_(known))
    rows: list[Any] = lease.rows(sa.select(_copy.c.local_id, _copy.c.profile_id).where(wrong, sa.not_(asked)))
    if not rows:
        return
    ids = [row.local_id for row in rows]
    what = "copies were begun, and nobody knows whether they are at the target"
    finding = Finding("copies-begun", what, "they are looked for, by a push", len(rows), ids[:SAMPLE], True, len(rows))
    if fix:
        with lease.transaction() as connection:
            for row in rows:
                outbox.ask([row.local_id], [row.profile_id], outbox.BULK, connection=connection)
        finding.left = 0
    yield finding
