"""How Alembic reaches the database: what the ``env.py`` of each plugin's migrations calls."""

from __future__ import annotations

import contextlib
from typing import Any

import sqlalchemy as sa
from alembic import context


def version_table(plugin: str) -> str:
    """Return the name of the table in which CKAN looks for the revision of a plugin's tables."""
    return f"{plugin}_alembic_version"


def run(plugin: str) -> None:
    """Run a plugin's migrations, by the URL that CKAN gives, or over the ``connection`` among the attributes of the
    configuration; offline they are printed."""
    table = version_table(plugin)
    url = str(context.config.get_main_option("sqlalchemy.url"))
    if context.is_offline_mode():
        context.configure(url=url, literal_binds=True, version_table=table)
        with context.begin_transaction():
            context.run_migrations()
        return
    with _connection(url) as connection:
        context.configure(connection=connection, version_table=table)
        with context.begin_transaction():
            context.run_migrations()


def _connection(url: str) -> Any:
    given = context.config.attributes.get("connection")
    if given is not None:
        return contextlib.nullcontext(given)
    return sa.create_engine(url, poolclass=sa.pool.NullPool).connect()
