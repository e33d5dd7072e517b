"""One CKAN portal of the stack: its ini, database, sysadmin and web server; and the Celery processes of a portal."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import requests

from .processes import Process, run_to_end

SYSADMIN = "quickstart"
WEB_THREADS = 8

INI = """\
# Written anew by every "up" of the stack: changes made here are lost.
[DEFAULT]
debug = false

[app:main]
use = egg:ckan
{settings}

[loggers]
keys = root, ckan, ckanext

[handlers]
keys = console

[formatters]
keys = generic

[logger_root]
level = WARNING
handlers = console

[logger_ckan]
level = INFO
handlers =
qualname = ckan

[logger_ckanext]
level = INFO
handlers =
qualname = ckanext

[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = generic

[formatter_generic]
format = %(asctime)s %(levelname)-5.5s [%(name)s] %(message)s
"""


@dataclass(frozen=True)
class Services:
    """Where a portal finds what it needs, and its own secrets."""

    sqlalchemy_url: str
    solr_url: str
    redis_url: str
    secret_key: str
    password: str


class Portal(Process):
    def __init__(self, state: Path, name: str, title: str, port: int, plugins: str, settings: dict[str, str]) -> None:
        super().__init__(state, f"portal-{name}", f"the portal {title!r}")
        self.portal, self.site_title, self.port = name, title, port
        self.plugins, self.settings = plugins, settings
        self.url = f"http://127.0.0.1:{port}"
        self.folder = state / "portals" / name
        self.ini = self.folder / "ckan.ini"
        self.services: Services | None = None

    @property
    def api_token(self) -> str:
        return (self.folder / "api-token").read_text().strip()

    def configure(self, services: Services) -> None:
        """Write the ini. A portal or worker that runs with another one is started anew by the next ``start``."""
        self.services = services
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ini.touch(mode=0o600)
        settings = "\n".join(f"{key} = {value}".replace("%", "%%") for key, value in self._settings(services).items())
        self.ini.write_text(INI.replace("{settings}", settings))

    def prepare(self) -> None:
        """Migrate the database and make the sysadmin and its API token, in one process: CKAN takes seconds to load."""
        assert self.services
        token_file = str(self.folder / "api-token")
        given = json.dumps({"name": SYSADMIN, "password": self.services.password, "token_file": token_file})
        run_to_end(self, [sys.executable, "-m", "ckanext.relay.devstack.first_run"], self.variables(), given)

    def command(self) -> list[str]:
        return [
            sys.executable,
            "-m",
            "waitress",
            "--host=127.0.0.1",
            f"--port={self.port}",
            f"--threads={WEB_THREADS}",
            "ckanext.relay.devstack.wsgi:application",
        ]

    def variables(self) -> dict[str, str]:
        return {"CKAN_INI": str(self.ini)}

    def fingerprint(self) -> str:
        return super().fingerprint() + self.ini_hash()

    def ini_hash(self) -> str:
        return hashlib.sha256(self.ini.read_bytes()).hexdigest()

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/3/action/status_show", timeout=10).ok
        except requests.RequestException:
            return False

    def _settings(self, services: Services) -> dict[str, str]:
        return {
            "SECRET_KEY": services.secret_key,
            # Browsers keep cookies by host, and both portals have the same one.
            "SESSION_COOKIE_NAME": f"relay-{self.portal}",
            "REMEMBER_COOKIE_NAME": f"relay-{self.portal}-remember",
            "sqlalchemy.url": services.sqlalchemy_url,
            "solr_url": services.solr_url,
            "ckan.redis.url": services.redis_url,
            "ckan.site_id": self.portal,
            "ckan.site_url": self.url,
            "ckan.site_title": self.site_title,
            "ckan.plugins": self.plugins,
            "ckan.auth.create_unowned_dataset": "true",  # A line of a data file may name no organisation.
            "ckan.storage_path": str(self.folder / "storage"),
            "ckan.webassets.path": str(self.folder / "webassets"),
            **self.settings,
        }


class Worker(Process):
    """A Celery worker of a portal, with prefork processes: harvesters of third parties are not made for threads."""

    def __init__(self, state: Path, portal: Portal, name: str, concurrency: int) -> None:
        super().__init__(state, name, f"the Celery worker {name!r}")
        self.portal, self.concurrency = portal, concurrency

    def command(self) -> list[str]:
        return [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "ckanext.relay.celery_app",
            "worker",
            "--loglevel",
            "INFO",
            "--concurrency",
            str(self.concurrency),
            "--hostname",
            f"{self.name}@%h",
        ]

    def variables(self) -> dict[str, str]:
        return self.portal.variables()

    def fingerprint(self) -> str:
        return super().fingerprint() + self.portal.ini_hash()

    def is_ready(self) -> bool:
        return self.logged(f"{self.name}@") and self.logged(" ready.")


class Beat(Process):
    """The Celery scheduler of a portal."""

    def __init__(self, state: Path, portal: Portal) -> None:
        super().__init__(state, "beat", "the Celery scheduler")
        self.portal = portal

    def command(self) -> list[str]:
        return [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "ckanext.relay.celery_app",
            "beat",
            "--loglevel",
            "INFO",
            "--schedule",
            str(self.portal.folder / "beat-schedule"),
        ]

    def variables(self) -> dict[str, str]:
        return self.portal.variables()

    def fingerprint(self) -> str:
        return super().fingerprint() + self.portal.ini_hash()

    def is_ready(self) -> bool:
        return self.logged("beat: Starting...")
