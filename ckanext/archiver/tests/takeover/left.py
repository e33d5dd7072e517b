"""Lay out what a portal with ckanext-archiver left, in CKAN's database and in an archive folder of a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from ckan import model

RECORDED = Path(__file__).parent / "recorded.json"
DATES = ("resource_timestamp", "first_failure", "last_success", "created", "updated")


class Left:
    """What was recorded, with the folders and addresses of this test in it.

    :param files: the server that the links point to, ``host:port``
    """

    def __init__(self, archive: Path, storage: Path, files: str, site: str) -> None:
        text = RECORDED.read_text()
        given = {"archive": str(archive), "storage": str(storage / "resources"), "files": files, "site": site}
        for name, value in given.items():
            text = text.replace(f"{{{name}}}", value)
        self.recorded: dict[str, Any] = json.loads(text)
        self.archive, self.storage = archive, storage / "resources"
        self.archivals: list[dict[str, Any]] = self.recorded["archivals"]
        self.ids = {each["name"]: each["id"] for each in self.recorded["resources"]}
        self.columns = [each["name"] for each in self.recorded["columns"]]

    def lay_out(self, without: tuple[str, ...] = ()) -> None:
        """Make the table with its rows, the resources, and the files.

        :param without: columns that the table does not have yet
        """
        self.columns = [name for name in self.columns if name not in without]
        with model.meta.engine.begin() as connection:
            self._make_resources(connection)
            self._make_table(connection, without)
        self._make_files()

    def row(self, name: str) -> dict[str, Any]:
        """Return the newest row of a resource, as it was recorded."""
        rows = [row for row in self.archivals if row["resource_id"] == self.ids[name]]
        return max(rows, key=lambda row: row["updated"])

    def now(self) -> dict[str, dict[str, Any]]:
        """Return what the table says by now, by name of the resource: the recorded columns, times as text."""
        names = {resource_id: name for name, resource_id in self.ids.items()}
        with model.meta.engine.connect() as connection:
            rows = connection.execute(sa.text(f"SELECT {', '.join(self.columns)} FROM archival")).mappings().all()
        found = {names[row["resource_id"]]: dict(row) for row in rows}
        assert len(found) == len(rows), "a resource has several rows"
        for row in found.values():
            row |= {name: row[name].isoformat() for name in DATES if row[name]}
        return found

    def copies(self) -> dict[str, str]:
        """Return the files of the archive, by path in it; those of our store beside them are left out."""
        paths = (path for path in sorted(self.archive.rglob("*")) if path.is_file())
        relative = {str(path.relative_to(self.archive)): path for path in paths}
        return {name: path.read_text() for name, path in relative.items() if not name.startswith(".")}

    def _make_resources(self, connection: Any) -> None:
        connection.execute(
            sa.insert(model.Group.__table__),
            [{"id": "office", "name": "office", "title": "Office", "type": "organization", "is_organization": True,
              "state": "active", "approval_status": "approved"}],
        )  # fmt: skip
        columns = ("id", "name", "private", "state")
        packages = [
            {
                **{name: package[name] for name in columns},
                "title": package["name"],
                "type": "dataset",
                "owner_org": "office",
            }
            for package in self.recorded["packages"]
        ]
        connection.execute(sa.insert(model.Package.__table__), packages)
        connection.execute(sa.insert(model.Resource.__table__), self.recorded["resources"])

    def _make_table(self, connection: Any, without: tuple[str, ...]) -> None:
        columns = ", ".join(
            f"{each['name']} {each['type']}{'' if each['nullable'] else ' NOT NULL'}"
            for each in self.recorded["columns"]
            if each["name"] not in without
        )
        connection.execute(sa.text(f"CREATE TABLE archival ({columns})"))
        for index in self.recorded["indexes"]:
            connection.execute(sa.text(index["definition"]))
        connection.execute(sa.text("CREATE TABLE archiver_alembic_version (version_num varchar(32) PRIMARY KEY)"))
        stamp = sa.text("INSERT INTO archiver_alembic_version VALUES (:revision)")
        connection.execute(stamp, {"revision": self.recorded["revision"]})
        values = ", ".join(f":{name}" for name in self.columns)
        connection.execute(
            sa.text(f"INSERT INTO archival ({', '.join(self.columns)}) VALUES ({values})"), self.archivals
        )

    def _make_files(self) -> None:
        for folder, contents in ((self.archive, "archive"), (self.storage, "uploads")):
            for name, text in self.recorded[contents].items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
