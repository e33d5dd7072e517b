"""The commands on jobs."""

from __future__ import annotations

from collections.abc import Sequence

import click
import sqlalchemy as sa
from ckan import model

from ckanext.harvest.model import HarvestGatherError, HarvestJob, HarvestObject
from ckanext.relay.commands import as_json, echo_json

from .calling import ActionCommand, call, id_of_source, job_or_source


@click.command("job", cls=ActionCommand)
@click.argument("id_or_name")
@as_json
def job_command(id_or_name: str, as_json: bool) -> None:
    """Create a job for a harvest source and hand it to the workers."""
    if as_json:
        echo_json(call("harvest_job_create", {"source_id": id_of_source(id_or_name)}))
    else:
        click.echo(create_job(id_or_name))


def create_job(source_id_or_name: str) -> str:
    """Create a job for a source, hand it to the workers, and return what there is to say about it."""
    created = call("harvest_job_create", {"source_id": id_of_source(source_id_or_name)})
    [block] = _blocks([HarvestJob.get(created["id"])])
    return f"{block}\nThere is 1 new harvest job, for source {source_id_or_name}"


@click.command("jobs", cls=ActionCommand)
@click.option("--limit", type=click.IntRange(min=1), help="Show so many at most, newest first.")
@as_json
def jobs_command(limit: int | None, as_json: bool) -> None:
    """List harvest jobs, newest first."""
    if as_json:
        echo_json([each.as_dict() for each in _jobs(limit)])
    else:
        click.echo(list_jobs(limit))


def list_jobs(limit: int | None = None) -> str:
    """Return what there is to say about the jobs, newest first."""
    return "\n".join([*_blocks(_jobs(limit)), f"There are {HarvestJob.filter().count()} harvest jobs"])


def _jobs(limit: int | None) -> list[HarvestJob]:
    return model.Session.query(HarvestJob).order_by(HarvestJob.created.desc()).limit(limit).all()


@click.command("job-abort", cls=ActionCommand)
@click.argument("source_or_job")
def job_abort_command(source_or_job: str) -> None:
    """End a job now, named by its id or by its source, whose newest job is meant."""
    click.echo(abort_job(source_or_job))


def abort_job(job_or_source_id_or_name: str) -> str:
    """End a job now, named by its id or by its source."""
    return f"Job status: {call('harvest_job_abort', {'id': job_or_source(job_or_source_id_or_name)})['status']}"


@click.command("job-retry", cls=ActionCommand)
@click.argument("source_or_job")
@as_json
def job_retry_command(source_or_job: str, as_json: bool) -> None:
    """Try the failed records of a job again, named by its id or by its source, whose newest job is meant."""
    created = call("harvest_job_retry", {"id": job_or_source(source_or_job)})
    if as_json:
        echo_json(created)
        return
    [block] = _blocks([HarvestJob.get(created["id"])])
    click.echo(f"{block}\nThere is 1 new harvest job, for the records that failed")


@click.command("abort-failed-jobs", cls=ActionCommand)
@click.argument("life_span", type=click.IntRange(min=0), required=False)
@click.option("-i", "--include", help="Only these sources: ids or names with commas between them.")
@click.option("-e", "--exclude", help="All but these sources, unless some are included.")
def abort_failed_jobs_command(life_span: int | None, include: str | None, exclude: str | None) -> None:
    """End jobs that run for longer than the period of their source.

    LIFE_SPAN is the period, in days, of sources that have none (7).
    """
    click.echo(abort_failed_jobs(life_span, include, exclude))


def abort_failed_jobs(job_life_span: int | None = None, include: str | None = None, exclude: str | None = None) -> str:
    """End jobs that run for too long; see the action ``harvest_abort_failed_jobs``."""
    given = {"life_span": job_life_span, "include": _source_ids(include), "exclude": _source_ids(exclude)}
    return str(call("harvest_abort_failed_jobs", given))


def _source_ids(given: str | None) -> list[str]:
    return [id_of_source(each.strip()) for each in (given or "").split(",") if each.strip()]


@click.command("job-all", cls=ActionCommand)
@as_json
def job_all_command(as_json: bool) -> None:
    """Create a job for each active source that has none, and hand them to the workers."""
    if as_json:
        echo_json(call("harvest_job_create_all", {}))
    else:
        click.echo(job_all())


def job_all() -> str:
    """Create a job for each active source that has no open one."""
    return f"Created {len(call('harvest_job_create_all', {}))} new harvest jobs"


def _blocks(jobs: Sequence[HarvestJob]) -> list[str]:
    """Return a block of text for each job; the counts and errors of all are asked for at once."""
    ids = [each.id for each in jobs]
    of_job = sa.select(HarvestObject.harvest_job_id, sa.func.count().label("objects"))
    of_job = of_job.where(HarvestObject.harvest_job_id.in_(ids)).group_by(HarvestObject.harvest_job_id)
    objects = {row.harvest_job_id: row.objects for row in model.Session.execute(of_job)}
    errors: dict[str, list[str]] = {}
    query = model.Session.query(HarvestGatherError).filter(HarvestGatherError.harvest_job_id.in_(ids))
    for error in query.order_by(HarvestGatherError.created.desc()):
        errors.setdefault(error.harvest_job_id, []).append(error.message)
    blocks = []
    for each in jobs:
        lines = [
            f"       Job id: {each.id}",
            f"       status: {each.status}",
            f"       source: {each.source_id}",
            f"      objects: {objects.get(each.id, 0)}",
            *(f" gather_error: {message}" for message in errors.get(each.id, ())),
        ]
        blocks.append("\n".join(lines) + "\n")
    return blocks


COMMANDS = (
    job_command, jobs_command, job_abort_command, job_retry_command, abort_failed_jobs_command, job_all_command,
)  # fmt: skip
