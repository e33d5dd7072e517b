"""Real CKAN sites to push to: one that only takes, and two that push to each other, each through a proxy."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg2
import pytest
import requests

from ckanext.harvest.tests.flow import QUICK, Site, emptied, restored, wait_until
from ckanext.relay.devstack import portal as devstack_portal
from ckanext.relay.devstack.portal import Portal, Worker
from ckanext.relay.devstack.stack import LOOPBACK, Stack
from ckanext.syndicate.tests.target_proxy import TargetProxy

#: In all secrets of the tests, which are then looked for everywhere.
WORD = "hunter2"

#: The profiles of each of the two portals, by id: flag, prefix of names, and what is not at its default.
PROFILES: dict[str, dict[str, str]] = {
    "plain": {"flag": "syndicate"},
    "prefixed": {
        "flag": "syndicate_prefixed",
        "name_prefix": "from-{portal}",
        "refresh_package_name": "true",
    },
    "strict": {
        "flag": "syndicate_strict",
        "on_unflag": "delete",
        "on_private": "delete",
        "on_delete": "delete",
        "on_purge": "delete",
    },
    "withdraws": {"flag": "syndicate_withdraws", "on_unflag": "private"},
    "organized": {
        "flag": "syndicate_organized",
        "replicate_organization": "true",
        "update_organization": "true",
    },
    # whose tokens must not be seen anywhere: they stand in the ini
    "echoed": {"flag": "syndicate_echoed", "api_key": f"{WORD}-token"},
    "basic": {"flag": "syndicate_basic", "api_key": f"{WORD}-key", "ckan_url": f"http://reader:{WORD}-basic@{{proxy}}"},
}


class Target:
    """A CKAN site that is pushed to: it takes what it is sent, and has no plugin of ours unless the pair runs."""

    def __init__(self, stack: Stack, proxy: TargetProxy) -> None:
        self.stack, self.proxy = stack, proxy

    @property
    def site_url(self) -> str:
        """What it calls itself."""
        return self.stack.source.url

    @property
    def url(self) -> str:
        """Where it is asked: through the proxy."""
        return self.proxy.url

    @property
    def token(self) -> str:
        """The API token of a sysadmin."""
        return self.stack.source.api_token

    @property
    def site(self) -> Site:
        return Site(self.stack, "source")

    def call(self, action: str, **data: Any) -> Any:
        """Call an action as a sysadmin, not through the proxy.

        :raises ckanapi.CKANAPIError: or one of ckan.logic's errors, as ckanapi does
        """
        return self.site.call(action, **data)

    def empty(self) -> None:
        """Remove all datasets, organizations and groups."""
        tables = 'package, "group", tag, vocabulary, activity'
        self.site.execute(f"TRUNCATE {tables} CASCADE")
        everything = {"delete": {"query": "*:*"}}
        url = f"{self.stack.solr.core('source')}/update?commit=true"
        requests.post(url, json=everything, timeout=60).raise_for_status()

    def config(self, profile_id: str = "plain", **options: str) -> dict[str, str]:
        """Return the settings of a profile that pushes here."""
        own = {"ckan_url": self.url, "api_key": self.token, "timeout": "10", **options}
        return {f"ckanext.syndicate.profile.{profile_id}.{option}": value for option, value in own.items()}


@contextlib.contextmanager
def target(stack: Stack) -> Iterator[Target]:
    """Start a second CKAN, unless it runs, and a proxy in front of it."""
    with TargetProxy(stack.source.url) as proxy:
        stack.up(portals=("source",), worker=0, beat=False)
        yield Target(stack, proxy)


@dataclass
class Pair:
    """Two portals that push to each other.

    ``to_b`` is the proxy through which A reaches B, ``to_a`` the one through which B reaches A. The worker and the
    scheduler of A run, those of B while ``b_works``.
    """

    a: Site
    b: Site
    to_b: TargetProxy
    to_a: TargetProxy
    worker_b: Worker

    def sites(self) -> tuple[tuple[Site, Site], tuple[Site, Site]]:
        """Return who pushes to whom."""
        return (self.a, self.b), (self.b, self.a)

    @contextlib.contextmanager
    def b_works(self) -> Iterator[None]:
        """Let B push, too, while the block runs."""
        self.worker_b.start()
        try:
            yield
        finally:
            self.worker_b.stop()


class WorkerWithBeat(Worker):
    """A worker that is its own scheduler: one process less than a worker and a beat."""

    def command(self) -> list[str]:
        return [*super().command(), "--beat", "--scheduler", "celery.beat:Scheduler"]


@contextlib.contextmanager
def pair(stack: Stack, **settings: str) -> Iterator[Pair]:
    """Start two empty portals that push to each other; afterwards the portals of the stack are as they were.

    :param settings: of A, on top of those that both have
    """
    worker_b = WorkerWithBeat(stack.state, stack.source, "worker-source", concurrency=1)
    with (
        talkative(),
        TargetProxy(stack.source.url) as to_b,
        TargetProxy(stack.this.url) as to_a,
        restored(stack, "this", "source"),
    ):
        configure(stack.this, stack.source, to_b, "a")
        configure(stack.source, stack.this, to_a, "b")
        stack.this.settings.update(settings)
        try:
            emptied(stack, "source", "this")
            yield Pair(Site(stack), Site(stack, "source"), to_b, to_a, worker_b)
        finally:
            worker_b.stop()


@contextlib.contextmanager
def talkative() -> Iterator[None]:
    """Let portals that are configured meanwhile log all that they can, for who looks for secrets in it."""
    with pytest.MonkeyPatch.context() as patch:
        loud = re.sub(r"level = (WARNING|INFO)", "level = DEBUG", devstack_portal.INI)
        # loggers that the configuration does not name are silenced by it if they are there already
        loud = loud.replace("keys = root,", "keys = root, urllib3,")
        patch.setattr(
            devstack_portal, "INI", f"{loud}\n[logger_urllib3]\nlevel = DEBUG\nhandlers =\nqualname = urllib3\n"
        )
        yield


def configure(portal: Portal, target: Portal, proxy: TargetProxy, name: str) -> None:
    """Let a portal push to another one."""
    portal.plugins = "activity image_view syndicate"
    portal.settings.update(QUICK | {"ckanext.relay.sweep_seconds": "1"})
    portal.settings["ckanext.relay.allowed_networks"] = LOOPBACK
    portal.settings["ckanext.relay.secrets_dir"] = str(target.folder)
    shared = {"ckan_url": proxy.url, "api_key": "file:api-token", "timeout": "4"}
    for profile_id, options in PROFILES.items():
        for option, value in {**shared, **options}.items():
            key = f"ckanext.syndicate.profile.{profile_id}.{option}"
            portal.settings[key] = value.format(portal=name, proxy=f"127.0.0.1:{proxy.server_port}")


# -- what tests do with a portal that pushes


def name_for(text: str) -> str:
    """Return a name that no other dataset of this run has."""
    return f"{text}-{uuid.uuid4().hex[:8]}"


def waiting(site: Site) -> int:
    """Return how many datasets are still to be pushed."""
    return int(site.rows("SELECT count(*) FROM syndication_outbox WHERE state = 'waiting'")[0][0])


def hurry(site: Site) -> None:
    """Let time pass: what waits for its next attempt is due, targets that are left alone are asked again, and leases of
    processes that are dead run out."""
    site.execute("UPDATE syndication_outbox SET due = timezone('utc', now()) WHERE state = 'waiting'")
    site.execute("UPDATE syndication_target SET not_before = NULL")
    for (lease,) in site.rows("SELECT id FROM syndicate_lease"):
        process = lease.split(":")[-2:][0]  # host, worker, process, random part; tickets have none of these
        if process.isdigit() and not psutil.pid_exists(int(process)):
            site.execute("DELETE FROM syndicate_lease WHERE id = %s", lease)


def through(site: Site, seconds: float = 60, hurried: bool = False) -> None:
    """Wait until a portal has nothing left to push.

    :param hurried: nothing that failed waits for its next attempt
    """

    def is_through() -> bool:
        try:
            if hurried:
                hurry(site)
            return waiting(site) == 0
        except psycopg2.Error:
            return False  # it is just being restarted

    try:
        wait_until(is_through, seconds)
    except AssertionError as error:
        rows = site.rows("SELECT local_id, profile_id, attempts, due, claimed_by, cause, error FROM syndication_outbox")
        targets = site.rows("SELECT profile_id, failures, not_before, cause, error FROM syndication_target")
        raise AssertionError(f"{error}; left: {rows}; targets: {targets}") from error
