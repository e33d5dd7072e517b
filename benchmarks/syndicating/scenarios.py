"""What is measured, with which datasets."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ckanext.relay.devstack.portal import SYSADMIN
from ckanext.relay.devstack.processes import PartFailed, environment
from ckanext.syndicate.tests.target_proxy import Request, TargetProxy, answers

from .. import data
from ..sites import HERE, Site, create
from .measure import Round, plain, push
from .sides import ALL, SOME, Ours, Portal, Reference, SyndicateBench

#: Of the profiles, unless set.
CONNECTIONS = 4

#: So many datasets of three resources, beside those that are there.
_MANY = """
INSERT INTO package (id, name, title, notes, type, state, private, metadata_created, metadata_modified, extras)
SELECT 'many-' || n, 'many-' || n, 'Dataset ' || n, 'What it is about.', 'dataset', 'active', false, now(), now(),
    '{"everything": "true", "spatial": "district 1", "frequency": "daily"}'
FROM generate_series(1, %s) AS n;
INSERT INTO resource (id, package_id, url, name, format, position, state, extras, created, metadata_modified)
SELECT p.id || '-' || n, p.id, 'http://data.example/' || p.id || '/' || n || '.csv', 'Part ' || n, 'CSV', n, 'active',
    '{}', now(), now()
