"""Who may see what of a report. Stored data hold everything; what is shown is narrowed down for each viewer."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
import sqlalchemy as sa
from ckan import authz, model
from ckan.lib.plugins import DefaultPermissionLabels, get_permission_labels

#: Columns that hold the id or name of a dataset.
DATASET_COLUMNS = ("package_id", "dataset_id", "package_name", "dataset_name")

#: Columns that may hold it. A row is left out only if there is such a dataset and the viewer may not see it.
MAYBE_DATASET_COLUMNS = ("id", "name")

#: Stands for a report that does not say which column names the dataset.
UNSAID = object()

#: What may be an id has the length of a UUID.
_ID_LENGTH = 36
#: Nothing that is printable holds it.
_SEPARATOR = "\x1f"
_COLUMNS = ("id", "name", "state", "private", "owner_org", "creator_user_id")


class Viewer:
    """Somebody who looks at a report.

    :param name: of the user; empty for a visitor who is not logged in
    :param ignore_auth: may see everything
    """

    def __init__(self, name: str | None, ignore_auth: bool = False) -> None:
        self.user: model.User | None = model.User.get(name) if name else None
        #: Whether they may see everything.
        self.sees_all = ignore_auth or bool(name and authz.is_sysadmin(name))

    @functools.cached_property
    def organizations(self) -> frozenset[str]:
        """The ids of the organizations whose private datasets this viewer may see. For those who see all it need not
        name them: ask ``sees_all`` first."""
        mark = "member-"
        return frozenset(label[len(mark) :] for label in self.labels if label.startswith(mark))

    @functools.cached_property
    def labels(self) -> frozenset[str]:
        """CKAN's permission labels: they may see a dataset that carries one of these."""
        return frozenset(get_permission_labels().get_user_dataset_labels(self.user))

    def datasets(self, ids_or_names: Iterable[Any]) -> frozenset[str]:
        """Return those ids or names that name a dataset which this viewer may see, in two statements for all."""
        wanted = _texts(ids_or_names)
        exceptions = self.exceptions(wanted)
        return frozenset(each for each in wanted if exceptions.get(each, True))

    def exceptions(self, ids_or_names: Iterable[Any]) -> dict[str, bool | None]:
        """Return those that do not name a dataset that everybody may see: whether this viewer may see it, or None if
        there is no such dataset. Few of many, as a rule, so that not all need to be fetched."""
        wanted = _texts(ids_or_names)
        odd = set() if "".join(wanted).isprintable() else {each for each in wanted if not each.isprintable()}
        ids = {each for each in wanted - odd if len(each) == _ID_LENGTH}
        by_id = self._exceptions("id", ids)
        missing = {each for each, visible in by_id.items() if visible is None}
        by_name = self._exceptions("name", (wanted - odd - ids) | missing)
        return {**dict.fromkeys(odd), **{each: by_id[each] for each in by_id.keys() - missing}, **by_name}

    def _exceptions(self, column: str, values: set[str]) -> dict[str, bool | None]:
        if not values:
            return {}
        if not _asks_ckan_alone():
            return self._asked_one_by_one(column, values)
        table = model.Package.__table__
        # one text: PostgreSQL takes far longer to read thirty thousand
        listed = sa.func.unnest(sa.func.string_to_array(_SEPARATOR.join(values), _SEPARATOR))
        wanted = sa.select(listed.label("wanted")).subquery()
        is_public = sa.and_(table.c.state.is_not_distinct_from("active"), table.c.private.isnot(True))
        query = (
            sa.select(wanted.c.wanted, *(table.c[name] for name in _COLUMNS))
            .select_from(wanted.outerjoin(table, table.c[column] == wanted.c.wanted))
            .where(sa.or_(table.c.id.is_(None), sa.not_(is_public)))
        )
        return {row.wanted: _has_label(self, row) if row.id else None for row in model.Session.execute(query)}

    def _asked_one_by_one(self, column: str, values: set[str]) -> dict[str, bool | None]:
        found: dict[str, bool | None] = dict.fromkeys(values)
        packages = model.Session.query(model.Package).filter(getattr(model.Package, column).in_(list(values)))
        found.update((getattr(package, column), _may_show(self, package)) for package in packages)
        return found


def visible_rows(data: Mapping[str, Any], viewer: Viewer, column: Any = UNSAID) -> dict[str, Any]:
    """Return the data without the rows about datasets that the viewer may not see. The data that are given stay as
    they are.

    :param column: that holds the id or name of the dataset; None if there is none. If it is not said, one that is
        called as in :data:`DATASET_COLUMNS` or :data:`MAYBE_DATASET_COLUMNS`.
    """
    table = data.get("table")
    if viewer.sees_all or not table or column is None:
        return dict(data)
    is_list = not isinstance(table[0], Mapping)
    names = list(data.get("columns") or ()) if is_list else list(table[0])
    certain = column in names
    if column is UNSAID:
        column = next((name for name in (*DATASET_COLUMNS, *MAYBE_DATASET_COLUMNS) if name in names), None)
        certain = column in DATASET_COLUMNS
    if column not in names:
        return dict(data)
    where = names.index(column) if is_list else column
    keys = [row[where] if is_list else row.get(where) for row in table]
    exceptions = viewer.exceptions(keys)
    # who is named for certain must be there to be seen; a name that is no dataset's may be anything
    hidden = {key for key, visible in exceptions.items() if not visible and (certain or visible is False)}
    rows = [row for row, key in zip(table, keys, strict=True) if not (isinstance(key, str) and key in hidden)]
    return {**data, "table": rows}


def _texts(values: Iterable[Any]) -> set[str]:
    return {each for each in values if isinstance(each, str) and each}


def _asks_ckan_alone() -> bool:
    """Tell whether CKAN's own rules say who may see a dataset, and no plugin's."""
    if any("package_show" in plugin.get_auth_functions() for plugin in p.PluginImplementations(p.IAuthFunctions)):
        return False
    return type(get_permission_labels()) is DefaultPermissionLabels


def _has_label(viewer: Viewer, row: Any) -> bool:
    return not viewer.labels.isdisjoint(DefaultPermissionLabels().get_dataset_labels(row))


def _may_show(viewer: Viewer, package: model.Package) -> bool:
    name = viewer.user.name if viewer.user else ""
    context = {"model": model, "user": name, "auth_user_obj": viewer.user, "package": package}
    try:
        tk.check_access("package_show", context, {"id": package.id})
    except tk.NotAuthorized:
        return False
    return True
