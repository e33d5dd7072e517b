"""The tables of the engine. That of the contract, which others read and write too, is in :mod:`.log`."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import declarative_base

from ckanext.relay import lease

# The tables of CKAN are none of its own: others create, and drop, all that is in this metadata.
Base: Any = declarative_base()
metadata: sa.MetaData = Base.metadata

TEXT = sa.UnicodeText

#: What is to be brought to a target: a row a dataset and profile.
outbox_table = sa.Table(
    "syndication_outbox",
    metadata,
    sa.Column("local_id", TEXT, primary_key=True),
    sa.Column("profile_id", TEXT, primary_key=True),
    # one more with each change, so that who finishes sees whether there was another one meanwhile
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("rank", sa.SmallInteger, nullable=False),
    sa.Column("asked", sa.DateTime, nullable=False),
    sa.Column("due", sa.DateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("claimed_by", TEXT),
    sa.Column("state", TEXT, nullable=False),
    # whether it takes a copy away; None: nobody has looked yet
    sa.Column("retracts", sa.Boolean),
    # also if nothing seems to have changed
    sa.Column("force", sa.Boolean, nullable=False),
    # of the last failure; they stay until the row goes
    sa.Column("cause", TEXT),
    sa.Column("error", TEXT),
    sa.Column("failing_since", sa.DateTime),
)
#: What is at a target. It outlives the dataset, so that the copy of one that is purged can be retracted.
copy_table = sa.Table(
    "syndication_copy",
    metadata,
    sa.Column("local_id", TEXT, primary_key=True),
    sa.Column("profile_id", TEXT, primary_key=True),
    sa.Column("name", TEXT, nullable=False),
    sa.Column("target_id", TEXT),
    sa.Column("target_name", TEXT),
    # since when a copy may be there that nobody has seen yet: its creation was begun
    sa.Column("intent", sa.DateTime),
    sa.Column("payload_hash", TEXT),
    sa.Column("target_modified", TEXT),
    # JSON: ids of the target by ours
    sa.Column("resources", TEXT),
    # JSON: names
    sa.Column("groups", TEXT),
    # at the target; None: there may be none
    sa.Column("presence", TEXT),
    sa.Column("pushed", sa.DateTime),
    sa.Column("retracted", sa.DateTime),
)
target_table = sa.Table(
    "syndication_target",
    metadata,
    sa.Column("profile_id", TEXT, primary_key=True),
    sa.Column("ckan_url", TEXT),
    # which portal it said it is, and when
    sa.Column("site_url", TEXT),
    sa.Column("checked", sa.DateTime),
    # since it answered last
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("not_before", sa.DateTime),
    sa.Column("cause", TEXT),
    sa.Column("error", TEXT),
    sa.Column("down_since", sa.DateTime),
    # until when a person allows that many copies are taken away
    sa.Column("approved", sa.DateTime),
)
organization_table = sa.Table(
    "syndication_organization",
    metadata,
    sa.Column("profile_id", TEXT, primary_key=True),
    sa.Column("organization_id", TEXT, primary_key=True),
    sa.Column("remote_id", TEXT, nullable=False),
    # URL of the picture that was uploaded last
    sa.Column("picture", TEXT),
)
lease_table = lease.table("syndicate_lease", metadata)

#: Of a row of the outbox.
WAITING, HELD, FAILED = "waiting", "held", "failed"
#: Of a copy at its target.
ACTIVE, PRIVATE, DELETED = "active", "private", "deleted"

is_waiting = outbox_table.c.state == sa.literal_column(f"'{WAITING}'")
sa.Index(
    "syndication_outbox_waiting_idx",
    outbox_table.c.profile_id, outbox_table.c.rank, outbox_table.c.asked,
    postgresql_where=is_waiting,
)  # fmt: skip
sa.Index("syndication_copy_target_idx", copy_table.c.profile_id, copy_table.c.target_id)
sa.Index(
    "syndication_copy_pushed_idx",
    copy_table.c.profile_id, copy_table.c.pushed, postgresql_include=["presence", "local_id"],
)  # fmt: skip
