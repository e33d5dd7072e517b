"""Starting and ending processes: ours and only ours, and with a message that helps when one fails."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ckanext.relay.devstack.postgres import access_list, let_through
from ckanext.relay.devstack.processes import PartFailed, Process, Record, alive
from ckanext.relay.devstack.stack import Stack

SLEEP = "import time; time.sleep(60)"


class Script(Process):
    start_timeout = 5.0

    def __init__(self, state: Path, code: str, ready_when: str = "") -> None:
        super().__init__(state, "script", "the script")
        self.code, self.ready_when = code, ready_when

    def command(self) -> list[str]:
        return [sys.executable, "-u", "-c", self.code]

    def is_ready(self) -> bool:
        return self.logged(self.ready_when)


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    script = Script(tmp_path, SLEEP)
    yield script
    script.kill()


def test_start_is_idempotent_and_stop_ends_it(script: Script) -> None:
    assert script.start()
    pid = script.pid
    assert pid and not script.start() and script.pid == pid
    assert Script(script.state, SLEEP).pid == pid, "another object over the same folder knows the process, too"
    script.stop()
    assert script.pid is None and not script.pidfile.exists()


def test_a_changed_command_starts_it_anew(script: Script) -> None:
    script.start()
    before = script.pid
    script.code = SLEEP.replace("60", "50")
    assert script.start() and script.pid != before
    assert not alive_pid(before)


def test_a_recycled_pid_is_never_ended(script: Script) -> None:
    script.start()
    record = Record.read(script.pidfile)
    assert record
    with subprocess.Popen([sys.executable, "-c", SLEEP]) as foreign:
        script.pidfile.write_text(json.dumps({**vars(record), "pid": foreign.pid, "started": record.started - 1000}))
        assert script.pid is None
        script.stop()
        script.kill()
        assert foreign.poll() is None, "the process that got our old pid was ended"
        foreign.kill()
    psutil.Process(record.pid).kill()


def test_a_record_survives_a_clock_that_is_set(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    script.start()
    real = psutil.boot_time()
    # Linux computes the boot time, and from it a process's start, from the present time: both move with the clock.
    monkeypatch.setattr(psutil, "boot_time", lambda: real + 3600)
    monkeypatch.setattr("psutil._psplatform.boot_time", lambda: real + 3600)
    assert script.pid


def test_a_crash_says_which_part_and_shows_the_end_of_its_log(script: Script) -> None:
    script.code = "for n in range(100): print('line', n)\nraise SystemExit(3)"
    script.ready_when = "never"
    with pytest.raises(PartFailed) as failure:
        script.start()
    message = str(failure.value.message)
    assert "the script ended with code 3" in message and str(script.log) in message
    assert "line 99" in message and "line 5\n" not in message


def test_a_taken_port_is_refused(script: Script) -> None:
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        script.port = foreign.getsockname()[1]
        with pytest.raises(PartFailed, match=f"port {script.port} of the script is taken"):
            script.start()


def test_one_that_never_answers_fails_in_time(script: Script) -> None:
    script.start_timeout = 0.3
    script.ready_when = "never"
    with pytest.raises(PartFailed, match="did not answer within"):
        script.start()


def test_kill_ends_children_too(script: Script) -> None:
    start_child = f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])"
    script.code = f"import subprocess, sys; {start_child}; print('child'); child.wait()"
    script.ready_when = "child"
    script.start()
    child = psutil.Process(script.pid).children()[0]
    script.kill()
    assert script.pid is None and not alive(child)


def test_one_that_ignores_the_polite_signal_is_killed(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    script.stop_timeout = 0.5
    script.code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); {SLEEP}"
    script.ready_when = "deaf"
    script.start()
    pid = script.pid
    script.stop()
    assert not alive_pid(pid)


def test_variables_of_the_caller_that_override_an_ini_do_not_reach_it(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKAN_SQLALCHEMY_URL", "postgresql://elsewhere/")
    script.code = "import os; print('CKAN_SQLALCHEMY_URL' in os.environ, flush=True); " + SLEEP
    script.ready_when = "False"
    script.start()


def test_a_service_that_runs_already_is_not_started_and_named_when_it_is_away(script: Script) -> None:
    script.external, script.ready_when = "CKAN_SOLR_URL", "never"
    script.log.parent.mkdir()
    script.log.touch()
    with pytest.raises(PartFailed, match="CKAN_SOLR_URL"):
        script.start()
    assert script.pid is None


def test_ports_and_passwords_are_kept_and_private(tmp_path: Path) -> None:
    first = Stack(tmp_path)
    again = Stack(tmp_path)
    assert first.login == again.login
    assert (first.this.url, first.postgres.port) == (again.this.url, again.postgres.port)
    assert stat.S_IMODE((tmp_path / "stack.json").stat().st_mode) == 0o600
    assert Stack(tmp_path, port=12345).this.url == "http://127.0.0.1:12345"
    assert Stack(tmp_path).this.port == 12345


def test_status_and_down_cover_what_was_started_and_nothing_else(tmp_path: Path, script: Script) -> None:
    stack = Stack(tmp_path)
    script.start()
    assert [(part["name"], part["running"]) for part in stack.status()] == [("script", True)]
    script_pid = script.pid
    assert stack.down() == ["script"] and not alive_pid(script_pid)
    assert stack.status() == [] and stack.down() == []


def test_urls_on_services_that_are_not_ours(tmp_path: Path) -> None:
    stack = Stack(
        tmp_path, services={"CKAN_REDIS_URL": "redis://queue.example:6379/3", "CKAN_SOLR_URL": "http://x/solr/a"}
    )
    assert stack.valkey.url("this") == "redis://queue.example:6379/3"
    assert stack.valkey.url("source") == "redis://queue.example:6379/4"
    assert stack.solr.external and not stack.postgres.external


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_only_the_named_user_passes_a_closed_folder(tmp_path: Path) -> None:
    import pwd

    user = pwd.getpwnam("nobody")
    data = tmp_path / "closed" / "data"
    data.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)

    def may(user: pwd.struct_passwd, *command: str) -> bool:
        done = subprocess.run(command, user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/")
        return done.returncode == 0

    enter, look = ["sh", "-c", f"cd {data}"], ["ls", str(data.parent)]
    assert not may(user, *enter)
    let_through(data, user)
    let_through(data, user)
    assert may(user, *enter) and not may(user, *look)
    assert not may(pwd.getpwnam("daemon"), *enter)
    data.parent.chmod(0o700)  # This masks the list.
    assert not may(user, *enter)
    let_through(data, user)
    assert may(user, *enter)


def test_the_access_list_keeps_the_mode() -> None:
    entries = access_list(b"", 0o750, 42)[4:]
    permissions = [entries[start + 2] for start in range(0, len(entries), 8)]
    assert permissions == [7, 1, 5, 5, 0]


def alive_pid(pid: int | None) -> bool:
    time.sleep(0.05)
    return pid is not None and psutil.pid_exists(pid) and alive(psutil.Process(pid))


def test_a_record_reads_as_it_was_written(tmp_path: Path) -> None:
    record = Record(1, 2.5, 15, "x")
    path = tmp_path / "r.json"
    path.write_text(json.dumps(vars(replace(record, pid=7))))
    assert Record.read(path) == Record(7, 2.5, 15, "x")
    assert Record.read(tmp_path / "none") is None
