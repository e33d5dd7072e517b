"""Typed getters of the plugin's settings; the only reader of ``ckan.harvest.*`` and ``ckanext.harvest.*``."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

import ckan.plugins.toolkit as tk

from ckanext.relay import config as relay_config
from ckanext.relay.errors import ConfigurationError


def _get(key: str) -> Any:
    # tests and older portals put plain strings into the config at run time
    return tk.config.get(key)


def _int(key: str, default: int = 0) -> int:
    value = _get(key)
    if value is None or value == "":
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{key} is {value!r}, which is not a whole number") from None


def _one_of(key: str, allowed: tuple[str, ...], default: str) -> str:
    value = str(_get(key) or default).lower()
    if value not in allowed:
        raise ConfigurationError(f"{key} is {value!r}, which is none of {', '.join(allowed)}")
    return value


def batch_size() -> int:
    """Return how many objects a worker claims at a time."""
    return _int("ckan.harvest.batch_size", 50)


def workers_per_source() -> int:
    """Return how many workers may process objects of the same source at a time."""
    return _int("ckan.harvest.workers_per_source", 4)


def gather_seconds() -> int:
    """Return after how many seconds a gather stage that does not end is taken for hung."""
    return _int("ckan.harvest.gather_seconds", 21600)


def object_seconds() -> int:
    """Return after how many seconds the processing of one object that does not end is taken for hung."""
    return _int("ckan.harvest.object_seconds", 1800)


def timeout_minutes() -> int | None:
    """Return after how many minutes without any activity a job is ended, or None for never."""
    return _int("ckan.harvest.timeout") or None


def source_limit() -> int:
    """Return the most sources that ``harvest_source_list`` answers with."""
    return _int("ckan.harvest.harvest_source_limit", 100)


def not_overwrite_fields() -> list[str]:
    """Return the dataset fields that keep their local value when a record changed."""
    return tk.aslist(_get("ckan.harvest.not_overwrite_fields") or [])


def default_dataset_name_append() -> str:
    """Return how names that are taken are told apart: ``number-sequence`` or ``random-hex``."""
    return _one_of(
        "ckanext.harvest.default_dataset_name_append", ("number-sequence", "random-hex"), default="number-sequence"
    )


def user_name() -> str | None:
    """Return the name of the user who harvests, if one is set."""
    return _get("ckanext.harvest.user_name") or None


# -- mail


def mails_errors() -> bool:
    """Return whether people are told of a job that has ended with errors."""
    return tk.asbool(_get("ckan.harvest.status_mail.errored") or False) or mails_all()


def mails_all() -> bool:
    """Return whether people are told of each job that has ended."""
    return tk.asbool(_get("ckan.harvest.status_mail.all") or False)


def site_title() -> str:
    """Return the title of this portal."""
    return str(_get("ckan.site_title") or "CKAN")


def site_url() -> str:
    """Return the address of this portal, without a slash at its end."""
    return str(_get("ckan.site_url") or "").rstrip("/")


# -- the log in the database


def log_scope() -> int:
    """Return which log messages are kept in the database: -1 none, 0 all, 1 to 7 parts."""
    scope = _int("ckan.harvest.log_scope", -1)
    if not -1 <= scope <= 7:
        raise ConfigurationError(f"ckan.harvest.log_scope is {scope}, which is not from -1 to 7")
    return scope


def log_level() -> int:
    """Return from which level on log messages are kept in the database, as a number of ``logging``."""
    levels = ("debug", "info", "warning", "error", "critical")
    return int(getattr(logging, _one_of("ckan.harvest.log_level", levels, default="debug").upper()))


def log_days() -> int:
    """Return how many days log messages stay in the database."""
    return _int("ckan.harvest.log_timeframe", 30)


# -- the message broker, as ckanext-harvest was told


def mq_type() -> str:
    """Return the kind of message broker: ``redis`` or ``amqp``."""
    kind = _one_of("ckan.harvest.mq.type", ("redis", "amqp", "ampq"), default="redis")
    return "redis" if kind == "redis" else "amqp"  # a misspelling that the documentation once had


def mq_hostname() -> str | None:
    """Return the host of the broker, or None if none is named."""
    return _get("ckan.harvest.mq.hostname") or None


def mq_port() -> int:
    """Return the port of the broker."""
    return _int("ckan.harvest.mq.port", 6379 if mq_type() == "redis" else 5672)


def mq_redis_db() -> int:
    """Return the number of the Redis database."""
    return _int("ckan.harvest.mq.redis_db")


def mq_password() -> str | None:
    """Return the password for the broker, or None for none."""
    return _get("ckan.harvest.mq.password") or (None if mq_type() == "redis" else "guest")


def mq_user() -> str:
    """Return the user of an AMQP broker."""
    return str(_get("ckan.harvest.mq.user_id") or "guest")


def mq_virtual_host() -> str:
    """Return the virtual host of an AMQP broker."""
    return str(_get("ckan.harvest.mq.virtual_host") or "/")


def broker_url() -> str | None:
    """Return the broker that the ``ckan.harvest.mq`` settings name, or None if they leave it to ``ckan.redis.url``."""
    host = mq_hostname()
    if mq_type() == "amqp":
        login = f"{quote(mq_user(), safe='')}:{quote(mq_password() or '', safe='')}@"
        return f"amqp://{login}{_netloc(host or 'localhost')}/{quote(mq_virtual_host(), safe='')}"
    if host is None:
        return None
    password = mq_password()
    login = f":{quote(password, safe='')}@" if password else ""
    return f"redis://{login}{_netloc(host)}/{mq_redis_db()}"


def _netloc(host: str) -> str:
    return f"[{host}]:{mq_port()}" if ":" in host else f"{host}:{mq_port()}"


# -- all of it


def check() -> None:
    """Return if every setting is what it must be.

    :raises ConfigurationError: the first that is not; names it
    """
    for getter in (
        *(batch_size, workers_per_source, gather_seconds, object_seconds, timeout_minutes, source_limit),
        *(default_dataset_name_append, log_scope, log_level, log_days, broker_url),
        *(relay_config.address_policy, relay_config.sweep_seconds, relay_config.lease_seconds),
    ):
        getter()
