"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from types import FrameType

import click
import psutil

from .sites import HERE, Servers, Site

#: Where a benchmark keeps what it makes.
state_option = click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".relay/bench"),
    envvar="RELAY_BENCH_STATE",
    help="Folder for the environments, the databases and the logs.",
)


def end_as_interrupted(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does when the process is told to, so that what was started is ended: a handler of signals."""
    raise KeyboardInterrupt


def describe(bench: Servers, replaced: str = "ckanext-harvest") -> dict[str, str]:
    """Tell the machine and the versions; ``replaced`` is what the site ``reference`` runs."""
    reference = _versions(Site(bench, "reference").portal.python, "ckan", replaced, "SQLAlchemy")
    return this_machine() | {
        "PostgreSQL": bench.postgres.version(),
        "Solr": bench.solr.version(),
        "ours": f"CKAN {version('ckan')}, ckanext-relay {version('ckanext-relay')}, Celery {version('celery')}",
        "reference": f"CKAN {reference[0]}, {replaced} {reference[1]}, SQLAlchemy {reference[2]}",
    }


def this_machine() -> dict[str, str]:
    return {
        "CPU": f"{_model()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "Python": platform.python_version(),
    }


def record(name: str, title: str, sections: Iterable[str], remark: str = "") -> Path:
    """Write ``results/NAME-DATE.md``: what ``benchmarks/NAME`` has to say, with the command.

    :param sections: in Markdown
    :param remark: stands beside the command
    """
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    path = HERE / "results" / f"{name}-{date}.md"
    path.parent.mkdir(exist_ok=True)
    command = shlex.join([f"benchmarks/{name}", *map(_anywhere, sys.argv[1:])])
    path.write_text("\n\n".join([f"# {title}, {date}", f"`{command}`{remark}", *sections]) + "\n")
    return path


def _anywhere(argument: str) -> str:
    """Return an argument without where a folder or a file is, which is of this machine alone."""
    path = Path(argument)
    return "FOLDER" if path.is_dir() else "FILE" if path.is_file() else argument


def listed(about: Mapping[str, str]) -> str:
    """Return what a machine is like as a list in Markdown."""
    return "\n".join(f"- {key}: {value}" for key, value in about.items())


def code(lines: Iterable[str]) -> str:
    """Return lines that keep their places in Markdown."""
    return "\n".join(["```", *lines, "```"])


def here(lines: Iterable[str]) -> list[str]:
    """Return the sections of a record that has this machine and nothing but lines."""
    return [listed(this_machine()), code(lines)]


def _model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions(python: Path, *packages: str) -> list[str]:
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    return subprocess.run([python, "-c", code, *packages], check=True, capture_output=True, text=True).stdout.split()
