"""What is the same in benchmarks that compare one worker of a replaced extension with one of ours."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import click
import redis

from ckanext.relay.devstack.processes import Process

from . import figures, machine
from .figures import Target, target_lines
from .sites import QuietPortal, Servers, Site

say = partial(click.echo, err=True)

part_option = click.option(
    "--part", type=click.FloatRange(0.01, 1), default=1.0, help="How much of what each scenario works on."
)
json_option = click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures there."
)


class JobsWorker(Process):
    """``ckan jobs worker`` of the portal with the replaced extension.

    :param queues: that it works on, if not the default one
    """

    def __init__(self, state: Path, portal: QuietPortal, replaced: str, *queues: str) -> None:
        super().__init__(state, "reference-worker", f"the worker of {replaced}")
        self.portal, self.queues = portal, queues

    def command(self) -> list[str]:
        return [str(self.portal.python.with_name("ckan")), "jobs", "worker", *self.queues]

    def variables(self) -> dict[str, str]:
        return self.portal.variables()

    def is_ready(self) -> bool:
        assert self.portal.services
        return bool(redis.Redis.from_url(self.portal.services.redis_url).smembers("rq:workers"))


class Side:
    """One implementation: a portal and the processes that work for it."""

    key = title = name = ""
    worker: Process  # the one whose CPU time and memory count

    def __init__(self, bench: Servers) -> None:
        self.bench, self.site = bench, Site(bench, self.name)

    def processes(self) -> list[Process]:
        return [self.worker]

    def left(self) -> bool:
        """Whether something is left to do."""
        raise NotImplementedError

    @contextmanager
    def running(self) -> Iterator[None]:
        with self.bench.running(*self.processes()):
            yield

    def query(self, statement: str, *given: Any) -> Any:
        """Return the first value of the first row."""
        return self.site.query(statement, *given)[0][0]

    @property
    def broker(self) -> redis.Redis:
        services = self.site.portal.services
        assert services
        return redis.Redis.from_url(services.redis_url)


class Result(Protocol):
    machine: dict[str, str]
    origin: str

    def as_dict(self) -> dict[str, Any]: ...


class Words(Protocol):
    """The module that puts a result into words."""

    METHOD: str

    def table(self, result: Any) -> Iterable[str]: ...
    def targets(self, result: Any) -> Iterable[Target]: ...


def carry_out(
    bench: Servers, result: Result, measure: Callable[[], object], words: Words, replaced: str, json_file: Path | None
) -> None:
    """Measure, and say what came of it; also when it was interrupted, or a later part failed."""
    bench.down()  # what an earlier run that was killed has left
    begun = time.monotonic()
    try:
        bench.start_servers()
        result.machine = machine.describe(bench, replaced)
        measure()
    finally:
        say("ending what was started …")
        bench.down()
        click.echo("\n".join([*words.table(result), "", *target_lines(words.targets(result))]))
    say(f"took {(time.monotonic() - begun) / 60:.1f} minutes")
    if json_file:
        json_file.write_text(json.dumps(result.as_dict(), indent=1))


def write_record(name: str, title: str, result: Result, words: Words, replaced: str) -> None:
    """Write ``results/NAME-DATE.md``."""
    sections = figures.sections(words.METHOD, result.machine, words.table(result), words.targets(result))
    path = machine.record(name, title, sections, f"; {replaced} from {result.origin}.")
    say(f"recorded in {path}")