FROM package p, generate_series(0, 2) AS n WHERE p.id LIKE 'many-%%';
ANALYZE;
"""


@dataclass(frozen=True)
class Sizes:
    """How many datasets are pushed: by both sides, while a target was down, and unchanged by ours alone."""

    some: int = 300
    outage: int = 1_000
    many: int = 10_000
    #: how often each first push is done; the quickest counts
    runs: int = 2

    def smaller(self, part: float) -> Sizes:
        """Return a part of it."""
        some, outage, many = (max(10, int(count * part)) for count in (self.some, self.outage, self.many))
        return Sizes(some, outage, many, runs=1)


@dataclass
class Outage:
    """What became of edits that were made while the target was down.

    :ivar edits: how many
    :ivar waited: seconds from its return to the first request
    :ivar displaced: by how many places an update came too late or too early at most
    :ivar written: how often each dataset was written at the most
    :ivar plain_updates: updates a second of the same payloads by the shortest way
    :ivar plain_creates: the same payloads sent to the empty target, datasets a second
    """

    edits: int
    round: Round
    waited: float
    displaced: int
    written: int
    plain_updates: float
    plain_creates: float


@dataclass
class Result:
    """All figures, by name of the scenario and side."""

    sizes: Sizes
    machine: dict[str, str]
    origin: str  # of ckanext-syndicate
    rounds: dict[tuple[str, str], Round] = field(default_factory=dict)
    #: resource ids of the target that an edit changed, by side
    changed_ids: dict[str, int] = field(default_factory=dict)
    #: datasets a second by plain calls of package_create with the payloads of ours
    plain: float = 0
    outage: Outage | None = None

    def of(self, scenario: str, side: str) -> Round | None:
        return self.rounds.get((scenario, side))

    def as_dict(self) -> dict[str, Any]:
        return {
            "sizes": vars(self.sizes),
            "machine": self.machine,
            "origin": self.origin,
            "rounds": {f"{name}, {side}": each.as_dict() for (name, side), each in self.rounds.items()},
            "changed_ids": self.changed_ids,
            "plain": self.plain,
            "outage": vars(self.outage) | {"round": self.outage.round.as_dict()} if self.outage else None,
        }


class Comparison:
    """All scenarios."""

    def __init__(self, bench: SyndicateBench, proxy: TargetProxy, sizes: Sizes, result: Result) -> None:
        self.bench, self.proxy, self.sizes, self.result = bench, proxy, sizes, result
        self.target = Site(bench, "target")
        self.reference, self.ours = Reference(bench, proxy), Ours(bench, proxy)

    def run(self, only: tuple[str, ...]) -> None:
        self.bench.start_site("target")
        self.target.save("empty")
        database = self._data()
        for side in (self.reference, self.ours):
            if side is self.ours or "both" in only:
                side.prepare(database)
        for name in only:
            SCENARIOS[name](self)

    def _data(self) -> str:
        """Return the name of a database with the datasets, which is kept for later runs."""
        lines = []
        for number, made in enumerate(data.generated(self.sizes.outage)):
            made["extras"] += [{"key": flag, "value": "true"} for flag in (ALL, SOME)[: 1 + (number < self.sizes.some)]]
            lines.append(json.dumps(made).encode())
        database = f"source-{data.fingerprint(lines)[:12]}"
        if not self.bench.postgres.has(database):
            self.bench.say(f"making {len(lines)} datasets …")
            self.bench.start_site("source", serve=False)
            source = Site(self.bench, "source")
            create(source, data.write(source.portal.folder / "datasets.jsonl", lines), processes=2, solr_commit=False)
            self.bench.postgres.copy("source", database)
        return database

    # -- with both

    def both(self) -> None:
        """Push for the first time, push again when nothing has changed, and push one edit; and the same payloads by
        plain calls, in turn with the first pushes."""
        firsts: dict[str, list[Round]] = {self.reference.key: [], self.ours.key: []}
        plains = []
        for _ in range(self.sizes.runs):
            for side in (self.reference, self.ours):
                side.begin()
                self.target.put_back("empty")
                firsts[side.key].append(self._measure("first", side, side.ask, self.sizes.some))
                self._arrived(side)
            payloads = [call.data for call in self.proxy.calls if call.action == "package_create"]
            self.target.put_back("empty")
            self.proxy.well()
            plains.append(self._plain("package_create", payloads))
        self.result.plain = max(plains)
        for side in (self.reference, self.ours):
            self.result.rounds["first", side.key] = max(firsts[side.key], key=lambda each: each.rate)
        for side in (self.reference, self.ours):
            side.begin()
            self.target.put_back("empty")
            self._measure("first", side, side.ask, self.sizes.some)
            self._again(side)

    def _again(self, side: Portal) -> None:
        self._keep("unchanged", side, self._measure("unchanged", side, side.ask, self.sizes.some))
        (name,) = side.site.query("SELECT name FROM package WHERE state = 'active' ORDER BY name LIMIT 1")[0]
        ids = (
            "SELECT r.id FROM resource r JOIN package p ON p.id = r.package_id WHERE p.name = %s AND r.state = 'active'"
        )
        before = set(self.target.query(ids, name))
        self._keep("edit", side, self._measure("edit", side, lambda: self._edit_one(side, name), 1))
        self.result.changed_ids[side.key] = len(before - set(self.target.query(ids, name)))

    def _arrived(self, side: Portal) -> None:
        count = self.target.query("SELECT count(*), count(DISTINCT name) FROM package WHERE state = 'active'")[0]
        if count != (self.sizes.some, self.sizes.some):
            raise PartFailed(f"{side.title}: {self.sizes.some} datasets were to be pushed, the target has {count}")

    # -- ours alone

    def outage(self) -> None:
        """Edit datasets while the target is down, and see what arrives when it is back."""
        side, count = self.ours, self.sizes.outage
        side.begin(ALL)
        self.target.put_back("empty")
        self._measure("before the outage", side, side.ask, count)
        names = [row[0] for row in side.site.query("SELECT name FROM package WHERE state = 'active' ORDER BY name")]
        payloads_before = self.target.query("SELECT count(*) FROM package")[0][0]
        with side.running(), self.proxy.down():
            self.bench.say(f"editing {count} datasets while the target is down …")
            self._edit(side, names)
        back = time.monotonic()
        done = self._measure("outage", side, lambda: None, count)
        updates = [call for call in self.proxy.calls if call.writes]
        payloads = [call.data["update"] if call.action == "package_revise" else call.data for call in updates]
        order = [payload["name"] for payload in payloads]
        first = {name: place for place, name in reversed(list(enumerate(order)))}
        if set(first) != set(names) or self.target.query("SELECT count(*) FROM package")[0][0] != payloads_before:
            raise PartFailed(f"of {count} edits {len(first)} arrived")
        displaced = max(abs(first[name] - place) for place, name in enumerate(names))
        written = max(map(order.count, first))
        payloads = [payload | {"title": "Once more"} for payload in payloads]
        self.proxy.well()
        rates = [self._plain("package_update", payloads)]
        self.target.put_back("empty")
        rates.append(self._plain("package_create", [_without_id(payload) for payload in payloads]))
        self.result.outage = Outage(count, done, self._first_call(updates, back), displaced, written, *rates)

    def _plain(self, action: str, payloads: list[dict[str, Any]]) -> float:
        rate = len(payloads) / plain(self.bench, self.proxy, action, payloads, CONNECTIONS)
        self.bench.say(f"plain calls of {action}: {rate:.1f}/s")
        return rate

    def _first_call(self, updates: list[Any], back: float) -> float:
        return max(0.0, updates[0].at - back)

    def many(self) -> None:
        """Push very many datasets to a target that does nothing, then ask for all of them once more."""
        side, count = self.ours, self.sizes.many
        side.begin(ALL)
        self.bench.postgres.query(self.ours.name, _MANY, (count - self.sizes.outage,))
        self.proxy.fail("package_create", _created, times=2 * count)
        self._keep("many", side, self._measure("many", side, side.ask, count))
        self._keep("many unchanged", side, self._measure("many unchanged", side, side.ask, count))
        self.proxy.well()

    # -- steps

    def _edit_one(self, side: Portal, name: str) -> None:
        if isinstance(side, Reference):
            side.worker = side.jobs
        self._edit(side, [name])

    def _edit(self, side: Portal, names: list[str]) -> None:
        script = str(HERE / "syndicating" / "edit.py")
        # without its folder on the search path: the environments have their own packages
        code = f"import runpy; runpy.run_path({script!r}, run_name='__main__')"
        done = subprocess.run(
            [str(side.site.portal.python), "-c", code],
            input="\n".join([SYSADMIN, *names]),
            env=environment(side.site.portal.variables()),
            cwd=self.bench.state,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise PartFailed(f"{side.title}: datasets cannot be edited: {done.stderr[-1000:]}")

    def _measure(self, name: str, side: Portal, begin: Callable[[], object], datasets: int) -> Round:
        done = push(side, begin, datasets)
        self.bench.say(
            f"{name}, {side.title}: {done.datasets} datasets in {done.seconds:.1f} s, {done.rate:.1f}/s,"
            f" {done.asked} requests, {done.writes} writes"
        )
        return done

    def _keep(self, name: str, side: Portal, done: Round) -> None:
        self.result.rounds[name, side.key] = done


def _without_id(payload: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in payload.items() if key != "id"}


def _created(request: Request) -> None:
    """Answer as a CKAN that has created a dataset at no cost."""
    made = json.loads(request.body)
    answers({"id": str(uuid.uuid4()), "state": "active", "metadata_modified": "2026-01-01T00:00:00", **made})(request)


SCENARIOS: dict[str, Callable[[Comparison], None]] = {
    "both": Comparison.both,
    "outage": Comparison.outage,
    "many": Comparison.many,
}
