"""The pages of the plugin."""

from __future__ import annotations

import json
from xml.parsers import expat

import ckan.plugins.toolkit as tk
from flask import Blueprint, Response

harvester = Blueprint("harvester", __name__)


def get_blueprints() -> list[Blueprint]:
    """Return the blueprints of the plugin."""
    return [harvester]


@harvester.route("/dataset/harvest_object/<id>")
@harvester.route("/harvest/object/<id>")
def object_show(id: str) -> Response:
    """Answer with a record as it was harvested.

    It comes from another portal. No browser may take it for a page of this one: run its scripts, or guess that it is
    something else than we say.
    """
    try:
        obj = tk.get_action("harvest_object_show")({"user": tk.g.user}, {"id": id})
    except tk.ObjectNotFound:
        tk.abort(404, tk._("Harvest object not found"))
    except tk.NotAuthorized:
        tk.abort(403, tk._("Not authorized to see this harvest object"))
    content = obj["content"] or obj["extras"].get("original_document")
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
