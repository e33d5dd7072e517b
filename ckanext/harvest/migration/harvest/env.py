"""CKAN calls it for ``ckan db upgrade -p harvest``."""

from ckanext.relay import migrations

migrations.run("harvest")
