"""One operating-system process of the stack: start it, wait until it answers, end it, and never touch another's."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import psutil

LOG_LINES_SHOWN = 25
LOG_START = "--- starting"


class PartFailed(click.ClickException):
    """A part of the stack cannot start, or died; the message names the part and says why."""


@dataclass(frozen=True)
class Record:
    """What a pid file holds: enough to know our process again, and to end it without knowing what it is."""

    pid: int
    started: float
    stop_signal: int
    fingerprint: str

    @classmethod
    def read(cls, path: Path) -> Record | None:
        return cls(**json.loads(path.read_text())) if path.exists() else None

    def find(self) -> psutil.Process | None:
        """The process we started, or None when it is gone, even when its pid has been given to another."""
        try:
            process = psutil.Process(self.pid)
            ours = abs(seconds_after_boot(process) - self.started) < 1
        except psutil.NoSuchProcess:
            return None
        return process if ours and alive(process) else None


def seconds_after_boot(process: psutil.Process) -> float:
    """When the process started. Not as wall time: a clock set meanwhile must not make our process look foreign."""
    return process.create_time() - psutil.boot_time()


class Process:
    """A subclass says how its part is prepared, started and asked whether it is ready; the rest is here."""

    stop_signal = signal.SIGTERM
    stop_timeout = 30.0
    start_timeout = 90.0
    port: int | None = None
    trouble = ""  # Why it was not ready when last asked, where there is more to say than that.
    external = ""  # The environment variable that named a service which already runs and is used instead of ours.

    def __init__(self, state: Path, name: str, title: str, note: str = "") -> None:
        self.state, self.name, self.title, self.note = state, name, title, note
        self.log = state / "log" / f"{name}.log"
        self.pidfile = state / "run" / f"{name}.json"
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def prepare(self) -> None:
        """Make what the process needs before it starts: folders, files, tables."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def variables(self) -> dict[str, str]:
        """Environment variables on top of the inherited ones."""
        return {}

    def privileges(self) -> dict[str, Any]:
        """Arguments of subprocess that name the user to run as, when it must not be our own."""
        return {}

    def is_ready(self) -> bool:
        raise NotImplementedError

    @property
    def pid(self) -> int | None:
        process = self._find()
        return process.pid if process else None

    def start(self) -> bool:
        """Start unless it runs, and wait until it answers; whether it had to be started."""
        launched = self.launch()
        self.wait_ready()
        return launched

    def launch(self) -> bool:
        """Start unless it runs as configured (one that runs with another configuration is ended first)."""
        if self.external:
            return False
        record = Record.read(self.pidfile)
        if self.pid and record and record.fingerprint == self.fingerprint():
            return False
        self.stop()
        self._refuse_taken_port()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.pidfile.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            log.write(f"{LOG_START} {self.name} at {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%SZ}\n".encode())
            self._log_start = log.tell()
        self.prepare()
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.state,
                env=environment(self.variables()),
                **self.privileges(),
                start_new_session=True,  # Ctrl-C in the terminal must reach us, who end the parts in order, not them.
            )
        started = seconds_after_boot(psutil.Process(self._child.pid))
        record = Record(self._child.pid, started, self.stop_signal, self.fingerprint())
        self.pidfile.write_text(json.dumps(asdict(record)))
        return True

    def wait_ready(self) -> None:
        deadline = time.monotonic() + self.start_timeout
        while not self.is_ready():
            if self.external:
                advice = f"start it, or correct or unset {self.external}"
                raise PartFailed(f"{self.title} does not answer: {advice}. {self.trouble}".strip())
            if self.pid is None:
                code = self._child.poll() if self._child else None
                raise self.failed("ended" if code is None else f"ended with code {code}")
            if time.monotonic() > deadline:
                raise self.failed(f"did not answer within {self.start_timeout:.0f} seconds")
            time.sleep(0.1)

    def stop(self) -> None:
        end(self.pidfile, self.stop_timeout)

    def kill(self) -> None:
        """End it and its children at once, as a crash would."""
        process = self._find()
        if process:
            kill_all([process, *process.children(recursive=True)])
        self.pidfile.unlink(missing_ok=True)

    def restart(self) -> None:
        self.stop()
        self.start()

    def fingerprint(self) -> str:
        """Changes when the process must be started anew to follow a changed configuration."""
        return hashlib.sha256(json.dumps([self.command(), self.variables()]).encode()).hexdigest()

    def failed(self, what: str) -> PartFailed:
        return PartFailed(f"{self.title} {what}. The end of {self.log}:\n{self.log_end()}")

    def log_end(self) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        lines = text.rpartition(LOG_START)[2].splitlines()[1:]
        return "\n".join(f"    {line}" for line in lines[-LOG_LINES_SHOWN:])

    def logged(self, text: str) -> bool:
        """Whether the log says so since the last start by this object."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return text.encode() in log.read()

    def _refuse_taken_port(self) -> None:
        """What answers on our port before we start is not ours, and would be taken for it."""
        # The threads of a process that was killed may keep its sockets open for a moment longer than itself.
        deadline = time.monotonic() + 3
        while self.port and answers(self.port):
            if time.monotonic() > deadline:
                advice = (
                    f"end that, or remove the port from {self.state}/stack.json to get another (--port: this portal's)"
                )
                raise PartFailed(f"port {self.port} of {self.title} is taken by another program: {advice}")
            time.sleep(0.1)

    def _find(self) -> psutil.Process | None:
        record = Record.read(self.pidfile)
        return record.find() if record else None


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def package_folder(name: str) -> Path:
    """Where an installed package lies, without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise PartFailed(f"the package {name} is not installed here: bin/quickstart installs all that the stack needs")
    return Path(found.origin).parent


def environment(variables: dict[str, str]) -> dict[str, str]:
    # CKAN_* variables override what an ini says: those of our caller must not reach the portals.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("CKAN_")}
    return {**inherited, **variables}


def end(pidfile: Path, timeout: float = Process.stop_timeout) -> None:
    """End the process of this pid file and its children, politely first; forget it."""
    record = Record.read(pidfile)
    process = record.find() if record else None
    if record and process:
        children = process.children(recursive=True)
        process.send_signal(record.stop_signal)
        wait_gone([process], timeout)
        kill_all([process, *children])
    pidfile.unlink(missing_ok=True)


def kill_all(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue  # It ended by itself, which is what we want.
    wait_gone(processes, timeout=10)


def wait_gone(processes: list[psutil.Process], timeout: float) -> None:
    # Not psutil.wait_procs: it also waits for zombies, which in a container may never be reaped.
    deadline = time.monotonic() + timeout
    while any(map(alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def run_to_end(part: Process, command: list[str], variables: dict[str, str] | None = None, given: str = "") -> None:
    """Run a preparing command of a part, its output in the part's log."""
    with part.log.open("ab") as log:
        done = subprocess.run(
            command,
            input=given.encode(),
            stdout=log,
            stderr=log,
            cwd=part.state,
            env=environment(variables or {}),
            **part.privileges(),
        )
    if done.returncode:
        raise part.failed(f"could not be prepared: {Path(command[0]).name} ended with code {done.returncode}")
