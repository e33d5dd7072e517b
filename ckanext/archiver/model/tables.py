"""The tables as existing databases and other extensions know them, and those of the engine.

Columns that existing databases do not have are added by our own migration and stand at the end of a table.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.lib.dictization import table_dictize
from ckan.model.types import make_uuid
from sqlalchemy.orm import declarative_base

from ckanext.archiver.domain import status
from ckanext.relay import clock, lease
from ckanext.relay.errors import redact

# The tables of CKAN are none of its own: others create, and drop, all that is in this metadata.
Base: Any = declarative_base()
metadata: sa.MetaData = Base.metadata

# Instances hold plain values and classes expressions; SQLAlchemy 1.4, which CKAN 2.11 has, knows no annotation that
# says both.
column: Any = sa.Column
TEXT = sa.UnicodeText

broken_enum = {True: "Broken", None: "Not sure if broken", False: "Downloaded OK"}


class Status:
    """What came of an attempt to archive a resource, by number and by text."""

    @classmethod
    def instance(cls) -> type[Status]:
        """Kept for other extensions."""
        return cls

    @classmethod
    def by_text(cls, status_text: str) -> int:
        """Return the id of a status.

        :raises KeyError: there is none with this text
        """
        return {text: status_id for status_id, text in status.TEXTS.items()}[status_text]

    @classmethod
    def by_id(cls, status_id: int) -> str:
        """Return the text of a status.

        :raises KeyError: there is none with this id
        """
        return status.TEXTS[status_id]

    @classmethod
    def is_status_broken(cls, status_id: int) -> bool | None:
        """Return whether a status says that the link is broken; None: it does not say."""
        return status.is_broken(status_id)

    @classmethod
    def is_ok(cls, status_id: int) -> bool:
        """Return whether a status says that the archive has the file."""
        return status.is_ok(status_id)


class Archival(Base):
    """What is known of the link of a resource, and of its copy: the latest attempt and the confirmed verdict."""

    __tablename__ = "archival"

    id = column(TEXT, primary_key=True, default=make_uuid)
    package_id = column(TEXT, nullable=False, index=True)
    resource_id = column(TEXT, nullable=False, index=True, unique=True)
    resource_timestamp = column(sa.DateTime)
    # the latest attempt
    status_id = column(sa.Integer)
    is_broken = column(sa.Boolean)
    reason = column(TEXT)
    url_redirected_to = column(TEXT)
    # the last good copy
    cache_filepath = column(TEXT)
    cache_url = column(TEXT)
    size = column(sa.BigInteger, default=0)
    mimetype = column(TEXT)
    hash = column(TEXT)
    etag = column(TEXT)
    last_modified = column(TEXT)
    # history
    first_failure = column(sa.DateTime)
    last_success = column(sa.DateTime)
    failure_count = column(sa.Integer, default=0)
    created = column(sa.DateTime, default=clock.now)
    updated = column(sa.DateTime)
    # ours
    cause = column(TEXT)
    verdict = column(TEXT)
    suspect_since = column(sa.DateTime)
    suspect_count = column(sa.Integer)
    checked_url = column(TEXT)
    sha256 = column(TEXT)
    redirects = column(TEXT)

    _SHOWN_OF_OURS = ("cause", "verdict", "suspect_since", "checked_url")
    _HIDDEN = ("suspect_count", "sha256", "redirects")

    def __repr__(self) -> str:
        resource = model.Session.get(model.Resource, self.resource_id)
        package = model.Session.get(model.Package, resource.package_id if resource else self.package_id)
        name = package.name if package else f"?{self.package_id}?"
        said = broken_enum[self.is_broken]
        return f"<Archival {said} /dataset/{name}/resource/{self.resource_id} {self.failure_count or 0} failures>"

    @classmethod
    def get_for_resource(cls, resource_id: str) -> Archival | None:
        """Return the archival of a resource, or None if there is none."""
        return model.Session.query(cls).filter(cls.resource_id == resource_id).first()

    @classmethod
    def get_for_package(cls, package_id: str) -> list[Archival]:
        """Return the archivals of the active resources of a dataset, in the order of these."""
        resource = model.Resource
        query = model.Session.query(cls).join(resource, resource.id == cls.resource_id)
        query = query.filter(cls.package_id == package_id, resource.state == model.State.ACTIVE)
        return query.order_by(resource.position).all()

    @classmethod
    def create(cls, resource_id: str) -> Archival:
        """Return a new archival, not added to the session.

        :raises ValueError: there is no such resource
        """
        resource = model.Session.get(model.Resource, resource_id)
        if resource is None:
            raise ValueError(f"There is no resource with the id {resource_id}")
        return cls(resource_id=resource_id, package_id=resource.package_id)

    @property
    def status(self) -> str | None:
        """The text of the status; None if there is no status, or one that nobody knows."""
        return status.TEXTS.get(self.status_id)

    def as_dict(self) -> dict[str, Any]:
        """Return the contract's columns, ``status``, ``is_broken_printable``, and then what we add; times as text."""
        fields = table_dictize(self, {"model": model})
        added = {name: fields.pop(name) for name in self._SHOWN_OF_OURS}
        for name in self._HIDDEN:
            del fields[name]
        added["checked_url"] = redact(added["checked_url"]) if added["checked_url"] else None
        return {**fields, "status": self.status, "is_broken_printable": broken_enum[self.is_broken], **added}


