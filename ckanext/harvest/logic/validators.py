"""Validators of sources."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import model
from ckan.lib.navl.dictization_functions import Missing, validate

from ckanext.harvest import registry
from ckanext.harvest.domain import object_state
from ckanext.harvest.model import UPDATE_FREQUENCIES, HarvestJob, HarvestSource
from ckanext.relay import redaction, secrets
from ckanext.relay.errors import redact

_DEFAULT_PORTS = {"http": 80, "https": 443}


def harvest_source_id_exists(value: Any, context: Any) -> Any:
    """Accept the id of a source."""
    if HarvestSource.get(value) is None:
        raise tk.Invalid(tk._("Harvest Source with id {0!r} does not exist.").format(str(value)))
    return value


def harvest_job_exists(value: Any, context: Any) -> HarvestJob:
    """Accept the id of a job and return the job."""
    job = HarvestJob.get(value)
    if job is None:
        raise tk.Invalid(tk._("Harvest Job with id {0!r} does not exist.").format(str(value)))
    return job


def harvest_source_active_validator(value: Any, context: Any) -> bool:
    """Return whether a source is active, from a boolean or its text."""
    return tk.asbool(value)


def _normalize_url(url: str) -> str:
    """Return scheme, host without the scheme's own port, and path without a slash at its end.

    What is not a URL stays as it is: some harvesters read their source from elsewhere.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    host = (parts.hostname or "").lower()
    if port and port != _DEFAULT_PORTS.get(parts.scheme):
        host = f"{host}:{port}"
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}" if host else url.rstrip("/")


def harvest_source_url_as_meant(key: Any, data: Any, errors: Any, context: Any) -> None:
    """Take a URL without the blanks around it, and with the password that it was shown without."""
    url = data[key] = data[key].strip()
    this_id = data.get(("id",)) or getattr(context.get("package"), "id", "")
    stored = HarvestSource.get(this_id) if this_id and not isinstance(this_id, Missing) else None
    if stored is not None and url == redact(stored.url):
        url = data[key] = stored.url
    redaction.remember_all(url)


def harvest_source_url_validator(key: Any, data: Any, errors: Any, context: Any) -> None:
    """Refuse a URL that another source has already with the same configuration."""
    harvest_source_url_as_meant(key, data, errors, context)
    url = data[key]
    this_id = data.get(("id",)) or getattr(context.get("package"), "id", "")
    config = data.get(("config",)) or None
    if isinstance(config, Missing):
        config = None
    wanted = _normalize_url(url)
    others = sa.select(HarvestSource.id, HarvestSource.url, HarvestSource.config, model.Package.title).join(
        model.Package, sa.and_(model.Package.id == HarvestSource.id, model.Package.state != "deleted")
    )
    for other in model.Session.execute(others):
        if other.id != this_id and _normalize_url(other.url) == wanted and (other.config or None) == config:
            message = tk._("There already is a Harvest Source for this URL (& config): url={0} title={1}")
            errors[key].append(message.format(redact(other.url), other.title))
            return


def harvest_source_type_exists(value: str, context: Any) -> str:
    """Accept a type of source for which a harvester is enabled."""
    types = registry.types()
    if value not in types:
        message = tk._("Unknown harvester type: {0}. Registered types: {1!r}")
        raise tk.Invalid(message.format(value, types))
    return value


def harvest_source_frequency_exists(value: str) -> str:
    """Accept a frequency in any case; an empty one is MANUAL."""
    value = value.upper() or "MANUAL"
    if value not in UPDATE_FREQUENCIES:
        raise tk.Invalid(tk._("Frequency {0} not recognised").format(value))
    return value


def harvest_source_config_validator(key: Any, data: Any, errors: Any, context: Any) -> None:
    """Let the harvester of the source check its configuration.

    A secret that comes back masked, as it was shown, keeps its stored value; where none is stored, it is left out.
    """
    config = data.get(key)
    source_id = data.get(("id",)) or getattr(context.get("package"), "id", None)
    stored = HarvestSource.get(source_id) if source_id and not isinstance(source_id, Missing) else None
    if isinstance(config, str):
        config = data[key] = secrets.unmask_json(config, stored.config if stored else None)
        redaction.remember_all(config)  # before anything logs it
    harvester = registry.find(data.get(("source_type",)))
    if not hasattr(harvester, "validate_config"):
        return
    try:
        validated = harvester.validate_config(None if isinstance(config, Missing) else config)
    except Exception as error:  # noqa: BLE001  the contract: whatever a harvester raises is a message for the form
        errors[key].append(tk._("Error parsing the configuration options: {0}").format(error))
        return
    if validated is not None:
        data[key] = validated


def harvest_source_extra_validator(key: Any, data: Any, errors: Any, context: Any) -> None:
    """Move the form fields that the harvester of the source names in ``extra_schema`` into its configuration."""
    given = data.pop(("__extras",), {})
    harvester = registry.find(data.get(("source_type",)))
    schema = harvester.extra_schema() if hasattr(harvester, "extra_schema") else {}
    if not schema:
        return
    own = {name: value for name, value in given.items() if name in schema}
    values, own_errors = validate(own, schema | {"__junk": [tk.get_validator("ignore")]}, context)
    for name, messages in own_errors.items():
        errors[(name,)] = messages
    config = data.get(("config",))
    try:
        merged = json.loads(config) if config and not isinstance(config, Missing) else {}
    except ValueError:
        return  # the config validator says what is wrong with it
    if not isinstance(merged, dict):
        return
    merged |= {name: value for name, value in values.items() if not isinstance(value, Missing)}
    if merged:
        data[("config",)] = json.dumps(merged)


def harvest_source_convert_from_config(key: Any, data: Any, errors: Any, context: Any) -> None:
    """Show each key of the configuration as a field of its own, which edit forms expect."""
    text = data.get(key)
    if not text or isinstance(text, Missing):
        return
    try:
        config = json.loads(text)
    except ValueError:
        data[key] = None
        return
    if isinstance(config, dict):
        for name, value in config.items():
            data.setdefault((name,), value)


def dataset_type_exists(value: Any) -> str:
    """Make the dataset a source, whatever type was given."""
    return "harvest"


def keep_not_empty_extras(key: Any, data: Any, errors: Any, context: Any) -> None:
    """Keep the fields that the schema does not know, but for empty ones."""
    for name, value in data.pop(key, {}).items():
        if value:
            data[(name,)] = value


def harvest_object_extras_validator(value: Any, context: Any) -> dict[str, str]:
    """Accept a dictionary whose keys and values are strings."""
    if not isinstance(value, dict):
        raise tk.Invalid(tk._("extras must be a dict"))
    for key, each in value.items():
        if not (isinstance(key, str) and isinstance(each, str)):
            raise tk.Invalid(tk._("extras must be a dict of strings"))
    return value


def harvest_object_state_exists(value: str) -> str:
    """Accept a state that objects can be in."""
    if value not in object_state.lifecycle.states:
        raise tk.Invalid(tk._("Must be one of {0}").format(", ".join(sorted(object_state.lifecycle.states))))
    return value
