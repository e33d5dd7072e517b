"""How Alembic reaches the database; CKAN calls it for ``ckan db upgrade -p report``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

VERSION_TABLE = "report_alembic_version"

url = str(context.config.get_main_option("sqlalchemy.url"))
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, version_table=VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, version_table=VERSION_TABLE)
        with context.begin_transaction():
            context.run_migrations()
