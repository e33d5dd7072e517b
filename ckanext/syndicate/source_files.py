"""Reads data to be synchronized from files: a folder, JSON lines, or SQLite. CKAN is not needed.

Datasets, groups and organizations may be written as ``SynchronizationClient`` takes them, or as the API of a CKAN
answers, and as ``ckanapi dump`` writes them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import sqlalchemy as sa
import sqlalchemy.exc as sa_errors

from ckanext.relay.errors import RelayError

from .domain.sync_source import BadSource
from .domain.synchronization import Record

KINDS = ("dataset", "group", "organization")
_SQLITE = b"SQLite format 3\0"


class UnreadableSource(RelayError):
    """A file is not what it must be; the message says which, and where."""


@dataclass
class SourceFiles:
    """What was read.

    :ivar data: for ``SynchronizationClient.sync``
    :ivar places: where each object stands, by kind and key: ``portal/dataset/1.json``, ``all.jsonl:17``
    """

    data: dict[str, dict[str, Record]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    places: dict[tuple[str, str], str] = field(default_factory=dict)

    def explained(self, error: BadSource) -> RelayError:
        """Return the error about an object as one that also says where that stands."""
        place = self.places.get((error.kind, error.key))
        return UnreadableSource(f"{place}: {error}") if place else error


def read(path: Path, tables: Mapping[str, str] | None = None) -> SourceFiles:
    """Return what is in a folder, a file of JSON lines, or an SQLite database.

    :param path: a folder with subfolders ``dataset``, ``group``, ``organization`` and a JSON file for each object; a
        file with a JSON object in each line; or a database
    :param tables: the names of the tables of a database by kind, with columns ``id`` and ``json_data``
    :raises UnreadableSource: something is not what it must be
    """
    found = SourceFiles()
    for kind, key, record, place in _objects(path, tables or {}):
        if (kind, key) in found.places:
            raise UnreadableSource(f"{place}: the {kind} {key!r} is already in {found.places[kind, key]}")
        found.places[kind, key] = place
        found.data[kind][key] = _record(kind, record)
    return found


_Objects = Iterator[tuple[str, str, Any, str]]


def _objects(path: Path, tables: Mapping[str, str]) -> _Objects:
    """Yield kind, key, object and place of everything."""
    try:
        if path.is_dir():
            yield from _of_folder(path)
        elif path.open("rb").read(len(_SQLITE)) == _SQLITE:
            yield from _of_database(path, {kind: tables.get(kind, kind) for kind in KINDS})
        else:
            yield from _of_lines(path)
    except OSError as error:
        raise UnreadableSource(f"{error.filename or path} cannot be read: {error.strerror}") from error


def _of_folder(folder: Path) -> _Objects:
    if not (folder / "dataset").is_dir():
        raise UnreadableSource(f"{folder} has no folder 'dataset'")
    for kind in KINDS:
        if not (folder / kind).is_dir():
            continue
        for path in sorted((folder / kind).iterdir()):
            if path.name.startswith((".", "~")) or path.name.endswith("~") or not path.is_file():
                continue
            found = _parsed(_text(path.read_bytes(), str(path)), str(path))
            yield kind, _key(kind, found, str(path)), found, str(path)


def _of_lines(path: Path) -> _Objects:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            place = f"{path}:{number}"
            text = _text(line, place)
            if text.strip():
                found = _parsed(text.rstrip(), place)
                kind = _kind(found)
                yield kind, _key(kind, found, place), found, place


def _of_database(path: Path, tables: Mapping[str, str]) -> _Objects:
    address = f"{path.resolve().as_uri()}?mode=ro"
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True))
    try:
        with engine.connect() as connection:
            there = sa.inspect(connection).get_table_names()
            for kind, name in tables.items():
                if name not in there:
                    raise UnreadableSource(f"{path} has no table {name!r}; it has {', '.join(there) or 'none'}")
                table = sa.table(name, sa.column("id"), sa.column("json_data"))
                for key, text in connection.execute(sa.select(table.c.id, table.c.json_data)):
                    place = f"{path}, table {name}, id {key}"
                    yield kind, str(key), _parsed(_text(text, place), place), place
    except sa_errors.DBAPIError as error:
        raise UnreadableSource(f"{path} cannot be read: {error.orig}") from error
    finally:
        engine.dispose()


def _text(content: Any, place: str) -> str:
    try:
        return content if isinstance(content, str) else content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableSource(f"{place}: is not UTF-8: {error.reason} at byte {error.start}") from None
    except AttributeError:
        raise UnreadableSource(f"{place}: is no text") from None


def _parsed(text: str, place: str) -> Record:
    try:
        found = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        at = f"{place}:{error.lineno}" if error.lineno > 1 else place
        raise UnreadableSource(f"{at}: is no JSON: {error.msg} in column {error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise UnreadableSource(f"{place}: is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise UnreadableSource(f"{place}: is no JSON object")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _key(kind: str, found: Record, place: str) -> str:
    name = "id" if kind == "dataset" else "name"
    key = found.get(name)
    if not isinstance(key, (str, int)) or isinstance(key, bool) or key == "":
        raise UnreadableSource(f"{place}: the {kind} has no {name!r}")
    return str(key)


def _kind(found: Record) -> str:
    """Return what an object is: CKAN says so of groups and organizations, also if they have a type of their own."""
    for kind in ("group", "organization"):
        if found.get("type") == kind or found.get("is_organization") is (kind == "organization"):
            return kind
    return "dataset"


def _record(kind: str, found: Record) -> Record:
    """Return an object as ``SynchronizationClient`` takes it, if it is written as the API answers."""
    result = dict(found)
    if isinstance(found.get("extras"), list):
        result["extras"] = {str(each["key"]): each.get("value") for each in found["extras"] if _has(each, "key")}
    for name in ("groups", "tags"):
        if isinstance(found.get(name), list):
            result[name] = list(_names(found[name]))
    if kind == "dataset" and isinstance(found.get("organization"), Mapping):
        result["owner_org"] = found["organization"].get("name")
    return result


def _names(items: Iterable[Any]) -> Iterator[Any]:
    for each in items:
        yield each["name"] if _has(each, "name") else each


def _has(each: Any, key: str) -> bool:
    return isinstance(each, Mapping) and key in each
