"""Write down what a portal with ckanext-archiver leaves after three rounds over ``old_files``.

``python -m ckanext.archiver.tests.takeover.record PYTHON [FOLDER]`` drives the environment of that Python, which has
CKAN and ckanext-archiver and nothing of ours, keeps the services in the folder (``.relay/recording-archiver``, if none
is named) and writes ``recorded.json``: the table as it is there, its rows, the resources that they are about, and
the files. What is different for each portal stands in braces: {archive}, {storage}, {files} and {site}.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg2
import requests

import ckanext.relay.devstack
from ckanext.relay.devstack.portal import Portal, Services
from ckanext.relay.devstack.processes import environment
from ckanext.relay.devstack.stack import Stack, free_port

from .old_files import ROUNDS, OldFiles

RECORDED = Path(__file__).parent / "recorded.json"
SITE = "http://portal.example"
CACHE = "http://cache.example/"
_FIRST_RUN = Path(ckanext.relay.devstack.__file__).parent / "first_run.py"

#: What is in the datasets: the paths at ``old_files``, or something else.
DATASETS = {
    "history": [
        *("{files}/ok.csv", "{files}/gone.csv", "{files}/large.zip", "{files}/recovered.csv", "{files}/lost.csv"),
        *("{files}/redirected.csv", "{files}/changed.csv", "{files}/lower-case-etag.csv", "{files}/with%20space.csv"),
        *("{files}/deleted.csv", "mailto:someone@example.org"),
    ],
    "uploaded": [],
    "private": ["{files}/private.csv"],
    "raced": ["{files}/raced.csv"],
    "unset": ["{files}/unset.csv"],
}

_FILL = """
import io
import ckan.plugins.toolkit as tk
from ckan import model
from werkzeug.datastructures import FileStorage
tk.get_action("get_site_user")({{"ignore_auth": True}}, {{}})
user = {{"ignore_auth": True, "user": "quickstart"}}
office = tk.get_action("organization_create")(dict(user), {{"name": "office", "title": "Office"}})
for name, urls in {datasets!r}.items():
    resources = [{{"url": url, "format": "CSV", "name": url.rpartition("/")[2]}} for url in urls]
    tk.get_action("package_create")(dict(user), {{
        "name": name, "owner_org": office["id"], "private": name == "private", "resources": resources}})
upload = FileStorage(io.BytesIO(b"name;version\\nuploaded;1\\n"), filename="uploaded.csv")
tk.get_action("resource_create")(dict(user), {{
    "package_id": "uploaded", "name": "uploaded.csv", "format": "CSV", "url": "uploaded.csv", "upload": upload}})
