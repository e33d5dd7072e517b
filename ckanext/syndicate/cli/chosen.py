"""What the arguments of the commands name: profiles and datasets, or an error that says what there is."""

from __future__ import annotations

import click
from ckan import model

from ckanext.syndicate import profiles
from ckanext.syndicate.config import PROFILE_PREFIX
from ckanext.syndicate.types import Profile

profile_option = click.option("-p", "--profile", "profile_id", metavar="PROFILE", help="Only this target.")


def chosen_profiles(profile_id: str | None = None) -> list[Profile]:
    """Return the profile of this id, or all if none is named.

    :raises ClickException: there is no such profile, or none at all
    """
    found = list(profiles.all_profiles())
    if not found:
        raise click.ClickException(
            f"No target is configured: set {PROFILE_PREFIX}<ID>.ckan_url and {PROFILE_PREFIX}<ID>.api_key"
        )
    if profile_id is None:
        return found
    if (profile := profiles.by_id(profile_id)) is None:
        raise click.ClickException(f"There is no profile {profile_id}, only {', '.join(each.id for each in found)}")
    return [profile]


def dataset_id(reference: str) -> str:
    """Return the id of a dataset.

    :param reference: its name or id
    :raises ClickException: there is none
    """
    if (package := model.Package.get(reference)) is None:
        raise click.ClickException(f"There is no dataset {reference}")
    return str(package.id)
