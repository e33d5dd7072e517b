"""The pages for sysadmins: the targets, and what is at each of them. They ask the workers; nothing is pushed here."""

from __future__ import annotations

import dataclasses
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model
from flask import Blueprint, current_app

from ckanext.relay import redaction
from ckanext.relay.celery_app import PRIORITY

from . import bulk, config, profiles, status, tasks
from .model import outbox, targets
from .types import Profile

syndicate = Blueprint("syndicate", __name__, url_prefix="/ckan-admin/syndicate")

#: Datasets on a page.
_ROWS = 50


def get_blueprints() -> list[Blueprint]:
    """Return the blueprints of the plugin."""
    return [syndicate]


@syndicate.before_request
def _admit() -> None:
    """Let only sysadmins in, and only forms of ours."""
    try:
        tk.check_access("sysadmin", {"user": tk.g.user})
    except tk.NotAuthorized:
        tk.abort(403, tk._("Need to be system administrator to administer"))
    if tk.request.method == "POST" and config.checks_forms() and not tk.g.get("login_via_auth_header"):
        # CKAN may have left this form out: 2.11 does with all of extensions, 2.12 once a visitor was at this address
        current_app.extensions["csrf"].protect()


@syndicate.route("/dashboard", methods=["GET", "POST"])
def dashboard() -> Any:
    """Show the targets, and let the workers push all of what concerns one, or all."""
    if tk.request.method == "POST":
        chosen = _posted_profiles()
        asked = bulk.ask(chosen)
        tasks.push_now([profile.id for profile in chosen])
        tk.h.flash_success(tk._("{0} datasets are handed to the workers.").format(sum(asked.values())))
        return tk.redirect_to("syndicate.dashboard")
    return tk.render("syndicate/dashboard.html", {"targets": status.targets(), "profiles": _described()})


def _posted_profiles() -> list[Profile]:
    profile_id = tk.request.form.get("profile")
    return [_profile(profile_id)] if profile_id else list(profiles.all_profiles())


def _profile(profile_id: str) -> Profile:
    profile = profiles.by_id(profile_id)
    return profile or tk.abort(404, tk._("There is no profile {0}").format(profile_id))


def _described() -> dict[str, dict[str, Any]]:
    """Return what the configuration says of each profile; of the token only whether there is one."""
    return {profile.id: _options(profile) for profile in profiles.all_profiles()}


def _options(profile: Profile) -> dict[str, Any]:
    options = {field.name: getattr(profile, field.name) for field in dataclasses.fields(profile)}
    known = {"id", "ckan_url", "organization"}
    shown = {name: value for name, value in options.items() if name not in known}
    read = {"types": " ".join(profile.types), "extras": redaction.masked(profile.extras)}
    return {**shown, **read, "api_key": bool(profile.api_key)}


@syndicate.route("/profile/<profile_id>", methods=["GET", "POST"])
def profile_logs(profile_id: str) -> Any:
    """Show the datasets of a target, and let the workers try some of them again."""
    if tk.request.method == "POST":
        _try_again(_profile(profile_id))
        return tk.redirect_to("syndicate.profile_logs", profile_id=profile_id, **_asked())
    found = status.targets(profile_id)
    if not found:
        tk.abort(404, tk._("There is no profile {0}").format(profile_id))
    target, asked = found[0], _asked()
    shown = [asked["state"]] if "state" in asked else status.STATES
    total = sum(target.numbers[state] for state in shown)
    last = max(1, -(-total // _ROWS))
    number = min(int(asked.get("page", 1)), last)
    entries = list(status.entries(profile_id, shown, limit=_ROWS, offset=(number - 1) * _ROWS))
    variables = {"target": target, "entries": entries, "state": asked.get("state"), "number": number, "last": last}
    return tk.render("syndicate/profile_logs.html", {**variables, "total": total, "states": status.STATES})


def _asked() -> dict[str, Any]:
    """Return which part of the list is asked for, without what makes no sense."""
    state, page = tk.request.args.get("state", ""), tk.request.args.get("page", "")
    found: dict[str, Any] = {"state": state} if state in status.STATES else {}
    if page.isascii() and page.isdigit() and int(page[:9]) > 1:
        found["page"] = int(page[:9])
    return found


def _try_again(profile: Profile) -> None:
    """Do as the form says: push the chosen datasets again, or try all that failed."""
    if tk.request.form.get("action") == "retry":
        number = outbox.retry(profile.id)
    else:
        known = {
            entry.dataset_id for entry in status.entries(profile.id, dataset_ids=tk.request.form.getlist("dataset"))
        }
        number = outbox.ask(known, [profile.id], outbox.PERSON, force=True)
        model.Session.commit()
    if not number:
        tk.h.flash_notice(tk._("Nothing was chosen."))
        return
    targets.answered(profile.id)  # somebody says that it is worth a try
    tasks.push_now([profile.id], PRIORITY)
    tk.h.flash_success(tk._("{0} datasets are handed to the workers.").format(number))
