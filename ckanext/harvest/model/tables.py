"""The tables, columns and relations as existing databases and third-party harvesters know them.

Columns that existing databases do not have are added by our own migration and marked *engine* below; they never
show in ``as_dict``.
"""

from __future__ import annotations

import datetime
import logging
from typing import Any

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model
from ckan.model.domain_object import DomainObject
from ckan.model.types import make_uuid
from sqlalchemy import event
from sqlalchemy.orm import backref, relationship

from ckanext.harvest.domain.stats import KEYS
from ckanext.relay import clock, lease, redaction
from ckanext.relay.errors import redact
from ckanext.relay.texts import storable

log = logging.getLogger(__name__)

UPDATE_FREQUENCIES = ["MANUAL", "MONTHLY", "WEEKLY", "BIWEEKLY", "DAILY", "ALWAYS"]

# Instances hold plain values and classes expressions; SQLAlchemy 1.4, which CKAN 2.11 has, knows no annotation that
# says both.
column: Any = sa.Column
related: Any = relationship

lease_table = lease.table("harvest_lease", tk.BaseModel.metadata)

#: What is known of a source that the workers are to clear; see :mod:`.clearings`.
clearing_table = sa.Table(
    "harvest_clearing",
    tk.BaseModel.metadata,
    sa.Column("source_id", sa.UnicodeText, sa.ForeignKey("harvest_source.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("user_name", sa.UnicodeText, nullable=False),
    sa.Column("asked", sa.DateTime, nullable=False),
    sa.Column("done", sa.Integer),
    sa.Column("total", sa.Integer),
    sa.Column("error", sa.UnicodeText),
)

#: What messages of the same cause have in common, as SQL: all but words with a digit in them, such as ids, addresses
#: and dates. What an HTTP server answers (404, 503) stays, and a GUID goes even if it has no digit.
_CAUSE = (
    r"md5(regexp_replace(left(coalesce(message, ''), 1000), '\mGUID\s+\S+|\mhttps?://\S+"
    r"|\m(?!(4[0-3]\d|451|50\d|51[01])\M)[^:\s''\"(){}\[\],;=]*\d[^:\s''\"(){}\[\],;=]*', '*', 'g'))"
)

#: What ``stats`` of a job has, in the order of their keys, as SQL.
_COUNTS = "ARRAY[" + ", ".join(f"(stats::json ->> '{key}')::integer" for key in KEYS) + "]"


def _fk(target: str, name: str, **kw: Any) -> sa.ForeignKey:
    return sa.ForeignKey(target, name=name, ondelete="CASCADE", **kw)


def _error_message(message: Any) -> str:
    """A remote portal may answer anything, and may repeat the token it was sent."""
    return storable(redaction.scrub(str(message)))


class HarvestError(Exception):
    """Base of the errors that the model raises."""


class PackageIdHarvestSourceIdMismatch(HarvestError):
    """The package belongs to another harvest source."""


class HarvestDomainObject(DomainObject):
    """What all harvest tables share: lookup by any column, and dictionaries without the engine's own columns."""

    key_attr = "id"
    _engine_columns: tuple[str, ...] = ()

    @classmethod
    def get(cls, key: Any, default: Any = None, attr: str | None = None) -> Any:
        """Return the first row whose column ``attr`` (``id`` unless told) equals ``key``, or ``default``."""
        attr = attr or cls.key_attr
        if attr == "id" and key is not None:
            # answered from the session's identity map where the row is loaded already
            return model.Session.get(cls, key) or default
        return cls.filter(**{attr: key}).first() or default

    @classmethod
    def filter(cls, **kwargs: Any) -> Any:
        """Return a query over the rows whose columns equal the given values."""
        return model.Session.query(cls).filter_by(**kwargs)

    def as_dict(self) -> dict[str, Any]:
        rendered = super().as_dict()
        return {key: value for key, value in rendered.items() if key not in self._engine_columns}


class HarvestSource(HarvestDomainObject, tk.BaseModel):
    """A remote place to harvest. Its id is also the id of the dataset of type ``harvest`` that describes it."""

    __tablename__ = "harvest_source"

    id = column(sa.UnicodeText, primary_key=True, default=make_uuid)
    url = column(sa.UnicodeText, nullable=False)
    title = column(sa.UnicodeText, default="")
    description = column(sa.UnicodeText, default="")
    config = column(sa.UnicodeText, default="")
    created = column(sa.DateTime, default=clock.now)
    type = column(sa.UnicodeText, nullable=False)
    active = column(sa.Boolean, default=True)
    user_id = column(sa.UnicodeText, default="")
    publisher_id = column(sa.UnicodeText, default="")
    frequency = column(sa.UnicodeText, default="MANUAL")
    next_run = column(sa.DateTime)

    def __repr__(self) -> str:
        # the config may hold the remote portal's token: never in a repr
        return f"<HarvestSource id={self.id} title={self.title!r} url={redact(self.url or '')!r} active={self.active}>"

    __str__ = __repr__

    def get_jobs(self, status: str | None = None) -> list[HarvestJob]:
        """Return the jobs of this source, those with the given status only if one is named."""
        query = model.Session.query(HarvestJob).filter(HarvestJob.source_id == self.id)
        return query.filter(HarvestJob.status == status).all() if status else query.all()


class HarvestJob(HarvestDomainObject, tk.BaseModel):
    """One run of a source. The status moves as :mod:`ckanext.harvest.domain.job_state` says."""

    __tablename__ = "harvest_job"
    _engine_columns = ("claimed_by", "attempts", "stats", "lane", "tally", "counts")

    id = column(sa.UnicodeText, primary_key=True, default=make_uuid)
    created = column(sa.DateTime, default=clock.now)
    gather_started = column(sa.DateTime)
    gather_finished = column(sa.DateTime)
    finished = column(sa.DateTime)
    source_id = column(sa.UnicodeText, _fk("harvest_source.id", "harvest_job_source_id_fkey"))
    status = column(sa.UnicodeText, default="New", nullable=False)
    claimed_by = column(sa.UnicodeText)  # engine: id of the lease that gathers
    attempts = column(sa.Integer, default=0)  # engine: how often gathering was begun
    stats = column(sa.UnicodeText)  # engine: the final counts as JSON, written once when the job finishes
    lane = column(sa.UnicodeText)  # engine: the queue of its messages, "priority" if a person started it
    tally = column(sa.UnicodeText)  # engine: while it runs, what was counted of it and when, as JSON
    counts = column(sa.ARRAY(sa.Integer), sa.Computed(_COUNTS, persisted=True))  # engine: of stats, for sums

    source = related(HarvestSource, backref=backref("jobs", order_by=created, passive_deletes=True))

    def get_last_finished_object(self) -> HarvestObject | None:
        """Return the object that was imported last, or None."""
        query = model.Session.query(HarvestObject).filter(
            HarvestObject.harvest_job_id == self.id,
            HarvestObject.state == "COMPLETE",
            HarvestObject.import_finished.isnot(None),
        )
        return query.order_by(HarvestObject.import_finished.desc()).first()

    def get_last_gathered_object(self) -> HarvestObject | None:
        """Return the object that was gathered last, or None."""
        query = model.Session.query(HarvestObject).filter(HarvestObject.harvest_job_id == self.id)
        return query.order_by(HarvestObject.gathered.desc()).first()

    def get_last_action_time(self) -> datetime.datetime | None:
        """Return when anything last happened to this job (naive UTC)."""
        if (imported := self.get_last_finished_object()) is not None:
            return imported.import_finished
        if self.gather_finished:
            return self.gather_finished
        if (gathered := self.get_last_gathered_object()) is not None:
            return gathered.gathered
        return self.created

    def get_gather_errors(self) -> list[HarvestGatherError]:
        """Return the errors of the gather stage, newest first."""
        query = model.Session.query(HarvestGatherError).filter_by(harvest_job_id=self.id)
        return query.order_by(HarvestGatherError.created.desc()).all()


class HarvestObject(HarvestDomainObject, tk.BaseModel):
    """One record of a job: what was gathered, its content, and what became of it."""

    __tablename__ = "harvest_object"
    _engine_columns = ("claimed_by", "published", "content_hash", "needs_index")

    id = column(sa.UnicodeText, primary_key=True, default=make_uuid)
    guid = column(sa.UnicodeText, default="")
    current = column(sa.Boolean, default=False)
    gathered = column(sa.DateTime, default=clock.now)
    fetch_started = column(sa.DateTime)
    content = column(sa.UnicodeText, nullable=True)
    fetch_finished = column(sa.DateTime)
    import_started = column(sa.DateTime)
    import_finished = column(sa.DateTime)
    state = column(sa.UnicodeText, default="WAITING")
    metadata_modified_date = column(sa.DateTime)
    retry_times = column(sa.Integer, default=0)
    harvest_job_id = column(sa.UnicodeText, _fk("harvest_job.id", "harvest_object_harvest_job_id_fkey"))
    harvest_source_id = column(sa.UnicodeText, _fk("harvest_source.id", "harvest_object_harvest_source_id_fkey"))
    package_id = column(
        sa.UnicodeText, _fk("package.id", "harvest_object_package_id_fkey", deferrable=True), nullable=True
    )
    report_status = column(sa.UnicodeText)
    claimed_by = column(sa.UnicodeText)  # engine: id of the lease that works on it
    published = column(sa.Boolean, default=False)  # engine: may be worked on although the gather stage still runs
    content_hash = column(sa.UnicodeText)  # engine: hash of the record and of what the config makes of it
    needs_index = column(sa.Boolean, default=False)  # engine: its dataset is saved, the search index lags behind

    job = related(HarvestJob, backref=backref("objects", passive_deletes=True))
    source = related(HarvestSource, backref=backref("objects", passive_deletes=True))
    package = related(model.Package, backref=backref("harvest_objects", passive_deletes=True))

    def __repr__(self) -> str:
        # no content: a record may be megabytes
        return f"<HarvestObject id={self.id} guid={self.guid!r} state={self.state} report_status={self.report_status}>"


class HarvestObjectExtra(HarvestDomainObject, tk.BaseModel):
    """A key and value that a harvester keeps with an object between its stages."""

    __tablename__ = "harvest_object_extra"

    id = column(sa.UnicodeText, primary_key=True, default=make_uuid)
    harvest_object_id = column(sa.UnicodeText, _fk("harvest_object.id", "harvest_object_extra_harvest_object_id_fkey"))
    key = column(sa.UnicodeText)
    value = column(sa.UnicodeText)

    object = related(HarvestObject, backref=backref("extras", cascade="all, delete-orphan", passive_deletes=True))


class HarvestGatherError(HarvestDomainObject, tk.BaseModel):
    """What went wrong for a whole job."""

    __tablename__ = "harvest_gather_error"
    _engine_columns = ("cause",)
    __mapper_args__ = {"eager_defaults": True}  # read back at once: who holds the error may remove the session

    id = column(sa.UnicodeText, primary_key=True, default=make_uuid)
    harvest_job_id = column(sa.UnicodeText, _fk("harvest_job.id", "harvest_gather_error_harvest_job_id_fkey"))
    message = column(sa.UnicodeText)
    created = column(sa.DateTime, default=clock.now)
    cause = column(sa.UnicodeText, sa.Computed(_CAUSE, persisted=True))  # engine: the same for messages of its kind

    job = related(HarvestJob, backref=backref("gather_errors", passive_deletes=True))

    @classmethod
    def create(cls, message: Any, job: HarvestJob) -> None:
        """Save an error of the gather stage and commit."""
        _save_error(cls(message=_error_message(message), harvest_job_id=job.id))
        log.debug("Gather error of job %s: %s", job.id, message)


class HarvestObjectError(HarvestDomainObject, tk.BaseModel):
    """What went wrong for one record."""

    __tablename__ = "harvest_object_error"
    _engine_columns = ("harvest_job_id", "cause")
    __mapper_args__ = {"eager_defaults": True}

    id = column(sa.UnicodeText, primary_key=True, default=make_uuid)
    harvest_object_id = column(sa.UnicodeText, _fk("harvest_object.id", "harvest_object_error_harvest_object_id_fkey"))
    message = column(sa.UnicodeText)
    stage = column(sa.UnicodeText)
    line = column(sa.Integer)
    created = column(sa.DateTime, default=clock.now)
    harvest_job_id = column(sa.UnicodeText, sa.FetchedValue())  # engine: of its object; the database fills it in
    cause = column(sa.UnicodeText, sa.Computed(_CAUSE, persisted=True))  # engine: the same for messages of its kind

    object = related(HarvestObject, backref=backref("errors", cascade="all, delete-orphan", passive_deletes=True))

    @classmethod
    def create(cls, message: Any, object: HarvestObject, stage: str = "Fetch", line: int | None = None) -> None:
        """Save an error of one record and commit."""
        _save_error(cls(message=_error_message(message), harvest_object_id=object.id, stage=stage, line=line))
        log.debug("%s error of object %s, line %s: %s", stage, object.id, line, message)


class HarvestLog(HarvestDomainObject, tk.BaseModel):
    """A log record kept in the database."""

    __tablename__ = "harvest_log"

    id = column(sa.UnicodeText, primary_key=True, default=make_uuid)
    content = column(sa.UnicodeText, nullable=False)
    level = column(sa.Enum("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", name="log_level"))
    created = column(sa.DateTime, default=clock.now)


def _save_error(error: HarvestGatherError | HarvestObjectError) -> None:
    """Save an error whatever state the session is in: a failed transaction is rolled back, and only the error is lost
    if the job or object it belongs to is gone."""
    session = model.Session
    try:
        session.add(error)
        session.commit()
    except (sa.exc.InvalidRequestError, sa.exc.IntegrityError, sa.exc.DataError):
        session.rollback()
        session.add(error)
        try:
            session.commit()
        except sa.exc.IntegrityError:
            session.rollback()
            log.warning("No such job or object any more, its error is only here: %s", error.message)


@event.listens_for(HarvestSource, "load")
@event.listens_for(HarvestSource, "refresh")
def _remember_secrets(source: HarvestSource, *_: Any) -> None:
    """Whoever works on a source may come to log what is in its configuration."""
    loaded = vars(source)
    for text in (loaded.get("config"), loaded.get("url")):
        if text:
            redaction.remember_all(text)


@event.listens_for(HarvestObject, "before_insert")
def harvest_object_before_insert_listener(_mapper: Any, connection: Any, target: HarvestObject) -> None:
    """Fill the source of an object from its job, which harvesters leave out.

    :raises HarvestError: the object has no job
    """
    if target.harvest_source_id:
        return
    if target.job is not None:
        target.harvest_source_id = target.job.source_id or target.job.source.id
        return
    jobs = HarvestJob.__table__
    source_id = connection.scalar(sa.select(jobs.c.source_id).where(jobs.c.id == target.harvest_job_id))
    if source_id is None:
        raise HarvestError("You must define a Harvest Job for each Harvest Object")
    target.harvest_source_id = source_id
