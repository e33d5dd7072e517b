"""CKAN calls it for ``ckan db upgrade -p archiver``, and ``model.init_tables``."""

from ckanext.relay import migrations

migrations.run("archiver")
