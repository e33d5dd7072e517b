"""What worker processes, a database and a Solr core do from a moment on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import psutil

from ckanext.relay.devstack.processes import Process

if TYPE_CHECKING:
    from .sites import Servers


class Meter:
    """Begins when it is made.

    :param site: whose database and core are looked at
    :param workers: whose CPU time and memory count, with their children
    """

    def __init__(self, bench: Servers, site: str, workers: Sequence[Process]) -> None:
        self.bench, self.site = bench, site
        self._parents = []
        for part in workers:
            if part.pid is None:
                raise part.failed("died")
            self._parents.append(psutil.Process(part.pid))
        self._peak = 0.0
        for process in self._processes():
            with open(f"/proc/{process.pid}/clear_refs", "w") as file:
                file.write("5")  # The peak begins anew at what the process has now.
        bench.postgres.forget_counts()
        self._commits = bench.solr.commits(site)
        self._cpu = self._spent()

    def cpu(self) -> float:
        """Seconds of user and system time; those of a child that has ended count since its parent waited for it."""
        return self._spent() - self._cpu

    def commits(self) -> int:
        return self.bench.solr.commits(self.site) - self._commits

    def look(self) -> None:
        """Note the peak of the processes that are there now. To be called often where they may end before."""
        for process in self._processes():
            try:
                if not process.children():  # one that only looks after others
                    self._peak = max(self._peak, _peak(process.pid))
            except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError, StopIteration):
                continue  # It has just ended.

    def peak(self) -> float:
        """The most memory that one of the processes held, in MB; not of one that only looks after others."""
        self.look()
        return self._peak

    def _processes(self) -> list[psutil.Process]:
        return [each for parent in self._parents for each in (parent, *parent.children(recursive=True))]

    def _spent(self) -> float:
        spent = 0.0
        for process in self._processes():
            try:
                spent += sum(process.cpu_times()[:4])  # user, system, and those of children that have ended
            except psutil.NoSuchProcess:
                continue  # It has just ended, and is in the time of its parent.
        return spent


def _peak(pid: int) -> float:
    with open(f"/proc/{pid}/status") as file:
        line = next(line for line in file if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
