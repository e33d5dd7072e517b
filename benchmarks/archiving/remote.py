"""The hosts of a run and the links to them: started here, and put into a portal's tables with SQL."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import Any

import requests

from ..data import SEED
from ..sites import HERE, Site

LATENCY = 0.1
HOSTS = 20
#: Resources of a dataset.
RESOURCES = 3

_LOAD = {
    "package": "id, name, title, type, state, private, metadata_created, metadata_modified",
    "resource": "id, package_id, url, format, name, position, state, created, metadata_modified",
}
_DATE = "2026-01-01 00:00:00"


@dataclass(frozen=True)
class Links:
    """How many links of each kind, see ``file_hosts``, spread over so many hosts.

    :param slow: on one more host, which has no others
    :param big: sizes in bytes
    """

    ok: int
    gone: int = 0
    hang: int = 0
    slow: int = 0
    big: tuple[int, ...] = ()
    hosts: int = HOSTS

    @property
    def count(self) -> int:
        return self.ok + self.gone + self.hang + self.slow + len(self.big)

    @property
    def datasets(self) -> int:
        return -(-self.count // RESOURCES)

    def paths(self) -> Iterator[str]:
        """Their paths; the few are spread among the many."""
        few = [f"/gone/{n}.csv" for n in range(self.gone)] + [f"/hang/{n}.csv" for n in range(self.hang)]
        few += [f"/big/{size}-{n}.zip" for n, size in enumerate(self.big)]
        random.Random(SEED).shuffle(few)
        every = self.ok // len(few) if few else 0
        for number in range(self.ok):
            yield f"/ok/{number}.csv"
            if few and number % every == every - 1:
                yield few.pop()
        yield from few


def mixed(count: int, hang: bool = False, hosts: int = HOSTS) -> Links:
    """So many links of which 10 % are gone and, if asked for, 1 % hang."""
    gone, hanging = count // 10, count // 100 if hang else 0
    return Links(count - gone - hanging, gone, hanging, hosts=hosts)


def address(number: int) -> str:
    return f"127.77.{number // 250}.{1 + number % 250}"


class Remote:
    """The running hosts."""

    def __init__(self, port: int, hosts: int) -> None:
        self.port, self.hosts = port, hosts

    def statistics(self) -> dict[str, Any]:
        """Return what was asked for since the last call: see ``file_hosts``."""
        return requests.get(f"http://{address(0)}:{self.port}/statistics", timeout=30).json()

    def urls(self, links: Links) -> Iterator[str]:
        for number, path in enumerate(links.paths()):
            yield f"http://{address(number % links.hosts)}:{self.port}{path}"
        for number in range(links.slow):
            yield f"http://{address(links.hosts)}:{self.port}/slow/{number}.csv"

    def load(self, site: Site, links: Links) -> None:
        """Give a portal datasets with these links, as if they had been there for long: neither side is told."""
        packages, resources = StringIO(), StringIO()
        for number, url in enumerate(self.urls(links)):
            owner, position = divmod(number, RESOURCES)
            package = uuid.UUID(int=(7 << 100) + owner)
            if position == 0:
                name = f"bench-{owner:06}"
                packages.write(f"{package}\t{name}\t{name}\tdataset\tactive\tf\t{_DATE}\t{_DATE}\n")
            # The beginning spreads the resources over the folders of the archive.
            resource = uuid.UUID(int=(number * 40503 % 65536 << 112) + number)
            fields = (resource, package, url, "CSV", f"Part {position}", position, "active", _DATE, _DATE)
            resources.write("\t".join(map(str, fields)) + "\n")
        connection = site.bench.postgres.connect(site.name)
        try:
            with connection.cursor() as cursor:
                for table, rows in (("package", packages), ("resource", resources)):
                    rows.seek(0)
                    cursor.copy_expert(f"COPY {table} ({_LOAD[table]}) FROM STDIN", rows)
                cursor.execute("ANALYZE package; ANALYZE resource")
        finally:
            connection.close()


@contextmanager
def running(hosts: int, latency: float = LATENCY) -> Iterator[Remote]:
    """Start so many hosts, and one more for slow links."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.archiving.file_hosts"],
        cwd=HERE.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin and process.stdout
        print(json.dumps({"addresses": [*map(address, range(hosts + 1))], "latency": latency}), file=process.stdin)
        process.stdin.flush()
        yield Remote(int(process.stdout.readline()), hosts)
    finally:
        process.kill()
        process.wait()
