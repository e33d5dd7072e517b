"""A portal that runs ckanext-harvest 1.6.3 changes to this project in place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from ckanext.relay.devstack.portal import Portal, Services

from .test_packaging import ROOT, built, run  # noqa: F401  (built is a fixture)

if TYPE_CHECKING:
    from ckanext.relay.devstack.stack import Stack

TABLES = (
    "harvest_source", "harvest_job", "harvest_object", "harvest_object_extra", "harvest_gather_error",
    "harvest_object_error", "harvest_log",
)  # fmt: skip

FILL = """
import ckan.plugins.toolkit as tk
from ckan import model
from ckanext.harvest.model import *
tk.get_action("get_site_user")({"ignore_auth": True}, {})
user = {"ignore_auth": True, "user": "ckan.site_user" if model.User.get("ckan.site_user") else "wheel"}
source = tk.get_action("harvest_source_create")(dict(user), {
    "name": "old-source", "url": "http://old.example/", "source_type": "ckan", "title": "Old", "frequency": "DAILY",
    "config": '{"force_all": true}'})
dataset = tk.get_action("package_create")(dict(user), {"name": "old-dataset"})
job = HarvestJob(source=HarvestSource.get(source["id"]), status="Finished")
job.save()
for number in range(20):
    obj = HarvestObject(guid=f"guid-{number}", job=job, content='{"id": 1}', state="COMPLETE", current=number == 0,
                        package_id=dataset["id"] if number == 0 else None, report_status="added",
                        extras=[HarvestObjectExtra(key="k", value="v")])
    obj.save()
HarvestGatherError.create("old gather error", job)
HarvestObjectError.create("old object error", obj, "Import", 7)
HarvestLog(content="old", level="INFO").save()
"""

CHECK = """
import ckan.plugins.toolkit as tk
from ckanext.harvest.model import HarvestObject
context = {"ignore_auth": True, "user": ""}
source = tk.get_action("harvest_source_show")(dict(context), {"id": "old-source"})
assert source["status"]["total_datasets"] == 1, source
assert source["config"] == '{"force_all": true}', source
stats = source["status"]["last_job"]["stats"]
assert stats == {"added": 20, "updated": 0, "not modified": 0, "errored": 2, "deleted": 0}, stats
shown = tk.get_action("harvest_object_show")(dict(context), {"dataset_id": "old-dataset"})
assert shown["guid"] == "guid-0" and shown["extras"] == {"k": "v"}, shown
job = tk.get_action("harvest_job_create")(dict(context), {"source_id": source["id"]})
assert job["status"] == "Running", job
print("taken over")
"""


@pytest.mark.timeout(900)
def test_a_database_of_ckanext_harvest_is_taken_over_with_all_its_rows(
    built: Path,  # noqa: F811
    stack: Stack,
    tmp_path: Path,
) -> None:
    """Uninstall the one, install the other, migrate: every row is as it was, and the next job can be made."""
    prepare = '. "$root/ckanext/relay/devstack/venv.sh"; prepare_venv old ckanext-harvest==1.6.3 pylibmagic'
    run("sh", "-euc", prepare, root=str(ROOT), venv=str(tmp_path / "venv"))
    stack.postgres.drop_database("takeover")
    url = stack.postgres.database("takeover")
    portal = Portal(tmp_path, "takeover", "Takeover", 0, "harvest ckan_harvester", {})
    portal.configure(Services(url, stack.solr.core("test"), stack.valkey.url("test"), "secret", "unused"))
    programs = tmp_path / "venv" / "bin"
    ckan = [str(programs / "ckan"), "--config", str(portal.ini)]
    run(*ckan, "db", "upgrade", "--skip-plugins")
    run(*ckan, "db", "pending-migrations", "--apply")
    run_script(ckan, tmp_path, FILL)
    before = contents(url)
    assert [len(before[table]) for table in TABLES] == [1, 1, 20, 20, 1, 1, 1]

    run(str(programs / "pip"), "uninstall", "--yes", "ckanext-harvest")
    run(str(programs / "pip"), "install", "--quiet", str(next(built.glob("*.whl"))))
    assert "unapplied migrations for harvest" in run(*ckan, "db", "pending-migrations")
    run(*ckan, "db", "pending-migrations", "--apply")

    assert contents(url, before) == before
    assert "taken over" in run_script(ckan, tmp_path, CHECK)
    assert "old-source" in run(*ckan, "harvester", "sources")


def run_script(ckan: list[str], folder: Path, script: str) -> str:
    """Run Python inside the portal's application."""
    (folder / "script.py").write_text(script)
    program = (
        "import sys; from ckan.cli import load_config; from ckan.config.middleware import make_app\n"
        "app = make_app(load_config(sys.argv[1]))._wsgi_app\n"
        "with app.test_request_context(): exec(open(sys.argv[2]).read())"
    )
    return run(str(Path(ckan[0]).with_name("python")), "-c", program, ckan[2], str(folder / "script.py"))


def contents(url: str, like: dict[str, list[dict[str, Any]]] | None = None) -> dict[str, list[dict[str, Any]]]:
    """All rows of the harvest tables, by table; of the columns of ``like`` only, if it is given."""
    found = {}
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        for table in TABLES:
            columns = ", ".join(like[table][0]) if like else "*"
            cursor.execute(f"SELECT {columns} FROM {table} ORDER BY id")
            names = [column.name for column in cursor.description or ()]
            found[table] = [dict(zip(names, row, strict=True)) for row in cursor]
    return found
