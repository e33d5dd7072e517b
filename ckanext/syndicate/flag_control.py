"""The choice of targets in CKAN's form for datasets.

The flag of a profile is an extra. The form shows it as a checkbox, and not among the custom fields; what is chosen is
put among the extras that the form sends before CKAN reads it. All other extras go their own way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ckan.plugins.toolkit as tk
import flask
from ckan.lib.plugins import lookup_package_plugin
from werkzeug.datastructures import ImmutableMultiDict, MultiDict

from . import panel, profiles, selection
from .types import Profile

#: The fields of the form: each flag that is offered, what its extra says now, and those that are chosen.
FLAG, VALUE, CHOSEN = "syndication-flag", "syndication-value", "syndication-chosen"

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_EXTRA = re.compile(r"extras__(\d{1,9})__")


@dataclass(frozen=True)
class Flag:
    """A checkbox.

    :ivar name: key of the extra
    :ivar value: of the extra; '' if there is none
    :ivar is_set: whether that means yes
    :ivar is_unclear: whether it means neither yes nor no
    :ivar targets: the profiles that have this flag, with the host of each
    :ivar on_unflag: what becomes of the copies if it is taken away: ``keep``, ``private``, ``delete``; '' if that
        differs
    """

    name: str
    value: str
    is_set: bool
    is_unclear: bool
    targets: list[tuple[str, str]]
    on_unflag: str


# -- what the form shows


def flags(data: Mapping[str, Any]) -> list[Flag]:
    """Return the checkboxes for a dataset: flags that alone decide, and that its type has no field of its own for.

    :param data: of the form
    """
    dataset_type = str(data.get("type") or (tk.request.view_args or {}).get("package_type") or "dataset")
    found: dict[str, list[Profile]] = {}
    for profile in profiles.all_profiles():
        if profile.flag and dataset_type in profile.types and not selection.needs_code(profile):
            found.setdefault(profile.flag, []).append(profile)
    fields = {*data, *_fields(dataset_type)} if found else set()
    values = {str(each.get("key")): str(each.get("value") or "") for each in _extras(data)}
    return [_flag(name, of, values.get(name, "")) for name, of in found.items() if name not in fields]


def without_flags(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of the form without the extras that :func:`flags` shows."""
    shown = {flag.name for flag in flags(data)}
    if not shown or not _extras(data):
        return dict(data)
    return {**data, "extras": [each for each in _extras(data) if each.get("key") not in shown]}


def _extras(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    extras = data.get("extras")
    return [each for each in extras if isinstance(each, Mapping)] if isinstance(extras, list) else []


def _fields(dataset_type: str) -> set[str]:
    """Return the names of the fields that datasets of a type have."""
    fields = set(lookup_package_plugin(dataset_type).update_package_schema())
    if "scheming_get_dataset_schema" in tk.h:
        schema = tk.h.scheming_get_dataset_schema(dataset_type) or {}
        fields.update(field.get("field_name") for field in schema.get("dataset_fields", ()))
    return fields


def _flag(name: str, of: list[Profile], value: str) -> Flag:
    policies = {profile.on_unflag for profile in of}
    meant = _meant(value)
    return Flag(
        name=name,
        value=value,
        is_set=meant is True,
        is_unclear=meant is None and bool(value),
        targets=[(profile.id, panel.host_of(profile.ckan_url)) for profile in of],
        on_unflag=policies.pop() if len(policies) == 1 else "",
    )


def _meant(value: str) -> bool | None:
    """Return whether a value means yes or no; None: neither."""
    try:
        return bool(tk.asbool(value)) if value else None
    except ValueError:
        return None


# -- what the form sends


def read_form() -> None:
    """Put what was chosen among the extras of the form that is sent, if it has the choice."""
    request = tk.request
    is_form = request.method == "POST" and request.blueprint != "api" and request.mimetype in _FORMS
    if is_form and FLAG in request.form:
        flask.request.form = with_extras(request.form)


def with_extras(form: MultiDict[str, str]) -> ImmutableMultiDict[str, str]:
    """Return a form with what was chosen as extras. What says yes already, or says no, keeps its value."""
    chosen = set(form.getlist(CHOSEN))
    fields = [(name, value) for name, value in form.items(multi=True) if name not in (FLAG, VALUE, CHOSEN)]
    number = max((int(found[1]) for name, _ in fields if (found := _EXTRA.match(name))), default=-1)
    for flag, value in zip(form.getlist(FLAG), form.getlist(VALUE), strict=False):
        is_set = _meant(value) is True
        kept = (value if is_set else "true") if flag in chosen else ("" if is_set else value)
        if kept:
            number += 1
            fields += [(f"extras__{number}__key", flag), (f"extras__{number}__value", kept)]
    return ImmutableMultiDict(fields)