def aggregate_archivals_for_a_dataset(archivals: list[Archival]) -> dict[str, Any]:
    """Return what is said of a dataset: status and reason of its archival with the highest status.

    :returns: ``status_id``, ``status``, ``reason``, ``is_broken``, and as ``verdict`` the worst confirmed one; all
        None if there is no archival
    """
    tried = [each for each in archivals if each.status_id is not None]
    worst = max(tried, key=lambda each: each.status_id, default=None)
    verdicts = {each.verdict for each in archivals}
    return {
        "status_id": worst.status_id if worst else None,
        "status": worst.status if worst else None,
        "reason": worst.reason if worst else None,
        "is_broken": status.is_broken(worst.status_id) if worst else None,
        "verdict": next((verdict for verdict in ("broken", "unsure", None, "ok") if verdict in verdicts), None),
    }


link_table = sa.Table(
    "archiver_link",
    metadata,
    sa.Column("resource_id", TEXT, primary_key=True),
    sa.Column("package_id", TEXT, nullable=False),
    sa.Column("url", TEXT, nullable=False),
    sa.Column("url_hash", TEXT, nullable=False),
    sa.Column("host", TEXT, nullable=False),
    # of all that asks for a new check when it changes
    sa.Column("fingerprint", TEXT, nullable=False),
    # the check that is asked for: how urgently (None: not at all), not before when, and how often it came to nothing
    sa.Column("lane", TEXT),
    sa.Column("due", sa.DateTime),
    sa.Column("tries", sa.Integer, nullable=False),
    # the last check, and the next one if nobody asks before
    sa.Column("checked", sa.DateTime),
    sa.Column("recheck_at", sa.DateTime),
    sa.Column("suspect", sa.Boolean, nullable=False),
    # what others are still to be told of: the lane that it was checked in, who is about to tell
    sa.Column("notice", TEXT),
    sa.Column("notice_by", TEXT),
    sa.Column("succeeded", sa.Boolean, nullable=False),
    sa.Column("shows", sa.Boolean, nullable=False),
)
host_table = sa.Table(
    "archiver_host",
    metadata,
    sa.Column("host", TEXT, primary_key=True),
    # when the first of its links is due, and the first urgent one
    sa.Column("due", sa.DateTime),
    sa.Column("priority_due", sa.DateTime),
    sa.Column("claimed_by", TEXT),
    sa.Column("last_claim", sa.DateTime),
    sa.Column("not_before", sa.DateTime),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last_answer", sa.DateTime),
)
removal_table = sa.Table(
    "archiver_removal",
    metadata,
    sa.Column("path", TEXT, primary_key=True),
    sa.Column("resource_id", TEXT, nullable=False),
    sa.Column("due", sa.DateTime, nullable=False),
)
day_table = sa.Table(
    "archiver_day",
    metadata,
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("rechecks", sa.Integer, nullable=False),
)
lease_table = lease.table("archiver_lease", metadata)

#: The time of a statement, which is the same for all of its rows.
statement_time = sa.func.timezone("utc", sa.func.statement_timestamp(), type_=sa.DateTime)
is_open = link_table.c.lane.isnot(None)
#: A host that is not to be left alone just now.
may_be_asked = sa.or_(host_table.c.not_before.is_(None), host_table.c.not_before <= lease.now)
sa.Index("archiver_link_due_idx", link_table.c.lane, link_table.c.host, link_table.c.due, postgresql_where=is_open)
sa.Index(
    "archiver_link_recheck_idx",
    link_table.c.suspect.desc(), link_table.c.recheck_at, link_table.c.resource_id,
    postgresql_where=link_table.c.lane.is_(None),
)  # fmt: skip
sa.Index("archiver_link_package_idx", link_table.c.package_id)
sa.Index("archiver_link_open_package_idx", link_table.c.package_id, postgresql_where=is_open)
sa.Index("archiver_link_notice_idx", link_table.c.package_id, postgresql_where=link_table.c.notice.isnot(None))
sa.Index("archiver_link_url_idx", link_table.c.host, link_table.c.url_hash)
sa.Index("archiver_removal_due_idx", removal_table.c.due)
