"""Let the errors of a job be found and counted by their cause.

An error has the job of its object, whoever writes either of them, and what its message has in common with others of its
kind. Jobs get a place for what is counted of them while they run. The two tables of errors are written anew, which
takes about ten seconds for 300,000 errors; that of the objects is not touched.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2c7d91e5a0f3"
down_revision = "9d3f6a20c8b4"

TABLES = ("harvest_object_error", "harvest_gather_error")
#: As ckanext.harvest.model.tables has it.
CAUSE = (
    r"md5(regexp_replace(left(coalesce(message, ''), 1000), '\mGUID\s+\S+|\mhttps?://\S+"
    r"|\m(?!(4[0-3]\d|451|50\d|51[01])\M)[^:\s''\"(){}\[\],;=]*\d[^:\s''\"(){}\[\],;=]*', '*', 'g'))"
)
FIND_JOB = "SELECT harvest_job_id FROM harvest_object WHERE id = {0}.harvest_object_id"


def upgrade() -> None:
    op.add_column("harvest_job", sa.Column("tally", sa.UnicodeText))
    op.execute("ALTER TABLE harvest_object_error ADD COLUMN harvest_job_id TEXT")
    op.execute(f"UPDATE harvest_object_error SET harvest_job_id = ({FIND_JOB.format('harvest_object_error')})")
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ADD COLUMN cause TEXT GENERATED ALWAYS AS ({CAUSE}) STORED")
    op.execute(
        "CREATE OR REPLACE FUNCTION harvest_object_error_job() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN NEW.harvest_job_id = ({FIND_JOB.format('NEW')}); RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER harvest_object_error_job BEFORE INSERT ON harvest_object_error "
        "FOR EACH ROW EXECUTE FUNCTION harvest_object_error_job()"
    )
    # ckanext-spatial gives the object of an unchanged record to the job that imported it before
    op.execute(
        "CREATE OR REPLACE FUNCTION harvest_object_moves() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN UPDATE harvest_object_error SET harvest_job_id = NEW.harvest_job_id "
        "WHERE harvest_object_id = NEW.id; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER harvest_object_moves AFTER UPDATE OF harvest_job_id ON harvest_object FOR EACH ROW "
        "WHEN (OLD.harvest_job_id IS DISTINCT FROM NEW.harvest_job_id) EXECUTE FUNCTION harvest_object_moves()"
    )
    op.create_index(
        "harvest_object_error_cause_idx", "harvest_object_error", ["harvest_job_id", "stage", "cause", "created"]
    )


def downgrade() -> None:
    op.drop_index("harvest_object_error_cause_idx", table_name="harvest_object_error")
    op.execute("DROP TRIGGER harvest_object_moves ON harvest_object")
    op.execute("DROP TRIGGER harvest_object_error_job ON harvest_object_error")
    op.execute("DROP FUNCTION harvest_object_moves()")
    op.execute("DROP FUNCTION harvest_object_error_job()")
    for table in TABLES:
        op.drop_column(table, "cause")
    op.drop_column("harvest_object_error", "harvest_job_id")
    op.drop_column("harvest_job", "tally")
