"""Which portal a target is: what it says itself must be what it said before, and not the name of this portal."""

from __future__ import annotations

from . import config
from .delivery import WrongPortal
from .domain.marker import normalised
from .model import targets
from .remote import Target
from .types import Profile


def verify(target: Target, profile: Profile, records: bool = True) -> str:
    """Ask a target who it is, before anything is written there, and return its site URL.

    :param records: whether one that is new is remembered
    :raises WrongPortal: it is another one than before, or this one
    :raises RelayError: it cannot be asked
    """
    site = target.site()
    if site == config.site():
        raise WrongPortal(
            f"The target says that it is {site}, which is this portal",
            hint="Correct ckan_url of the profile, or ckan.site_url of the target.",
        )
    before = known(profile)
    if before is None:
        if records:
            targets.seen(profile.id, profile.ckan_url, site)
    elif before != site:
        raise WrongPortal(
            f"The target says that it is {site}, and was {before} before",
            hint="Correct ckan_url of the profile; or, if the target was moved: "
            f"ckan syndicate reconcile --accept-target {profile.id}",
        )
    return site


def known(profile: Profile) -> str | None:
    """Return the site URL of a target as it said it itself, or None if it never did at this address."""
    target = targets.get(profile.id)
    is_same = target.ckan_url is not None and normalised(target.ckan_url) == normalised(profile.ckan_url)
    return target.site_url if is_same else None
