"""ckanext-syndicate and ours: a portal, its worker, and how either one is told to push to the same target."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from ckanext.relay.devstack.processes import Process
from ckanext.syndicate.tests.target_proxy import TargetProxy

from ..sites import QuietPortal, Servers
from ..two_sides import JobsWorker, Side

REPLACED = "ckanext-syndicate"
PROFILE = "main"
#: Extras of the datasets: the first ones have both, all have the second.
SOME, ALL = "syndicate", "everything"


class SyndicateBench(Servers):
    """The servers, the target, and a portal of each side.

    :param reference: the Python of the environment with ckanext-syndicate
    """

    def __init__(self, state: Path, reference: Path, say: Callable[[str], None]) -> None:
        super().__init__(state, say)
        ours = Path(sys.executable)
        self.make_portals(
            ("source", ours, "activity", {}),  # where the datasets are made
            ("target", ours, "activity", {}),
            ("this", ours, "activity syndicate", dict(self.loopback)),
            ("reference", reference, "activity syndicate", {}),
        )


class Foreground(Process):
    """``ckan syndicate sync-profile -f``: the quickest way in which ckanext-syndicate pushes all; its worker starts a
    process for each dataset. It ends by itself."""

    def __init__(self, state: Path, portal: QuietPortal) -> None:
        super().__init__(state, "reference-push", "ckanext-syndicate in the foreground")
        self.portal = portal

    def command(self) -> list[str]:
        return [str(self.portal.python.with_name("ckan")), "syndicate", "sync-profile", PROFILE, "-f"]

    def variables(self) -> dict[str, str]:
        return self.portal.variables()

    def is_ready(self) -> bool:
        return True


class Portal(Side):
    """One implementation, which pushes through a proxy."""

    def __init__(self, bench: SyndicateBench, proxy: TargetProxy) -> None:
        super().__init__(bench)
        self.proxy = proxy

    def prepare(self, data: str) -> None:
        """A portal with the datasets and nothing pushed, saved as ``filled``.

        :param data: name of the database to begin with
        """
        self.bench.say(f"making the portal of {self.title} …")
        self.bench.postgres.copy(data, self.name)
        self.configure()
        self.bench.start_site(self.name, serve=False, anew=False)
        self.bench.postgres.copy(self.name, f"{self.name}-filled")

    def configure(self, flag: str = SOME) -> None:
        """Let the portal push what has this extra."""
        target = self.bench.portals["target"]
        options = {"ckan_url": self.proxy.url, "api_key": target.api_token, "flag": flag}
        portal = self.site.portal
        portal.settings |= {f"ckanext.syndicate.profile.{PROFILE}.{option}": value for option, value in options.items()}
        if portal.services:
            portal.configure(portal.services)

    def begin(self, flag: str = SOME) -> None:
        """Go back to the portal of which nothing was pushed."""
        self.bench.postgres.copy(f"{self.name}-filled", self.name)
        self.bench.valkey.flush(self.name)
        self.configure(flag)

    def ask(self) -> None:
        """Ask for all datasets to be pushed when the processes are started."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise when something died."""
        self.bench.check()


class Reference(Portal):
    key, title, name = "reference", REPLACED, "reference"

    def __init__(self, bench: SyndicateBench, proxy: TargetProxy) -> None:
        super().__init__(bench, proxy)
        self.jobs = JobsWorker(bench.state, self.site.portal, REPLACED)
        self.foreground = Foreground(bench.state, self.site.portal)
        self.worker = self.jobs

    def begin(self, flag: str = SOME) -> None:
        super().begin(flag)
        self.worker = self.jobs

    def ask(self) -> None:
        self.worker = self.foreground

    def check(self) -> None:
        if self.worker is self.jobs:
            super().check()

    def left(self) -> bool:
        if self.worker is self.foreground:
            return self.worker.pid is not None
        queue, begun = "rq:queue:ckan:reference:default", "rq:wip:ckan:reference:default"
        return bool(self.broker.llen(queue) or self.broker.zcard(begun))


class Ours(Portal):
    key, title, name = "ours", "ckanext-relay", "this"

    def __init__(self, bench: SyndicateBench, proxy: TargetProxy) -> None:
        super().__init__(bench, proxy)
        self.worker = bench.new_worker("syndicate-worker", 1)

    def processes(self) -> list[Process]:
        return [self.worker, self.bench.beat]

    def ask(self) -> None:
        self.site.run("syndicate", "sync-profile", PROFILE)

    def left(self) -> bool:
        return bool(self.site.query("SELECT 1 FROM syndication_outbox WHERE state = 'waiting' LIMIT 1"))
