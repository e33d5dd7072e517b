"""CKAN calls it for ``ckan db upgrade -p syndicate``, and ``model.init_tables``."""

from ckanext.relay import migrations

migrations.run("syndicate")
