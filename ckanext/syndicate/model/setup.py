"""The tables, made and brought up to date."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

MIGRATIONS = Path(__file__).parents[1] / "migration" / "syndicate"


def init_tables(engine: sa.engine.Engine) -> None:
    """Make the tables, or bring them up to date: the same as ``ckan db upgrade -p syndicate``, in whatever order.

    Old test suites and ``ckan syndicate init`` call this.
    """
    config = Config(str(MIGRATIONS / "alembic.ini"))
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
