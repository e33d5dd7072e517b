"""The pages of the plugin: the copies, for those who may see the resource."""

from __future__ import annotations

import io
import os
import re
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
    archival = Archival.get_for_resource(resource_id=resource_id)
    # an archival may name a file that is no copy, such as an upload that CKAN has: that is not found
    path = store().find(archival.cache_filepath) if archival else None
    if archival is None or path is None:
        return tk.abort(404, tk._("There is no copy of this resource"))
    if dataset.private:
        tk.request.environ["__no_cache__"] = True  # CKAN makes it cacheable for all otherwise
    response = _by_nginx(path)
    if response is None:
        response = send_file(path, as_attachment=True, download_name=os.path.basename(path))
    response.headers.extend(_SAFE)
    response.content_type = _media_type(archival.mimetype)
    return response


def _dataset(id: str, resource_id: str) -> model.Package:
    """Return the dataset, if the resource is there and of this dataset, and the user may see both."""
    context = {"user": tk.g.user, "auth_user_obj": getattr(tk.g, "userobj", None)}
    try:
        tk.check_access("package_show", {**context}, {"id": id})
        tk.check_access("resource_show", {**context}, {"id": resource_id})
    except tk.ObjectNotFound:
        tk.abort(404, tk._("Resource not found"))
    except tk.NotAuthorized:
        tk.abort(403, tk._("Not authorized to download resource"))
    dataset, resource = model.Package.get(id), model.Resource.get(resource_id)
    if dataset is None or resource is None or (resource.package_id, resource.state) != (dataset.id, model.State.ACTIVE):
        tk.abort(404, tk._("Resource not found"))
    return dataset


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
