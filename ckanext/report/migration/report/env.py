"""CKAN calls it for ``ckan db upgrade -p report``."""

from ckanext.relay import migrations

migrations.run("report")
