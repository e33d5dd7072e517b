"""How Alembic reaches the database; CKAN calls it for ``ckan db upgrade -p archiver``, and ``model.init_tables``."""

from __future__ import annotations

import contextlib
from typing import Any

import sqlalchemy as sa
from alembic import context

VERSION_TABLE = "archiver_alembic_version"


def connect() -> Any:
    """Return a context manager of the connection that init_tables gives, or else of one by the URL that CKAN gives."""
    given = context.config.attributes.get("connection")
    if given is not None:
        return contextlib.nullcontext(given)
    url = str(context.config.get_main_option("sqlalchemy.url"))
    return sa.create_engine(url, poolclass=sa.pool.NullPool).connect()


if context.is_offline_mode():
    context.configure(
        url=context.config.get_main_option("sqlalchemy.url"), literal_binds=True, version_table=VERSION_TABLE
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    with connect() as connection:
        context.configure(connection=connection, version_table=VERSION_TABLE)
        with context.begin_transaction():
            context.run_migrations()
