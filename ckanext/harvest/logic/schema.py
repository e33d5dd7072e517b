"""Schemas of the dataset type ``harvest``."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan.logic.schema import (
    default_create_package_schema,
    default_show_package_schema,
    default_update_package_schema,
    validator_args,
)

from . import validators as v

unicode_safe = tk.get_validator("unicode_safe")


@validator_args
def harvest_source_schema(
    not_empty: Any,
    ignore_missing: Any,
    if_empty_same_as: Any,
    name_validator: Any,
    package_name_validator: Any,
    ignore: Any,
    convert_to_extras: Any,
    duplicate_extras_key: Any,
) -> dict[str, Any]:
    """Return the fields of a source as forms and actions give them."""
    return default_create_package_schema() | {
        "type": [v.dataset_type_exists],
        "source_type": [not_empty, unicode_safe, v.harvest_source_type_exists, convert_to_extras],
        "name": [not_empty, unicode_safe, name_validator, package_name_validator],
        "title": [if_empty_same_as("name"), unicode_safe],
        "frequency": [ignore_missing, unicode_safe, v.harvest_source_frequency_exists, convert_to_extras],
        "organization": [ignore_missing],
        # before all fields: those of the harvester go into the config, which its own validator then sees
        "__before": [v.harvest_source_extra_validator, duplicate_extras_key, ignore],
        "config": [v.harvest_source_config_validator, ignore_missing, convert_to_extras],
        "url": [not_empty, unicode_safe, v.harvest_source_url_validator],
        "status": [ignore],
        "active": [ignore],
        "__junk": [ignore],
    }


def harvest_source_create_package_schema() -> dict[str, Any]:
    """Return the schema for a new source."""
    return harvest_source_schema()


def harvest_source_update_package_schema() -> dict[str, Any]:
    """Return the schema for a source that is there: its id may be named, its organization left out."""
    update = default_update_package_schema()
    return harvest_source_schema() | {"id": update["id"], "owner_org": update["owner_org"]}


@validator_args
def harvest_source_test_schema(not_empty: Any, ignore_missing: Any, ignore: Any) -> dict[str, Any]:
    """Return the fields of a source that its connection depends on."""
    return {
        "id": [ignore_missing, unicode_safe],
        "source_type": [not_empty, unicode_safe, v.harvest_source_type_exists],
        "__before": [v.harvest_source_extra_validator, ignore],
        "config": [v.harvest_source_config_validator, ignore_missing],
        "url": [not_empty, unicode_safe, v.harvest_source_url_as_meant],
        "__extras": [ignore],
        "__junk": [ignore],
    }


@validator_args
def harvest_source_show_package_schema(convert_from_extras: Any, ignore_missing: Any) -> dict[str, Any]:
    """Return the schema by which a source is shown."""
    return default_show_package_schema() | {
        "source_type": [convert_from_extras, ignore_missing],
        "frequency": [convert_from_extras, ignore_missing],
        "config": [convert_from_extras, v.harvest_source_convert_from_config, ignore_missing],
    }


@validator_args
def harvest_object_create_schema(ignore_missing: Any, not_empty: Any, package_id_exists: Any) -> dict[str, Any]:
    """Return the fields of a new object."""
    return {
        "guid": [ignore_missing, unicode_safe],
        "content": [ignore_missing, unicode_safe],
        "state": [ignore_missing, unicode_safe, v.harvest_object_state_exists],
        "job_id": [not_empty, v.harvest_job_exists],
        "source_id": [ignore_missing, v.harvest_source_id_exists],
        "package_id": [ignore_missing, package_id_exists],
        "extras": [ignore_missing, v.harvest_object_extras_validator],
    }
