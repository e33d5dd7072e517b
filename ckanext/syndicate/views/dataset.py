"""What who may edit a dataset sees of it at the targets, on its own page, and the buttons there."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from flask import Blueprint, Response

from ckanext.relay import pages
from ckanext.syndicate import flag_control, panel

dataset = Blueprint("syndicate_dataset", __name__, url_prefix="/syndicate/dataset")
pages.guard(dataset)
# the forms of datasets are CKAN's
dataset.before_app_request(flag_control.read_form)


@dataset.route("/<id>", methods=["GET", "POST"])
def status(id: str) -> Any:
    """Show how a dataset is at the targets, for the page that asks while something is on its way; or let the workers
    push it. The page says as ``mark`` what it shows; there is no answer while that has not changed."""
    if tk.request.method == "POST":
        _push(id)
        return tk.redirect_to(_page(id))
    shown = panel.of(pages.call("syndicate_status", {"id": id}))
    if "HX-Request" not in tk.request.headers:
        return tk.redirect_to(_page(id))
    if shown.waits and shown.mark == tk.request.args.get("mark"):
        return Response(status=204)
    html = tk.render("syndicate/panel_content.html", {"panel": shown, "dataset_id": id, "is_fragment": True})
    return html if shown.waits else pages.fragment_done(html)


def _page(id: str) -> str:
    package = pages.call("package_show", {"id": id})
    return f"{tk.h.url_for(package['type'] + '.read', id=package['name'])}#{panel.ANCHOR}"


def _push(id: str) -> None:
    """Do as the button says."""
    form = tk.request.form
    data = {"id": id, "profile": form.get("profile", "")}
    try:
        if form.get("action") == "retry":
            number = pages.call("syndicate_retry", data)["retried"]
        else:
            number = len(pages.call("syndicate_push", data)["profiles"])
    except tk.ValidationError as error:
        tk.h.flash_error("; ".join(map(str, error.error_summary.values())))
        return
    if number:
        tk.h.flash_success(tk._("The workers push the dataset now."))
    else:
        tk.h.flash_notice(tk._("There is nothing to push: the dataset is not to be there."))
