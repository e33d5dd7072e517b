"""Typed getters of the plugin's settings; the only reader of ``ckanext-archiver.*`` and ``ckanext.archiver.*``."""

from __future__ import annotations

import datetime
import os

import ckan.plugins.toolkit as tk

from ckanext.relay import config as relay_config
from ckanext.relay.config import get, number, one_of, site_url, switch, url, whole
from ckanext.relay.errors import ConfigurationError

from .domain import plan
from .domain.history import Confirm
from .domain.host import Manners

# -- where the copies are


def archive_dir() -> str:
    """Return the absolute path of the folder in which copies are stored."""
    path = str(get("ckanext-archiver.archive_dir") or "/tmp/archive").strip()
    if not os.path.isabs(path) or "\0" in path or os.path.normpath(path).strip("/") == "":
        raise ConfigurationError(f"ckanext-archiver.archive_dir is {path!r}, which is no absolute path of a folder")
    return os.path.normpath(path)


def cache_url_root() -> str | None:
    """Return under which address a web server offers the folder, or None if the plugin does it itself."""
    return url("ckanext-archiver.cache_url_root")


def x_accel_prefix() -> str | None:
    """Return the location under which nginx finds the folder, beginning and ending with a slash, or None.

    :raises ConfigurationError: it does not begin with a slash
    """
    prefix = str(get("ckanext.archiver.x_accel_prefix") or "").strip()
    if prefix and (not prefix.startswith("/") or not prefix.isprintable()):
        raise ConfigurationError(f"ckanext.archiver.x_accel_prefix is {prefix!r}, which does not begin with a slash")
    return f"{prefix.rstrip('/')}/" if prefix else None


def quota_bytes() -> int | None:
    """Return how many bytes the copies may take, or None for any number."""
    return whole("ckanext.archiver.quota_bytes", 0) or None


def removal_grace() -> datetime.timedelta:
    """Return how long the copy of a resource that is gone stays."""
    hours = number("ckanext.archiver.removal_grace_hours", 24, most=24 * 3650)
    return datetime.timedelta(hours=hours)


# -- what is kept


def max_content_length() -> int:
    """Return from how many bytes on a file is not downloaded."""
    return whole("ckanext-archiver.max_content_length", 50_000_000, least=1)


def archive_cloud() -> bool:
    """Return whether uploads that CKAN keeps elsewhere are downloaded."""
    return switch("ckanext-archiver.archive_cloud", False)


def private_copies() -> bool:
    """Return whether copies of the resources of private datasets are kept."""
    allowed = (plan.CHECK_ONLY, plan.ARCHIVE)
    return one_of("ckanext.archiver.private_datasets", allowed, default=plan.CHECK_ONLY) == plan.ARCHIVE


def policies() -> tuple[plan.Policy, ...]:
    """Return of which resources copies are kept; the first policy that is about one counts."""
    try:
        return plan.policies(tk.aslist(get("ckanext.archiver.policies") or []))
    except ValueError as error:
        raise ConfigurationError(f"ckanext.archiver.policies: {error}") from None


def settings() -> plan.Settings:
    """Return what the configuration says of all links."""
    return plan.Settings(
        max_bytes=max_content_length(),
        site_url=site_url(),
        site_url_internally=site_url_internally(),
        archive_cloud=archive_cloud(),
        private_copies=private_copies(),
        policies=policies(),
    )


# -- how it is asked for


def site_url_internally() -> str:
    """Return by which address this portal reaches itself, without a slash at its end."""
    return (url("ckan.site_url_internally") or site_url()).rstrip("/")


def download_proxy() -> str | None:
    """Return the proxy for downloads, or None. It may hold a password: never log it."""
    return url("ckan.download_proxy")


def user_agent() -> str:
    """Return how we call ourselves: printable ASCII, as a header must be."""
    named = str(get("ckanext-archiver.user_agent_string") or "").strip()
    if named and not (named.isascii() and named.isprintable()):
        raise ConfigurationError(f"ckanext-archiver.user_agent_string is {named!r}, which is not plain ASCII text")
    words = f"{get('ckan.site_title') or 'CKAN'} {site_url()} ckanext-archiver".split()
    return named or " ".join(words).encode("ascii", "ignore").decode().strip()


def verify_https() -> bool:
    """Return whether certificates of servers are verified."""
    return switch("ckanext-archiver.verify_https", True)


def connect_seconds() -> float:
    """Return how long connecting to a server may take."""
    return number("ckanext.archiver.connect_seconds", 10, least=0.1, most=3600)


def read_seconds() -> float:
    """Return how long a server may send nothing."""
    return number("ckanext.archiver.read_seconds", 30, least=0.1, most=3600)


def total_seconds() -> float:
    """Return how long a download may take altogether."""
    return number("ckanext.archiver.total_seconds", 300, least=0.1, most=86400)


def workers() -> int:
    """Return how many worker processes may archive at a time, for each lane."""
    return whole("ckanext.archiver.workers", 4, least=1, most=1000)


def threads() -> int:
    """Return how many links a worker process asks for at a time."""
    return whole("ckanext.archiver.threads", 64, least=1, most=1000)


def manners() -> Manners:
    """Return how hosts are treated."""
    return Manners(
        concurrency=whole("ckanext.archiver.host_concurrency", 2, least=1, most=1000),
        delay=number("ckanext.archiver.host_delay", 0.1, most=3600),
        breaker_failures=whole("ckanext.archiver.breaker_failures", 5, least=1, most=1_000_000),
        breaker_seconds=number("ckanext.archiver.breaker_seconds", 300, least=1, most=6 * 3600),
    )


# -- when it is asked for, and what is made of the answers


def check_now_pause() -> datetime.timedelta:
    """Return how long after a check a person can ask for the next one of the same link."""
    return datetime.timedelta(seconds=number("ckanext.archiver.check_now_seconds", 60, most=24 * 3600))


def recheck_age() -> datetime.timedelta:
    """Return after how long a link that is well is checked again."""
    return datetime.timedelta(days=number("ckanext.archiver.recheck_days", 30, least=0.01, most=36500))


def recheck_budget() -> int:
    """Return how many links a day are checked again because of their age; 0 for none."""
    return whole("ckanext.archiver.recheck_budget", 10_000, most=2**31 - 1)


def confirm() -> Confirm:
    """Return when a link that fails is taken for broken."""
    return Confirm(
        tries=whole("ckanext.archiver.confirm_tries", 3, least=1, most=1000),
        hours=number("ckanext.archiver.confirm_hours", 24, most=24 * 365),
    )


# -- pages


def show_broken_status() -> bool:
    """Return whether pages say what is known of links."""
    return switch("ckanext.archiver.show_broken_status", True)


def show_cached_url() -> bool:
    """Return whether pages offer the copies."""
    return switch("ckanext.archiver.show_cached_url", True)


# -- all of it


def check() -> None:
    """Return if every setting is what it must be.

    :raises ConfigurationError: the first that is not; names it
    """
    for getter in (
        *(archive_dir, cache_url_root, x_accel_prefix, quota_bytes, removal_grace, settings, download_proxy),
        *(user_agent, verify_https, connect_seconds, read_seconds, total_seconds, workers, threads, manners),
        *(check_now_pause, recheck_age, recheck_budget, confirm, show_broken_status, show_cached_url),
        *(relay_config.address_policy, relay_config.sweep_seconds, relay_config.lease_seconds),
    ):
        getter()
