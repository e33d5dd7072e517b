"""The pages for sysadmins: the targets, and what is at each of them. They ask the workers; nothing is pushed here."""

from __future__ import annotations

import dataclasses
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model
from flask import Blueprint

from ckanext.relay import pages, redaction
from ckanext.relay.celery_app import PRIORITY
from ckanext.syndicate import bulk, profiles, status, tasks
from ckanext.syndicate.model import outbox, targets
from ckanext.syndicate.types import Profile

syndicate = Blueprint("syndicate", __name__, url_prefix="/ckan-admin/syndicate")
pages.guard(syndicate)

#: Datasets on a page.
_ROWS = 50


@syndicate.before_request
def _admit() -> None:
    """Let only sysadmins in."""
    try:
        tk.check_access("sysadmin", {"user": tk.g.user})
    except tk.NotAuthorized:
        tk.abort(403, tk._("Need to be system administrator to administer"))


@syndicate.route("")
def index() -> Any:
    """Lead to the targets."""
    return tk.redirect_to("syndicate.dashboard")


# -- all targets


@syndicate.route("/dashboard", methods=["GET", "POST"])
def dashboard() -> Any:
    """Show the targets, and let the workers push all of what concerns one, or all."""
    if tk.request.method == "POST":
        chosen = _posted_profiles()
        asked = bulk.ask(chosen)
        tasks.push_now([profile.id for profile in chosen])
        _handed_over(sum(asked.values()))
        return tk.redirect_to("syndicate.dashboard")
    troubles = status.troubles()
    return tk.render(
        "syndicate/dashboard.html", {"targets": status.targets(), "profiles": _described(), "troubles": troubles}
    )


def _posted_profiles() -> list[Profile]:
    profile_id = tk.request.form.get("profile")
    return [_profile(profile_id)] if profile_id else list(profiles.all_profiles())


def _profile(profile_id: str) -> Profile:
    profile = profiles.by_id(profile_id)
    return profile or tk.abort(404, tk._("There is no profile {0}").format(profile_id))


def _handed_over(number: int) -> None:
    said = tk.ungettext("{0} dataset is handed to the workers.", "{0} datasets are handed to the workers.", number)
    tk.h.flash_success(said.format(number))


def _described() -> dict[str, dict[str, Any]]:
    """Return what the configuration says of each profile; of the token only whether there is one."""
    return {profile.id: _options(profile) for profile in profiles.all_profiles()}


def _options(profile: Profile) -> dict[str, Any]:
    options = {field.name: getattr(profile, field.name) for field in dataclasses.fields(profile)}
    known = {"id", "ckan_url", "organization"}
    shown = {name: value for name, value in options.items() if name not in known}
    read = {"types": " ".join(profile.types), "extras": redaction.masked(profile.extras)}
    return {**shown, **read, "api_key": bool(profile.api_key)}


# -- one target


@syndicate.route("/profile/<profile_id>", methods=["GET", "POST"])
def profile_logs(profile_id: str) -> Any:
    """Show the datasets of a target, and let the workers try some of them again."""
    if tk.request.method == "POST":
        _try_again(_profile(profile_id))
        return tk.redirect_to("syndicate.profile_logs", profile_id=profile_id, **_asked())
    target = _target(profile_id)
    asked = _asked()
    state, cause = asked.get("state"), asked.get("cause")
    states = [state] if state else status.STATES
    causes = [each for each in status.troubles(profile_id) if state in (None, each.state)]
    if cause:
        total = sum(each.number for each in causes if each.cause == cause)
    else:
        total = sum(target.numbers[each] for each in states)
    page = pages.Page(pages.number(), _ROWS, total)
    found = status.entries(profile_id, states, limit=_ROWS, offset=page.offset, cause=cause)
    variables = {
        "target": target,
        "entries": list(found),
        "page": page,
        "state": state,
        "states": status.STATES,
        "causes": causes if state in status.STUCK else [],
        "cause": cause,
    }
    return tk.render("syndicate/profile_logs.html", variables)


def _target(profile_id: str) -> status.TargetStatus:
    found = status.targets(profile_id)
    return found[0] if found else tk.abort(404, tk._("There is no profile {0}").format(profile_id))


def _asked() -> dict[str, Any]:
    """Return which part of the list is asked for, without what makes no sense."""
    state, cause, page = tk.request.args.get("state", ""), _text(tk.request.args.get("cause", "")), pages.number()
    found: dict[str, Any] = {"state": state} if state in status.STATES else {}
    if cause and state in status.STUCK:
        found["cause"] = cause
    return {**found, "page": page} if page > 1 else found


def _text(given: str) -> str:
    """Leave out what no text in the database may hold."""
    return given.replace("\x00", "")


def _try_again(profile: Profile) -> None:
    """Do as the form says: try one dataset that failed, or all; or push the chosen ones again."""
    form = tk.request.form
    if one := _text(form.get("retry", "")):
        number = pages.call("syndicate_retry", {"profile": profile.id, "id": one})["retried"]
    elif form.get("action") == "retry":
        number = pages.call("syndicate_retry", {"profile": profile.id})["retried"]
    else:
        chosen = [_text(each) for each in form.getlist("dataset")]
        known = {entry.dataset_id for entry in status.entries(profile.id, dataset_ids=chosen)}
        number = outbox.ask(known, [profile.id], outbox.PERSON, force=True)
        model.Session.commit()
        if number:
            targets.answered(profile.id)  # somebody says that it is worth a try
            tasks.push_now([profile.id], PRIORITY)
    if number:
        _handed_over(number)
    else:
        tk.h.flash_notice(tk._("There is nothing to do, or nothing was chosen."))


@syndicate.route("/profile/<profile_id>/approve", methods=["GET", "POST"])
def approve(profile_id: str) -> Any:
    """Ask whether the copies that are held are to be taken away, and let the workers do so."""
    profile = _profile(profile_id)
    there = tk.h.url_for("syndicate.profile_logs", profile_id=profile.id)
    if tk.request.method == "POST":
        number = pages.call("syndicate_approve", {"profile": profile.id})["approved"]
        said = tk.ungettext("The workers take {0} copy away.", "The workers take {0} copies away.", number)
        tk.h.flash_success(said.format(number))
        return tk.redirect_to(there)
    number = _target(profile.id).numbers[status.HELD]
    question = tk.ungettext(
        "{0} copy at {1} is held. Shall it be taken away?",
        "{0} copies at {1} are held. Shall they be taken away?",
        number,
    )
    return pages.confirm(
        title=tk._("Let copies be taken away from {0}").format(profile.id),
        question=question.format(number, profile.id),
        consequences=[
            tk._("The workers make these copies private at the target, or delete them, as the profile says."),
            tk._("For {0} hours any number more may be taken away without a question.").format(bulk.APPROVED_HOURS),
            tk._("If it is not meant, cancel, and undo what deselected the datasets: then nothing is held any more."),
        ],
        action=tk._("Take them away"),
        cancel_url=there,
    )
