"""Records as they were harvested, as a browser gets them."""

from __future__ import annotations

import json
from typing import Any
from xml.parsers import expat

import ckan.plugins.toolkit as tk
from flask import Response

from ckanext.relay import pages

from .. import provenance
from .blueprint import harvester
from .texts import indented

#: How many characters of a record its page shows; there is a link to all of it.
_SHOWN = 200_000


@harvester.route("/dataset/harvest_object/<id>")
@harvester.route("/harvest/object/<id>")
def object_show(id: str) -> Response:
    """Answer with a record as it was harvested.

    It comes from another portal. No browser may take it for a page of this one: run its scripts, or guess that it is
    something else than we say.
    """
    content = _content(pages.call("harvest_object_show", {"id": id}))
    if not content:
        tk.abort(404, tk._("No content found"))
    body = content.encode("utf-8")
    return Response(
        body,
        content_type=f"{_media_type(content)}; charset=utf-8",
        headers={
            "Content-Length": str(len(body)),
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )


@harvester.route("/harvest/object/<id>/view")
def object_view(id: str) -> str:
    """Show a record as text, with what became of it."""
    obj = pages.call("harvest_object_show", {"id": id})
    content = _content(obj)
    media_type = _media_type(content) if content else ""
    source = provenance.visible_source(obj["harvest_source_id"])
    may_edit = source is not None and tk.h.check_access("harvest_source_update", {"id": source["id"]})
    variables = {
        "object": obj,
        "text": indented(content) if len(content) <= _SHOWN else content[:_SHOWN],
        "media_type": media_type,
        "size": len(content.encode("utf-8")),
        "is_cut": len(content) > _SHOWN,
        "dataset": _dataset(obj.get("package_id")),
        "harvest_source": source,
        "may_edit": may_edit,
    }
    return tk.render("harvest_object/read.html", variables)


def _content(obj: dict[str, Any]) -> str:
    return str(obj["content"] or obj["extras"].get("original_document") or "")


def _dataset(package_id: str | None) -> dict[str, Any] | None:
    """Return the dataset of a record, None if there is none or the visitor may not see it."""
    if not package_id:
        return None
    try:
        return dict(tk.get_action("package_show")(pages.context(), {"id": package_id}))
    except (tk.ObjectNotFound, tk.NotAuthorized):
        return None


def _media_type(content: str) -> str:
    if content.lstrip("\ufeff \t\r\n").startswith("<"):
        return "text/xml" if _is_xml(content) else "text/plain"
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return "text/plain"
    return "application/json"


def _is_xml(content: str) -> bool:
    """Tell whether a text is well-formed, without any entity of its own: those can grow without limit."""

    def refuse(*_: object) -> None:
        raise ValueError("an entity")

    parser = expat.ParserCreate("utf-8")
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content.encode("utf-8"), True)
    except (expat.ExpatError, ValueError):
        return False
    return True
