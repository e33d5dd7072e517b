"""``bin/quickstart``: bring up two portals and let one harvest the other."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import click

from .processes import PartFailed
from .stack import Stack

SAMPLE = Path(__file__).with_name("sample.jsonl")
say = partial(click.echo, err=True)  # Standard output is for results; what goes on is told on standard error.


def _check_ckan(ctx: click.Context, param: click.Parameter, wanted: str | None) -> None:
    """bin/quickstart read the option and chose the environment that this runs in, if it came first."""
    if wanted and not version("ckan").startswith(f"{wanted}."):
        raise click.BadParameter(f"is the first argument: bin/quickstart --ckan {wanted} …")


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--ckan",
    type=click.Choice(["2.12", "2.11"]),
    expose_value=False,
    callback=_check_ckan,
    help="Version of CKAN, each with a folder of its own; comes before all other options.  [default: 2.12]",
)
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".relay"),
    show_default=True,
    envvar="RELAY_STATE",
    help="Folder for everything that is kept: databases, ports, passwords, logs.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port of this portal.  [default: a free one, then the same one]"
)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Processes of the Celery worker.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "--data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=SAMPLE,
    help="Datasets for the source portal, one JSON object a line.  [default: a sample of 12]",
)
@click.option("--source-url", help="Harvest this CKAN instead of a source portal of our own.")
@click.option("--once", is_flag=True, help="Do not keep serving: end what was started; exit 1 if anything failed.")
@click.pass_context
def quickstart(
    ctx: click.Context,
    state: Path,
    port: int | None,
    workers: int,
    as_json: bool,
    data: Path,
    source_url: str | None,
    once: bool,
) -> None:
    """Start a source portal and a portal that harvests it, run the harvest, and serve both until Ctrl-C.

    PostgreSQL, Valkey and Solr are started too, unless CKAN_SQLALCHEMY_URL, CKAN_REDIS_URL or CKAN_SOLR_URL name
    ones that run already.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    if ctx.invoked_subcommand:
        ctx.obj = {"port": port, "workers": workers, "json": as_json}
        return
    networks = _networks_of(source_url) if source_url else ""
    stack = Stack(state, services=os.environ, port=port, say=say, allowed_networks=networks)
    with _stopped_at_end(stack):
        stack.up(portals=("this",) if source_url else ("source", "this"), worker=workers)
        result = _load_and_harvest(stack, data, source_url)
        _tell(result, as_json)
        if not once:
            _serve(stack)
    failed = result["load_errors"] or result["errors"] or result["status"] != "Finished"
    ctx.exit(1 if failed else 0)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _stopped_at_end(stack: Stack) -> Iterator[None]:
    try:
        yield
    finally:
        if stack.started:
            say("ending what was started …")
        stack.stop_started()


def _load_and_harvest(stack: Stack, data: Path, source_url: str | None) -> dict[str, Any]:
    from . import load  # It loads much of CKAN, which "status" need not wait for.

    portal = stack.source
    try:
        load_errors = [] if source_url else _load(stack, data)
        portal = stack.this
        result = _harvest(stack, source_url or stack.source.url)
    except load.REFUSALS as error:
        raise portal.failed(f"refused: {load.explain(error)}") from error
    name, password = stack.login
    return {**result, "load_errors": load_errors, "login": {"name": name, "password": password}}


def _load(stack: Stack, data: Path) -> list[str]:
    from ckanapi import RemoteCKAN

    from . import load

    lines = data.read_bytes().rstrip(b"\n").split(b"\n")
    with click.progressbar(length=len(lines), label="loading the source portal", file=sys.stderr) as bar:
        loaded = load.load(lines, partial(RemoteCKAN, stack.source.url, apikey=stack.source.api_token), bar.update)
    say(f"source portal: {loaded.created} created, {loaded.updated} updated, {loaded.unchanged} unchanged")
    for error in loaded.errors:
        say(f"not loaded: {data.name}, {error}")
    return loaded.errors


def _harvest(stack: Stack, source_url: str) -> dict[str, Any]:
    from ckanapi import RemoteCKAN

    from . import harvest

    portal = RemoteCKAN(stack.this.url, apikey=stack.this.api_token)
    begun = time.monotonic()
    job_id = harvest.start(portal, harvest.register(portal, source_url))
    with _progress() as show:
        for job in harvest.follow(portal, job_id, stack.check):
            show(harvest.progress_line(job, time.monotonic() - begun))
    return {
        "url": stack.this.url,
        "source_url": source_url,
        "job": job_id,
        "status": job["status"],
        "stats": job["stats"],
        "summary": harvest.summary(job),
        "errors": harvest.errors(portal, job_id),
        "seconds": round(time.monotonic() - begun, 1),
    }


