"""Data that is read from a folder, JSON lines or SQLite, and what is said if it is not what it must be."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckanext.syndicate.domain.sync_source import BadSource, Source

pytest.importorskip("sqlalchemy")

from ckanext.syndicate.source_files import UnreadableSource, read  # noqa: E402

DATASET = {"id": "1", "name": "roads", "groups": ["transport"], "owner_org": "city", "extras": {"a": "b"}}
GROUP = {"name": "transport", "type": "group"}
ORGANIZATION = {"name": "city", "is_organization": True}
ALL: dict[str, dict[str, Any]] = {
    "dataset": {"1": DATASET},
    "group": {"transport": GROUP},
    "organization": {"city": ORGANIZATION},
}


def folder(path: Path, **files: Any) -> Path:
    """Make a folder with the data, and with further files by ``kind/name``."""
    for kind, records in ALL.items():
        (path / kind).mkdir(parents=True)
        for key, record in records.items():
            (path / kind / f"{key}.json").write_text(json.dumps(record, indent=2))
    for name, content in files.items():
        (path / name.replace("__", "/")).write_bytes(content)
    return path


def lines(path: Path, *texts: str | bytes) -> Path:
    """Make a file of JSON lines."""
    encoded = [text if isinstance(text, bytes) else text.encode() for text in texts]
    path.write_bytes(b"\n".join(encoded) + b"\n")
    return path


def database(path: Path, tables: dict[str, list[tuple[Any, Any]]]) -> Path:
    """Make a database with rows of id and JSON."""
    connection = sqlite3.connect(path)
    for table, rows in tables.items():
        connection.execute('CREATE TABLE "{}" (id, json_data)'.replace("{}", table))
        connection.executemany('INSERT INTO "{}" VALUES (?, ?)'.replace("{}", table), rows)
    connection.commit()
    connection.close()
    return path


def rows(**names: str) -> dict[str, list[tuple[Any, Any]]]:
    """Return the data as rows of tables, which may have other names."""
    return {
        names.get(kind, kind): [(key, json.dumps(each)) for key, each in records.items()]
        for kind, records in ALL.items()
    }


_WRITERS: list[Callable[[Path], Path]] = [
    lambda path: folder(path / "folder", **{"dataset__.hidden": b"?", "dataset__1.json~": b"?", "group__~x": b"?"}),
    lambda path: lines(path / "all.jsonl", json.dumps(DATASET), "", json.dumps(GROUP), json.dumps(ORGANIZATION)),
    lambda path: database(path / "all.db", rows()),
]


@pytest.mark.parametrize("write", _WRITERS)
def test_reading(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    """The same data comes out of each form; hidden files and backups are left out."""
    found = read(write(tmp_path))
    assert found.data == ALL
    Source(found.data)


def test_other_tables(tmp_path: Path) -> None:
    """Tables may have any name."""
    names = {"dataset": "my sets", "group": "select", "organization": "o"}
    assert read(database(tmp_path / "a.sqlite", rows(**names)), names).data == ALL


def test_as_a_portal_shows_it(tmp_path: Path) -> None:
    """What the API of a CKAN answers, or ckanapi dumps, is taken as it is."""
    shown = {
        "id": "1",
        "name": "roads",
        "type": "dataset",
        "owner_org": "c0ffee",
        "organization": {"id": "c0ffee", "name": "city"},
        "groups": [{"id": "7", "name": "transport"}],
        "tags": [{"name": "water", "vocabulary_id": None}],
        "extras": [{"key": "a", "value": "b"}],
    }
    group = {"name": "transport", "type": "theme", "is_organization": False, "extras": [{"key": "x", "value": "y"}]}
    organization = {"name": "city", "type": "organization", "users": []}
    found = read(lines(tmp_path / "dump.jsonl", *map(json.dumps, (shown, group, organization))))
    record = found.data["dataset"]["1"]
    assert (record["owner_org"], record["groups"], record["tags"]) == ("city", ["transport"], ["water"])
    assert record["extras"] == {"a": "b"}
    assert found.data["group"]["transport"]["extras"] == {"x": "y"}
    Source(found.data)


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda path: lines(path / "x.jsonl", json.dumps(GROUP), '{"id": '), "x.jsonl:2: is no JSON"),
        (lambda path: lines(path / "x.jsonl", "{}\xff".encode("latin-1")), "x.jsonl:1: is not UTF-8"),
        (lambda path: lines(path / "x.jsonl", "[1]"), "x.jsonl:1: is no JSON object"),
        (lambda path: lines(path / "x.jsonl", '{"id": "1", "x": NaN}'), "x.jsonl:1: is no JSON: NaN"),
        (lambda path: lines(path / "x.jsonl", '{"name": "x"}'), "x.jsonl:1: the dataset has no 'id'"),
        (lambda path: lines(path / "x.jsonl", '{"type": "group"}'), "x.jsonl:1: the group has no 'name'"),
        (lambda path: lines(path / "x.jsonl", '{"id": 1}', '{"id": "1"}'), "x.jsonl:2: the dataset '1' is already in"),
        (lambda path: lines(path / "x.jsonl", "[" * 100_000), "x.jsonl:1: is no JSON"),
        (lambda path: folder(path / "f", dataset__2=b'{\n"id": "2",\n}'), "dataset/2:3: is no JSON"),
        (lambda path: folder(path / "f", dataset__2=b'{"id": "1"}'), "is already in"),
        (lambda path: path, "has no folder 'dataset'"),
        (lambda path: path / "nowhere", "nowhere cannot be read: No such file"),
        (lambda path: database(path / "x.db", {"dataset": []}), "has no table 'group'; it has dataset"),
        (lambda path: database(path / "x.db", {**rows(), "group": [("g", "{")]}), "table group, id g: is no JSON"),
        (lambda path: database(path / "x.db", {**rows(), "group": [("g", None)]}), "table group, id g: is no text"),
        (lambda path: lines(path / "x.db", b"SQLite format 3\0 and no more"), "x.db cannot be read"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, write: Callable[[Path], Path], says: str) -> None:
    """The message names the file, and the line or row."""
    with pytest.raises(UnreadableSource) as raised:
        read(write(tmp_path))
    assert says in str(raised.value)


def test_a_table_with_other_columns(tmp_path: Path) -> None:
    """A table that is no such table is an error, too."""
    connection = sqlite3.connect(tmp_path / "x.db")
    for kind in ALL:
        connection.execute('CREATE TABLE "{}" (id, data)'.replace("{}", kind))
    connection.close()
    with pytest.raises(UnreadableSource, match="json_data"):
        read(tmp_path / "x.db")


def test_where_an_object_stands(tmp_path: Path) -> None:
    """What is found to be wrong later is said with its place."""
    found = read(lines(tmp_path / "x.jsonl", json.dumps(ORGANIZATION), json.dumps(DATASET)))
    with pytest.raises(BadSource) as raised:
        Source(found.data)
    assert str(found.explained(raised.value)).startswith(f"{tmp_path}/x.jsonl:2: dataset '1': the group 'transport'")
