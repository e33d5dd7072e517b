"""Typed getters of the plugin's settings; the only reader of ``ckan.harvest.*`` and ``ckanext.harvest.*``."""

from __future__ import annotations

import logging
from urllib.parse import quote

import ckan.plugins.toolkit as tk

from ckanext.relay import config as relay_config
from ckanext.relay.config import get, one_of, whole


def batch_size() -> int:
    """Return how many objects a worker claims at a time."""
    return whole("ckan.harvest.batch_size", 50)


def workers_per_source() -> int:
    """Return how many workers may process objects of the same source at a time."""
    return whole("ckan.harvest.workers_per_source", 4)


def gather_seconds() -> int:
    """Return after how many seconds a gather stage that does not end is taken for hung."""
    return whole("ckan.harvest.gather_seconds", 21600)


def object_seconds() -> int:
    """Return after how many seconds the processing of one object that does not end is taken for hung."""
    return whole("ckan.harvest.object_seconds", 1800)


def timeout_minutes() -> int | None:
    """Return after how many minutes without any activity a job is ended, or None for never."""
    return whole("ckan.harvest.timeout", 0) or None


def source_limit() -> int:
    """Return the most sources that ``harvest_source_list`` answers with."""
    return whole("ckan.harvest.harvest_source_limit", 100)


def not_overwrite_fields() -> list[str]:
    """Return the dataset fields that keep their local value when a record changed."""
    return tk.aslist(get("ckan.harvest.not_overwrite_fields") or [])


def default_dataset_name_append() -> str:
    """Return how names that are taken are told apart: ``number-sequence`` or ``random-hex``."""
    return one_of(
        "ckanext.harvest.default_dataset_name_append", ("number-sequence", "random-hex"), default="number-sequence"
    )


def user_name() -> str | None:
    """Return the name of the user who harvests, if one is set."""
    return get("ckanext.harvest.user_name") or None


# -- mail


def mails_errors() -> bool:
    """Return whether people are told of a job that has ended with errors."""
    return tk.asbool(get("ckan.harvest.status_mail.errored") or False) or mails_all()


def mails_all() -> bool:
    """Return whether people are told of each job that has ended."""
    return tk.asbool(get("ckan.harvest.status_mail.all") or False)


def site_title() -> str:
    """Return the title of this portal."""
    return str(get("ckan.site_title") or "CKAN")


# -- the log in the database


def log_scope() -> int:
    """Return which log messages are kept in the database: -1 none, 0 all, 1 to 7 parts."""
    return whole("ckan.harvest.log_scope", -1, least=-1, most=7)


def log_level() -> int:
    """Return from which level on log messages are kept in the database, as a number of ``logging``."""
    levels = ("debug", "info", "warning", "error", "critical")
    return int(getattr(logging, one_of("ckan.harvest.log_level", levels, default="debug").upper()))


def log_days() -> int:
    """Return how many days log messages stay in the database."""
    return whole("ckan.harvest.log_timeframe", 30)


# -- the message broker, as ckanext-harvest was told


def mq_type() -> str:
    """Return the kind of message broker: ``redis`` or ``amqp``."""
    kind = one_of("ckan.harvest.mq.type", ("redis", "amqp", "ampq"), default="redis")
    return "redis" if kind == "redis" else "amqp"  # a misspelling that the documentation once had


def mq_hostname() -> str | None:
    """Return the host of the broker, or None if none is named."""
    return get("ckan.harvest.mq.hostname") or None


def mq_port() -> int:
    """Return the port of the broker."""
    return whole("ckan.harvest.mq.port", 6379 if mq_type() == "redis" else 5672)


def mq_redis_db() -> int:
    """Return the number of the Redis database."""
    return whole("ckan.harvest.mq.redis_db", 0)


def mq_password() -> str | None:
    """Return the password for the broker, or None for none."""
    return get("ckan.harvest.mq.password") or (None if mq_type() == "redis" else "guest")


def mq_user() -> str:
    """Return the user of an AMQP broker."""
    return str(get("ckan.harvest.mq.user_id") or "guest")


def mq_virtual_host() -> str:
    """Return the virtual host of an AMQP broker."""
    return str(get("ckan.harvest.mq.virtual_host") or "/")


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