"""

_DELETE = """
import ckan.plugins.toolkit as tk
user = {"ignore_auth": True, "user": "quickstart"}
resources = tk.get_action("package_show")(dict(user), {"id": "history"})["resources"]
tk.get_action("resource_delete")(dict(user), {"id": next(r["id"] for r in resources if r["name"] == "deleted.csv")})
"""

_IN_THE_PORTAL = (
    "import sys; from ckan.cli import load_config; from ckan.config.middleware import make_app\n"
    "app = make_app(load_config(sys.argv[1]))._wsgi_app\n"
    "with app.test_request_context(): exec(sys.stdin.read())"
)

_TABLE = """
SELECT column_name AS name, data_type AS type, is_nullable = 'YES' AS nullable, column_default AS default
FROM information_schema.columns WHERE table_name = 'archival' ORDER BY ordinal_position
"""
_INDEXES = "SELECT indexname AS name, indexdef AS definition FROM pg_indexes WHERE tablename = 'archival' ORDER BY 1"
_PACKAGES = """
SELECT package.id, package.name, package.private, package.state, "group".name AS organization
FROM package JOIN "group" ON "group".id = package.owner_org ORDER BY package.name
"""
_RESOURCES = (
    "SELECT id, package_id, url, url_type, format, name, position, state FROM resource ORDER BY package_id, position"
)


class OldPortal:
    """A portal in the environment that has ckanext-archiver."""

    def __init__(self, stack: Stack, python: Path) -> None:
        self.stack, self.python = stack, python
        self.archive = stack.state / "archive"
        settings = {"ckan.site_url": SITE, "ckanext-archiver.archive_dir": str(self.archive)}
        self.portal = Portal(stack.state, "recording", "Recording", free_port(set()), "archiver", settings)
        self.url = stack.postgres.database("recording")

    def configure(self, **settings: str) -> None:
        self.portal.settings |= settings
        services = self.stack.solr.core("this"), self.stack.valkey.url("this")
        self.portal.configure(Services(self.url, *services, "secret", "unused-here"))

    def run(self, *command: str, given: str = "") -> None:
        environ = environment({"CKAN_INI": str(self.portal.ini)})
        done = subprocess.run(command, input=given, env=environ, cwd="/", text=True, capture_output=True)
        if done.returncode:
            raise SystemExit(f"{command} failed:\n{done.stdout}\n{done.stderr}")

    def first_run(self) -> None:
        given = {"name": "quickstart", "password": "unused-here", "token_file": str(self.portal.folder / "api-token")}
        code = f"import runpy; runpy.run_path({str(_FIRST_RUN)!r}, run_name='__main__')"
        self.run(str(self.python), "-c", code, given=json.dumps(given))

    def script(self, script: str) -> None:
        self.run(str(self.python), "-c", _IN_THE_PORTAL, str(self.portal.ini), given=script)

    def ckan(self, *arguments: str) -> None:
        self.run(str(self.python.with_name("ckan")), *arguments)

    def archive_all(self, *names: str) -> None:
        self.ckan("archiver", "update", *names)
        self.ckan("jobs", "worker", "bulk", "--burst")

    def race(self, resource_id: str) -> None:
        """Archive a resource by two jobs at a time, both of which see that it has no row and write one: the database is
        held up between the two."""
        ckan = str(self.python.with_name("ckan"))
        environ = environment({"CKAN_INI": str(self.portal.ini)})
        for queue in ("bulk", "priority"):
            self.ckan("archiver", "update", "--queue", queue, resource_id)
        with psycopg2.connect(self.url) as connection, connection.cursor() as cursor:
            cursor.execute("LOCK TABLE archival IN SHARE MODE")  # until the end of the transaction
            jobs = [
                subprocess.Popen([ckan, "jobs", "worker", queue, "--burst"], env=environ, stderr=subprocess.DEVNULL)
                for queue in ("bulk", "priority")
            ]
            while len(self.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")) < len(jobs):
                time.sleep(0.1)
        codes = [job.wait() for job in jobs]
        if any(codes):
            raise SystemExit(f"the two jobs ended with {codes}")

    def rows(self, query: str) -> list[dict[str, Any]]:
        with psycopg2.connect(self.url) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def files(self, folder: Path) -> dict[str, str]:
        return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def record(python: Path, folder: Path) -> None:
    stack = Stack(folder / "stack", say=print)
    stack.up(portals=(), worker=0, beat=False)
    try:
        with OldFiles() as files:
            found = live(stack, python, files)
    finally:
        stack.down()
    RECORDED.write_text(found + "\n")


def live(stack: Stack, python: Path, files: OldFiles) -> str:
    """Let the portal live its life, and return what it leaves."""
    stack.postgres.drop_database("recording")
    stack.valkey.flush("this")
    core = stack.solr.core("this")
    requests.post(f"{core}/update?commit=true", json={"delete": {"query": "*:*"}}, timeout=60).raise_for_status()
    portal = OldPortal(stack, python)
    for folder in (portal.archive, portal.portal.folder):
        shutil.rmtree(folder, ignore_errors=True)
    portal.configure()
    portal.first_run()
    datasets = {name: [url.format(files=files.url) for url in urls] for name, urls in DATASETS.items()}
    portal.script(_FILL.format(datasets=datasets))
    portal.ckan("jobs", "clear", "priority")
    portal.archive_all("unset")
    portal.configure(**{"ckanext-archiver.cache_url_root": CACHE})
    portal.race(portal.rows("SELECT id FROM resource WHERE name = 'raced.csv'")[0]["id"])
    for number in range(1, ROUNDS + 1):
        files.round = number
        portal.archive_all("history", "uploaded", "private")
    portal.script(_DELETE)
    left = {
        "columns": portal.rows(_TABLE),
        "indexes": portal.rows(_INDEXES),
        "revision": portal.rows("SELECT version_num FROM archiver_alembic_version")[0]["version_num"],
        "packages": portal.rows(_PACKAGES),
        "resources": portal.rows(_RESOURCES),
        "archivals": portal.rows("SELECT * FROM archival ORDER BY created, id"),
        "archive": portal.files(portal.archive),
        "uploads": portal.files(portal.portal.folder / "storage" / "resources"),
    }
    text = json.dumps(left, indent=1, default=lambda time: time.isoformat())
    storage = portal.portal.folder / "storage" / "resources"
    address = files.url.removeprefix("http://")
    for value, name in {
        str(portal.archive): "archive",
        str(storage): "storage",
        address: "files",
        SITE: "site",
    }.items():
        text = text.replace(value, f"{{{name}}}")
    return text


if __name__ == "__main__":
    record(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else ".relay/recording-archiver").absolute())