@contextlib.contextmanager
def _progress() -> Iterator[Any]:
    """A line that rewrites itself on a terminal; elsewhere a new line, and only when there is something new to say."""
    terminal = sys.stderr.isatty()
    last = [""]

    def show(line: str) -> None:
        shown = line.rpartition(",")[0]  # The rate alone is no news.
        if terminal:
            click.echo(f"\r{line:<100}", err=True, nl=False)
        elif shown != last[0]:
            say(line)
        last[0] = shown

    yield show
    if terminal:
        say("")


def _tell(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result, indent=1))
        return
    for error in result["errors"]:
        click.echo(f"error: {error}")
    click.echo(f"harvest {result['status'].lower()} in {result['seconds']} s: {result['summary']}")
    _tell_addresses(result["url"], result["source_url"], **result["login"])


def _tell_addresses(this: str, source: str, name: str, password: str) -> None:
    click.echo(f"this portal:   {this}")
    click.echo(f"source portal: {source}")
    click.echo(f"login:         {name} / {password}")


def _serve(stack: Stack) -> None:
    say("serving until Ctrl-C …")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(1)
            stack.check()


def _networks_of(url: str) -> str:
    """The private addresses of the host that the person named: it may be harvested, the rest of the intranet not."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.BadParameter("must be a URL such as https://data.example.org", param_hint="--source-url")
    try:
        found = socket.getaddrinfo(parts.hostname, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise click.BadParameter(f"{parts.hostname} has no address: {error}", param_hint="--source-url") from error
    addresses = {ipaddress.ip_address(address[4][0]) for address in found}
    return " ".join(sorted(str(address) for address in addresses if not address.is_global))


def _state_of_parent() -> Path:
    parent = click.get_current_context().parent
    return parent.params["state"] if parent else Path(".relay")


_state = click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=_state_of_parent,
    help="Folder for everything that is kept.",
)


@quickstart.command()
@_state
@click.option("--services-only", is_flag=True, help="PostgreSQL, Valkey and Solr; no portal, no worker.")
@click.pass_obj
def up(given: dict[str, Any], state: Path, services_only: bool) -> None:
    """Start what does not run: both portals, their services, the worker. Harmless to repeat."""
    stack = Stack(state, services=os.environ, port=given["port"], say=say)
    if services_only:
        stack.up(portals=(), worker=0, beat=False)
    else:
        stack.up(worker=given["workers"])
        _tell_addresses(stack.this.url, stack.source.url, *stack.login)


@quickstart.command()
@_state
def down(state: Path) -> None:
    """End exactly what was started. Data, ports and passwords stay."""
    ended = Stack(state, say=say).down() if state.exists() else []
    say(f"ended: {', '.join(ended)}" if ended else "nothing was running")


@quickstart.command()
@_state
@click.option("--json", "as_json", is_flag=True, help="Print the parts as JSON.")
@click.pass_context
def status(ctx: click.Context, state: Path, as_json: bool) -> None:
    """Say what runs. Exits 1 unless all that was started still runs."""
    parts = Stack(state).status() if state.exists() else []
    if as_json or ctx.obj["json"]:
        click.echo(json.dumps(parts, indent=1))
    elif not parts:
        click.echo("nothing was started: bin/quickstart up")
    else:
        for part in parts:
            what = f"pid {part['pid']}" if part["running"] else f"died, see {part['log']}"
            click.echo(f"{part['name']:<15} {what:<12} {part['url'] or ''}")
    ctx.exit(0 if parts and all(part["running"] for part in parts) else 1)


@quickstart.command(context_settings={"ignore_unknown_options": True})
@_state
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def run(ctx: click.Context, state: Path, command: tuple[str, ...]) -> None:
    """Run a COMMAND, such as pytest, with services of its own, then end those; exit as the command did."""
    stack = Stack(state, say=say)
    try:
        stack.up(portals=(), worker=0, beat=False)
        done = subprocess.run(command, env={**os.environ, **stack.test_environment()})
    except OSError as error:
        raise PartFailed(f"cannot run {command[0]}: {error}") from error
    finally:
        stack.say = lambda line: None  # The last word is the command's: of pytest, its summary.
        stack.down()  # All of it: the command may have started portals over the same state folder.
    ctx.exit(done.returncode if done.returncode >= 0 else 128 - done.returncode)
