"""Whether a target can be pushed to: asked of the target itself, before a dataset finds out. Nothing is written."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from ckanext.relay.diagnosis import Finding
from ckanext.relay.errors import AddressBlocked, ConfigurationError, RelayError, redact
from ckanext.relay.http import relay_errors
from ckanext.relay.session import own_session

from . import config, identity
from .domain.marker import normalised
from .failures import WrongPortal
from .remote import Redirected, Refused, Target
from .types import Profile

#: Seconds by which the clock of a target may differ from ours.
_SKEW = 300
#: What it takes of CKAN to say whose a token is.
_OLDEST = (2, 9)


def examine(profile: Profile) -> Iterator[Finding]:
    """Yield what keeps datasets from being pushed to a target, or will."""
    if findings := list(_settings(profile)):
        yield from findings
        return
    try:
        with Target(profile) as target:
            status = target.status()
            yield from _identity(profile, target)
            yield from _version(profile, status)
            yield from _user(profile, target)
        yield from _transport(profile)
    except RelayError as error:
        yield _failed(profile, error)


def _finding(profile: Profile, code: str, what: str, remedy: str) -> Finding:
    return Finding(code, f"{profile.id}: {redact(what)}", remedy, samples=[profile.id])


def _settings(profile: Profile) -> Iterator[Finding]:
    prefix = f"{config.PROFILE_PREFIX}{profile.id}"
    for option in ("ckan_url", "api_key"):
        if not getattr(profile, option):
            yield _finding(profile, "profile-incomplete", f"there is no {option}", f"set {prefix}.{option}")
    if profile.ckan_url and not normalised(profile.ckan_url).startswith(("http://", "https://")):
        yield _finding(profile, "url-invalid", f"{profile.ckan_url} is no address", f"correct {prefix}.ckan_url")
    elif redact(profile.ckan_url) != profile.ckan_url:
        what = "user and password in ckan_url are sent in place of the token"
        yield _finding(profile, "url-credentials", what, f"take them out of {prefix}.ckan_url")


def _failed(profile: Profile, error: RelayError) -> Finding:
    """Return what an error says that ended the examination."""
    remedy = error.hint or "see that the target runs and can be reached from here"
    code = "unreachable"
    if isinstance(error, ConfigurationError):
        code = "secret-missing"
    elif isinstance(error, Redirected):
        code = "redirected"
    elif isinstance(error, AddressBlocked):
        code = "address-blocked"
    elif error.permanent:
        code = "no-ckan"
        remedy = error.hint or "correct ckan_url: it is the address of the portal, without /api"
    return _finding(profile, code, str(error), remedy)


# -- who it is


def _identity(profile: Profile, target: Target) -> Iterator[Finding]:
    try:
        identity.verify(target, profile, records=False)
    except WrongPortal as error:
        yield _finding(profile, "wrong-portal", f"nothing is pushed: {error}", error.hint or "correct ckan_url")


def _version(profile: Profile, status: dict[str, Any]) -> Iterator[Finding]:
    version = str(status.get("ckan_version") or "")
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is not None and (int(found[1]), int(found[2])) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        yield _finding(profile, "target-old", f"the target runs CKAN {version}", f"upgrade it to {oldest} or later")


# -- what we may do there


def _user(profile: Profile, target: Target) -> Iterator[Finding]:
    try:
        user = target.user()
    except Refused:
        return  # an older CKAN does not say whose a token is
    if user is None:
        what = "the target does not know the token: whatever is pushed comes from nobody"
        yield _finding(profile, "token-invalid", what, "make a new token at the target, and set api_key of the profile")
        return
    if user.get("sysadmin"):
        yield from _organization(profile, target, None)
        return
    allowed = target.call("organization_list_for_user", {"permission": "create_dataset"})
    yield from _organization(profile, target, allowed, str(user.get("name")))


def _organization(
    profile: Profile, target: Target, allowed: list[dict[str, Any]] | None, user: str = ""
) -> Iterator[Finding]:
    """Yield what is wrong with the organization of the copies.

    :param allowed: organizations in which our user may create datasets; None: in all
    """
    name, replicates = profile.organization, profile.replicate_organization or profile.update_organization
    if name and not replicates:
        organization = target.show_organization(name)
        if organization is None or organization.get("state") == "deleted":
            remedy = "create it there, or correct organization of the profile"
            yield _finding(profile, "organization-missing", f"the target has no organization {name}", remedy)
        elif allowed is not None and organization["id"] not in {each.get("id") for each in allowed}:
            remedy = f"make the user an editor of the organization {name} at the target"
            yield _finding(profile, "may-not-create", f"the user {user} may not create datasets in {name}", remedy)
    elif not allowed and allowed is not None:
        what = f"the user {user} may create datasets in no organization of the target"
        remedy = "make the user an editor of one there, and name it in organization of the profile"
        yield _finding(profile, "may-not-create", what, remedy)
    elif allowed is not None and not replicates:
        what = "no organization is named, and without one only a sysadmin creates datasets in most portals"
        yield _finding(profile, "no-organization", what, f"set {config.PROFILE_PREFIX}{profile.id}.organization")


# -- the way there


def _transport(profile: Profile) -> Iterator[Finding]:
    url = f"{profile.ckan_url.rstrip('/')}/api/3/action/status_show"
    with own_session() as session, relay_errors(url):
        answer = session.get(url, timeout=profile.timeout)
    try:
        skew = parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()
    except (KeyError, ValueError, TypeError):
        return  # it does not say what time it is
    if abs(skew) > _SKEW:
        direction = "fast" if skew > 0 else "slow"
        what = f"the clock of the target is {abs(skew) / 60:.0f} minutes {direction}, or ours is not right"
        yield _finding(profile, "clock-skew", what, "let both set their clocks by NTP")
