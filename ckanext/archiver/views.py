"""The routes of the plugin: the copies, checks that people ask for, and what pages show while they wait for one."""

from __future__ import annotations

import io
import os
import re
from typing import Any
from urllib.parse import quote

import ckan.plugins.toolkit as tk
from ckan import model
from flask import Blueprint, Response, send_file

from ckanext.relay import pages

from . import config, panels
from .model import Archival, waiting
from .storage import store

archiver = Blueprint("archiver", __name__)
pages.guard(archiver)

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


# -- checks


@archiver.route("/dataset/<id>/resource/<resource_id>/archiver/check", methods=["GET", "POST"])
def check_resource(id: str, resource_id: str) -> Response:
    """Have the link of a resource checked, and go to its page, which says how that stands. Who comes here by a link,
    after a login for example, finds the button there."""
    dataset = _dataset(id, resource_id)
    if tk.request.method == "POST":
        _check({"id": resource_id})
    page = tk.url_for(f"{dataset.type}_resource.read", id=dataset.name, resource_id=resource_id)
    return tk.redirect_to(f"{page}#archiver-info")


@archiver.route("/dataset/<id>/archiver/check", methods=["GET", "POST"])
def check_dataset(id: str) -> Response:
    """Have all links of a dataset checked, and go to its page."""
    dataset = _dataset(id)
    if tk.request.method == "POST":
        _check({"dataset_id": dataset.id})
    return tk.redirect_to(f"{tk.url_for(f'{dataset.type}.read', id=dataset.name)}#archiver-info")


def _check(data_dict: dict[str, str]) -> None:
    try:
        counts = pages.call("archiver_check_now", data_dict)
    except tk.ValidationError as error:
        tk.h.flash_error(" ".join(error.error_summary.values()))
        return
    if counts["asked"]:
        asked = counts["asked"]
        said = tk.ungettext("{number} link is being checked.", "{number} links are being checked.", asked)
        tk.h.flash_success(said.format(number=asked))
    elif counts["waiting"]:
        tk.h.flash_notice(tk._("This is being checked already."))
    else:
        seconds = round(config.check_now_pause().total_seconds())
        said = tk.ungettext(
            "This was checked a moment ago. Wait {number} second between two checks.",
            "This was checked a moment ago. Wait {number} seconds between two checks.",
            seconds,
        )
        tk.h.flash_notice(said.format(number=seconds))


@archiver.route("/dataset/<id>/resource/<resource_id>/archiver/panel")
def resource_panel(id: str, resource_id: str) -> Response:
    """Answer what a page is to show of a link from now on, or with nothing if that has not changed.

    The page says as ``mark`` what it shows of the check.
    """
    dataset = _dataset(id, resource_id)
    standing = waiting.of_resources([resource_id]).get(resource_id)
    kind = standing.kind if standing and standing.is_urgent else None
    if kind and kind == tk.request.args.get("mark"):
        return Response(status=204)
    shown = pages.call("package_show", {"id": dataset.id})
    resources = [each for each in shown["resources"] if each["id"] == resource_id]
    panel = tk.h.archiver_resource_panel_html(resources[0], shown)
    return _update(panel, tk._("The link is still being checked.") if kind else _done(), resources, not kind)


@archiver.route("/dataset/<id>/archiver/panel")
def dataset_panel(id: str) -> Response:
    """Answer the same for the links of a dataset."""
    dataset = _dataset(id)
    urgent = panels.urgent_checks(dataset.id)
    if urgent and panels.mark(urgent) == tk.request.args.get("mark"):
        return Response(status=204)
    number = len(urgent)
    shown = pages.call("package_show", {"id": dataset.id})
    left = tk.ungettext("{number} link is being checked …", "{number} links are being checked …", number)
    sentence = left.format(number=number) if number else _done()
    return _update(tk.h.archiver_dataset_panel_html(shown), sentence, shown["resources"], not number)


def _done() -> str:
    return str(tk._("The check is done."))


def _update(panel: str, sentence: str, resources: list[Any], is_done: bool) -> Response:
    may_edit = bool(resources) and tk.h.check_access("package_update", {"id": resources[0]["package_id"]})
    variables = {"panel_html": panel, "sentence": sentence, "resources": resources, "may_edit": may_edit}
    html = tk.render("archiver/panel_update.html", variables)
    return pages.fragment_done(html) if is_done else Response(html)


# -- what is asked for


def _dataset(id: str, resource_id: str | None = None) -> model.Package:
    """Return the dataset, if the user may see it, and the resource, if one is named, which must be of this dataset."""
    try:
        tk.check_access("package_show", pages.context(), {"id": id})
        if resource_id is not None:
            tk.check_access("resource_show", pages.context(), {"id": resource_id})
    except tk.ObjectNotFound:
        tk.abort(404, tk._("Resource not found"))
    except tk.NotAuthorized:
        tk.abort(403, tk._("Not authorized to see this resource"))
    dataset = model.Package.get(id)
    if dataset is None or not (resource_id is None or _is_of(dataset, model.Resource.get(resource_id))):
        tk.abort(404, tk._("Resource not found"))
    return dataset


def _is_of(dataset: model.Package, resource: model.Resource | None) -> bool:
    return resource is not None and (resource.package_id, resource.state) == (dataset.id, model.State.ACTIVE)


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
