"""The settings that are not of a profile: what they are when nobody sets them, strings or not, and wrong ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import ckan.plugins as p
import pytest
import yaml
from ckan.cli.cli import ckan
from ckan.exceptions import CkanConfigurationException

from ckanext.relay.errors import ConfigurationError
from ckanext.syndicate import config
from ckanext.syndicate.types import Profile

pytestmark = pytest.mark.usefixtures("syndicate_plugins", "ckan_config")


def test_defaults() -> None:
    """Those of the contract, and of the documentation."""
    assert (config.get_sync_on_changes(), config.get_sync_on_member_changes()) == (True, True)
    assert (config.delete_limit(), config.reconcile_hours()) == (10, 0)
    assert config.organization_title(config.ALLOWED_ORGANIZATION) is None
    assert config.site() == "http://test.ckan.example"
    config.check()


def test_the_names_that_others_import() -> None:
    """The keys as ckanext-syndicate 2 and 3 call them."""
    assert config.CONFIG_SYNC_ON_CHANGES == "ckanext.syndicate.sync_on_changes"
    assert config.CONFIG_SYNC_ON_MEMBER_CHANGES == "ckanext.syndicate.sync_on_member_changes"
    assert config.CONFIG_QUEUE_NAME == "ckanext.syndicate.queue.name"


@pytest.mark.parametrize(
    ("key", "given", "getter", "read"),
    [
        ("ckanext.syndicate.sync_on_changes", "false", config.get_sync_on_changes, False),
        ("ckanext.syndicate.sync_on_changes", False, config.get_sync_on_changes, False),
        ("ckanext.syndicate.sync_on_changes", "", config.get_sync_on_changes, True),
        ("ckanext.syndicate.sync_on_member_changes", "off", config.get_sync_on_member_changes, False),
        ("ckanext.syndicate.delete_limit", "2.5", config.delete_limit, 2.5),
        ("ckanext.syndicate.delete_limit", "", config.delete_limit, 10),
        ("ckanext.syndicate.reconcile_hours", 24, config.reconcile_hours, 24),
    ],
)
def test_values(ckan_config: Any, key: str, given: Any, getter: Any, read: Any) -> None:
    """What an ini file or a test sets is read as what it means."""
    ckan_config[key] = given
    assert getter() == read


@pytest.mark.parametrize(
    ("key", "given"),
    [
        ("ckanext.syndicate.sync_on_changes", "maybe"),
        ("ckanext.syndicate.sync_on_member_changes", "2"),
        ("ckanext.syndicate.delete_limit", "-1"),
        ("ckanext.syndicate.delete_limit", "101"),
        ("ckanext.syndicate.delete_limit", "ten"),
        ("ckanext.syndicate.delete_limit", "nan"),
        ("ckanext.syndicate.reconcile_hours", "inf"),
        ("ckanext.syndicate.site_url", "data.example.org"),
        ("ckanext.syndicate.site_url", "https://a b.example"),
        ("ckanext.syndicate.site_url", "ftp://a.example"),
    ],
)
def test_a_wrong_value_keeps_the_portal_from_starting(ckan_config: Any, key: str, given: str) -> None:
    """The message names the setting and what it is."""
    ckan_config[key] = given
    with pytest.raises(ConfigurationError) as raised:
        config.check()
    with pytest.raises(CkanConfigurationException) as said:
        p.get_plugin("syndicate").configure(ckan_config)
    assert key in str(said.value) and given in str(said.value) and str(raised.value) in str(said.value)


@pytest.mark.parametrize(
    ("settings", "site"),
    [
        ({"ckan.site_url": "HTTPS://Data.Example.org:443/"}, "https://data.example.org"),
        ({"ckan.root_path": "/portal"}, "http://test.ckan.example/portal"),
        ({"ckan.root_path": "/portal/{{LANG}}"}, "http://test.ckan.example/portal"),
        ({"ckan.root_path": "/{{LANG}}/portal"}, "http://test.ckan.example/portal"),
        (
            {"ckanext.syndicate.site_url": "https://old.example/ckan/", "ckan.root_path": "/x"},
            "https://old.example/ckan",
        ),
        ({"ckanext.syndicate.site_url": "http://[::1]:80"}, "http://[::1]"),
    ],
)
def test_the_address_by_which_targets_know_us(ckan_config: Any, settings: dict[str, str], site: str) -> None:
    """One spelling, whatever the portal's address looks like; it can be kept when the portal moves."""
    ckan_config.update(settings)
    assert config.site() == site


def test_the_options_of_a_profile_are_declared() -> None:
    """Each is in the declaration, so in the documentation, and no other is."""
    file = Path(config.__file__).with_name("config_declaration.yaml")
    [group] = yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    prefix = f"{config.PROFILE_PREFIX}<ID>."
    declared = {option["key"].removeprefix(prefix) for option in group["options"] if option["key"].startswith(prefix)}
    assert declared == {field.name for field in dataclasses.fields(Profile)} - {"id"}


def test_ckan_takes_the_options_of_a_profile_for_declared(cli: Any, ckan_config: Any) -> None:
    """``ckan config undeclared`` does not name them, but it names a typing error."""
    for option in ("ckan_url", "types", "ckan_ulr"):
        ckan_config[f"ckanext.syndicate.profile.odp.{option}"] = "x"
    ckan_config["ckan.syndicate.api_key"] = "x"
    result = cli.invoke(ckan, ["config", "undeclared", "-i", "syndicate"])
    assert [line for line in result.output.splitlines() if "syndicate" in line] == [
        "ckanext.syndicate.profile.odp.ckan_ulr"
    ]


def test_ckan_describes_the_options(cli: Any) -> None:
    """``ckan config declaration`` shows the settings with what they mean, and what they are if nobody sets them."""
    result = cli.invoke(ckan, ["config", "declaration", "syndicate", "-d"])
    assert result.exit_code == 0, result.output
    assert "ckanext.syndicate.profile.<ID>.on_private" in result.output
    assert "What becomes of the copy" in result.output
