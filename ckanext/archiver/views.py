"""The pages of the plugin: the copies, for those who may see the resource."""

from __future__ import annotations

import io
import os
import re
from typing import Any
from urllib.parse import quote

import ckan.plugins.toolkit as tk
from ckan import model
from flask import Blueprint, Response, send_file

from . import config
from .model import Archival
from .storage import store

archiver = Blueprint("archiver", __name__)

#: Nothing in a copy may run on this site: it comes from anywhere.
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Referrer-Policy": "no-referrer",
}
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}", re.ASCII)


def get_blueprints() -> list[Blueprint]:
    """Return the blueprints of the plugin."""
    return [archiver]


@archiver.route("/dataset/<id>/resource/<resource_id>/archive")
@archiver.route("/dataset/<id>/resource/<resource_id>/archive/<filename>")
def download(id: str, resource_id: str, filename: str | None = None) -> Response:
    """Answer with the copy of a resource.

    Browsers save it and never show it. Parts of it, and only a newer one, can be asked for. Where nginx is to send the
    file, the answer has no body and says which.

    :param filename: for people and programs that look at the end of an address; there is one copy, whatever it says
    """
    dataset = _dataset(id, resource_id)
    archival = Archival.get_for_resource(resource_id=resource_id) if _has_copy(dataset, resource_id) else None
    path = store().find(archival.cache_filepath) if archival else None
    if archival is None or path is None:
        return tk.abort(404, tk._("There is no copy of this resource"))
    if dataset.get("private"):
        tk.request.environ["__no_cache__"] = True  # CKAN makes it cacheable for all otherwise
    response = _by_nginx(path)
    if response is None:
        response = send_file(path, as_attachment=True, download_name=os.path.basename(path))
    response.headers.extend(_SAFE)
    response.content_type = _media_type(archival.mimetype)
    return response


def _dataset(id: str, resource_id: str) -> dict[str, Any]:
    """Return the dataset, if the user may see it and the resource."""
    context = {"user": tk.g.user, "auth_user_obj": getattr(tk.g, "userobj", None)}
    try:
        dataset = tk.get_action("package_show")({**context}, {"id": id})
        tk.check_access("resource_show", {**context}, {"id": resource_id})
    except tk.ObjectNotFound:
        tk.abort(404, tk._("Resource not found"))
    except tk.NotAuthorized:
        tk.abort(403, tk._("Not authorized to download resource"))
    return dataset


def _has_copy(dataset: dict[str, Any], resource_id: str) -> bool:
    """Tell whether a resource is there, is of the dataset, and no upload: the archival of one names the original.

    CKAN answers from the search index, which may not know yet that it is gone.
    """
    resource = model.Resource.get(resource_id)
    mine = resource is not None and resource.package_id == dataset["id"] and resource.state == model.State.ACTIVE
    return mine and resource.url_type != "upload"


def _by_nginx(path: str) -> Response | None:
    prefix, relative = config.x_accel_prefix(), store().relative(path)
    if not prefix or relative is None:
        return None
    nothing, name = io.BytesIO(), os.path.basename(path)
    response = send_file(nothing, as_attachment=True, download_name=name, conditional=False, etag=False)
    response.headers["X-Accel-Redirect"] = f"{prefix}{quote(relative)}"
    return response


def _media_type(found: str | None) -> str:
    """Return the type that the publisher's server named, if it is one."""
    return found if found and _MEDIA_TYPE.fullmatch(found) else "application/octet-stream"
