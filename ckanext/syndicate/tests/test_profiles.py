"""Profiles: how the configuration is read, in every way in which it was ever written, and what never shows."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from ckanext.relay.errors import AddressBlocked, ConfigurationError
from ckanext.relay.http import GuardedSession, relay_errors
from ckanext.syndicate import profiles, types
from ckanext.syndicate.types import Profile, Topic

TOKEN = "hunter2-token-of-profiles"

pytestmark = pytest.mark.usefixtures("syndicate_plugins", "ckan_config")


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What was said once to an earlier test is said again."""
    monkeypatch.setattr(profiles.log, "disabled", False)  # migrations silence loggers
    profiles._log_once.cache_clear()
    caplog.set_level(logging.WARNING, "ckanext.syndicate")
    yield
    profiles._log_once.cache_clear()


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("ckanext.syndicate"))


def configured(ckan_config: Any, **options: Any) -> Profile:
    """Return the profile ``odp`` with these options."""
    given = {"ckan_url": "https://target.example", "api_key": TOKEN, **options}
    ckan_config.update({f"ckanext.syndicate.profile.odp.{option}": value for option, value in given.items()})
    [profile] = profiles.all_profiles()
    return profile


def legacy(ckan_config: Any, **options: Any) -> list[Profile]:
    ckan_config.update({f"ckan.syndicate.{option}": value for option, value in options.items()})
    return profiles.all_profiles()


# -- profiles


def test_without_settings_there_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """A portal that only enables the plugin pushes nowhere, and nothing is wrong with it."""
    assert profiles.all_profiles() == []
    assert said(caplog) == ""


def test_defaults(ckan_config: Any) -> None:
    """Those of the contract, for all that is not set."""
    assert dataclasses.asdict(configured(ckan_config)) == {
        **{"id": "odp", "ckan_url": "https://target.example", "api_key": TOKEN, "organization": "", "author": ""},
        **{"flag": "syndicate", "field_id": "syndicated_id", "name_prefix": "", "predicate": "", "extras": {}},
        **{"replicate_organization": False, "update_organization": False, "refresh_package_name": False},
        **{"user_agent": None, "upload_organization_image": True, "queue": "default", "types": ("dataset",)},
        **{"connections": 4, "timeout": 60.0, "max_attempts": 8},
        **{"on_unflag": "keep", "on_private": "private", "on_delete": "delete", "on_purge": "delete"},
    }


@pytest.mark.parametrize(
    ("option", "given", "read"),
    [
        ("replicate_organization", "false", False),
        ("replicate_organization", "Yes", True),
        ("update_organization", "0", False),
        ("refresh_package_name", "false", False),
        ("refresh_package_name", "on", True),
        ("upload_organization_image", "off", False),
        ("upload_organization_image", "", True),
        ("upload_organization_image", True, True),
        ("extras", '{"a": {"b": 1}}', {"a": {"b": 1}}),
        ("extras", "", {}),
        ("types", "dataset  showcase", ("dataset", "showcase")),
        ("types", "", ("dataset",)),
        ("on_unflag", " DELETE ", "delete"),
        ("connections", "12", 12),
        ("timeout", "2.5", 2.5),
        ("organization", " open-data ", "open-data"),
        ("organization", 7, "7"),
        ("user_agent", "Portal (mail@example.org)", "Portal (mail@example.org)"),
        ("user_agent", "Portal\n  of the city", "Portal of the city"),
        ("user_agent", "", None),
    ],
)
def test_options_are_read(
    ckan_config: Any, caplog: pytest.LogCaptureFixture, option: str, given: Any, read: Any
) -> None:
    """Texts of an ini file become what they mean: ``false`` is no, and nothing is the default."""
    assert getattr(configured(ckan_config, **{option: given}), option) == read
    assert said(caplog) == ""


@pytest.mark.parametrize(
    ("option", "given", "words"),
    [
        ("replicate_organization", "maybe", "'maybe'"),
        ("refresh_package_name", "ja", "'ja'"),
        ("on_private", "hide", "none of keep, private, delete"),
        ("connections", "0", "between 1 and 100"),
        ("connections", "many", "'many'"),
        ("timeout", "nan", "'nan'"),
        ("timeout", "-1", "0.1"),
        ("max_attempts", "1e3", "'1e3'"),
        ("types", "  ", "no dataset type"),
        ("user_agent", "Портал", "not plain ASCII"),
        ("extras", "[1]", "extras"),
        ("extras", "[" * 100_000, "extras"),
        ("extras", '{"password": "hunter2-broken', "extras"),
    ],
)
def test_a_value_that_cannot_be_read_is_said_once_and_ignored(
    ckan_config: Any, caplog: pytest.LogCaptureFixture, option: str, given: str, words: str
) -> None:
    """A typing error must not keep anybody from saving; the default counts instead."""
    default = getattr(Profile(id="odp"), option)
    assert getattr(configured(ckan_config, **{option: given}), option) == default
    profiles.all_profiles(force_refresh=True)
    [warning] = said(caplog).splitlines()
    assert option in warning and "odp" in warning and words in warning
    assert "hunter2" not in warning


def test_a_setting_that_is_unknown_is_said_once_and_ignored(ckan_config: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Options of a release that is not this one, and typing errors, break nothing."""
    ckan_config.update(
        {
            "ckanext.syndicate.profile.odp.ckan_ulr": "https://typo.example",
            "ckanext.syndicate.profile.odp.id": "other",
            "ckanext.syndicate.profile.odp.a.b": "1",
            "ckanext.syndicate.profile.lonely": "1",
            "ckanext.syndicate.profile..flag": "1",
            f"ckanext.syndicate.profile.{'x' * 256}.flag": "1",
        }
    )
    assert configured(ckan_config).id == "odp"
    profiles.all_profiles(force_refresh=True)
    lines = said(caplog).splitlines()
    assert lines == profiles.problems()
    assert len(lines) == 6 and all("is ignored" in line for line in lines)


@pytest.mark.parametrize("missing", ["ckan_url", "api_key"])
def test_what_is_missing_is_said(ckan_config: Any, caplog: pytest.LogCaptureFixture, missing: str) -> None:
    """A target without address or token is told of when the portal starts, and in words to whoever needs it."""
    profile = configured(ckan_config, **{missing: ""})
    assert f"The profile odp has no {missing}" in said(caplog)
    with pytest.raises(ConfigurationError, match=missing) as raised:
        profile.get_target()
    assert f"ckanext.syndicate.profile.odp.{missing}" in str(raised.value.hint)
    assert TOKEN not in repr(raised.value)


def test_a_new_configuration_counts_at_once(ckan_config: Any) -> None:
    """Profiles are kept as long as the configuration says the same, not for the life of the process."""
    first = configured(ckan_config)
    assert profiles.all_profiles()[0] is first
    ckan_config["ckanext.syndicate.profile.odp.flag"] = "other"
    assert profiles.all_profiles()[0].flag == "other"
    again = profiles.all_profiles(force_refresh=True)[0]
    assert again is not first and again.flag == "other"


def test_the_ways_in_which_releases_returned_profiles(ckan_config: Any) -> None:
    """``next``, a loop and an index work on what is returned, as generator and list did."""
    ckan_config["ckanext.syndicate.profile.b.ckan_url"] = "https://b.example"
    ckan_config["ckanext.syndicate.profile.a.ckan_url"] = "https://a.example"
    found = profiles.all_profiles()
    assert [next(found).id, next(found).id] == ["b", "a"]
    with pytest.raises(StopIteration):
        next(found)
    assert [each.id for each in found] == ["b", "a"] == [each.id for each in found]
    assert found[0].id == "b" and len(found) == 2 and next(profiles.all_profiles()).id == "b"
    found.clear()
    assert len(profiles.all_profiles()) == 2
    assert (profiles.by_id("a") or Profile("?")).ckan_url == "https://a.example"
    assert profiles.by_id("c") is None


# -- the settings of ckanext-syndicate 1


def test_one_target_in_the_old_way(ckan_config: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A portal of ckanext-syndicate 1 has the profile ``0``."""
    [profile] = legacy(
        ckan_config,
        **{"ckan_url": "https://a.example", "api_key": TOKEN, "flag": "push", "id": "their_id", "organization": "org"},
        **{"name_prefix": "p", "replicate_organization": "true", "author": "me", "extras": '{"a": [1, 2]}'},
        **{"user_agent": "My portal (me@example.org)", "update_organization": "no", "predicate": "a.b:c"},
    )
    assert (profile.id, profile.ckan_url, profile.api_key) == ("0", "https://a.example", TOKEN)
    assert (profile.flag, profile.field_id, profile.organization) == ("push", "their_id", "org")
    assert (profile.name_prefix, profile.replicate_organization, profile.author) == ("p", True, "me")
    assert (profile.extras, profile.user_agent) == ({"a": [1, 2]}, "My portal (me@example.org)")
    assert (profile.update_organization, profile.predicate) == (False, "a.b:c")
    assert said(caplog) == ""


def test_lists_of_targets_in_the_old_way(ckan_config: Any) -> None:
    """The lists are put side by side; the longest counts, and what is missing has its default."""
    found = legacy(
        ckan_config,
        **{"ckan_url": "https://a.example\nhttps://b.example https://c.example", "api_key": "one-token two-token"},
        **{"flag": "first", "replicate_organization": "false true", "extras": '{"a": 1} {"b": "x y"}'},
        user_agent="One for all",
    )
    assert [each.id for each in found] == ["0", "1", "2"]
    assert [each.api_key for each in found] == ["one-token", "two-token", ""]
    assert [each.flag for each in found] == ["first", "syndicate", "syndicate"]
    assert [each.replicate_organization for each in found] == [False, True, False]
    assert [each.extras for each in found] == [{"a": 1}, {"b": "x y"}, {}]
    assert {each.user_agent for each in found} == {"One for all"}


@pytest.mark.parametrize("names", [("id",), ("field_id",), ("id", "field_id")])
def test_both_spellings_of_the_extra_for_the_id(ckan_config: Any, names: tuple[str, ...]) -> None:
    """``ckan.syndicate.id`` of release 1 and ``ckan.syndicate.field_id`` of release 2, which counts if both are set."""
    given = {name: f"from_{name}" for name in names}
    [profile] = legacy(ckan_config, ckan_url="https://a.example", **given)
    assert profile.field_id == f"from_{names[-1]}"


def test_old_settings_come_first(ckan_config: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Both ways together are all targets; the same id twice is said, and the profile counts."""
    ckan_config["ckanext.syndicate.profile.z.ckan_url"] = "https://z.example"
    ckan_config["ckanext.syndicate.profile.1.ckan_url"] = "https://new.example"
    found = legacy(ckan_config, ckan_url="https://a.example https://b.example")
    assert [(each.id, each.ckan_url) for each in found] == [
        ("0", "https://a.example"),
        ("1", "https://new.example"),
        ("z", "https://z.example"),
    ]
    assert "The profile 1 is set both by" in said(caplog)


@pytest.mark.parametrize("extras", ["no json", '{"a": 1', '{"a": 1} x', "[" * 100_000])
def test_old_extras_that_are_no_json(ckan_config: Any, caplog: pytest.LogCaptureFixture, extras: str) -> None:
    """They are as good as none, which is said."""
    [profile] = legacy(ckan_config, ckan_url="https://a.example", api_key=TOKEN, extras=extras)
    assert profile.extras == {}
    assert "ckan.syndicate.extras" in said(caplog)


# -- the classes


def test_topics() -> None:
    """The members and values of the releases before."""
    assert {each.name: each.value for each in Topic} == {"create": 1, "update": 2, "unknown": 3}


def test_a_profile_made_by_hand() -> None:
    """By position as release 3, by keyword as every release; it can be changed, compared, and be a key."""
    values: list[Any] = ["x", "https://a", "key", "org", "flag", "field", "pre", "true", "no", "1"]
    values += ["agent", "off", "queue", "author"]
    by_position = Profile(*values)
    assert (by_position.replicate_organization, by_position.update_organization) == (True, False)
    assert (by_position.refresh_package_name, by_position.upload_organization_image) == (True, False)
    assert (by_position.user_agent, by_position.queue, by_position.author) == ("agent", "queue", "author")
    by_keyword = Profile(id="x", predicate="a:b", extras={"a": 1}, author="me")
    assert {by_keyword: 1}[by_keyword] == 1 and by_keyword != by_position
    by_keyword.flag = "other"
    assert by_keyword.flag == "other"
    assert Profile("y").extras is not Profile("z").extras
    with pytest.raises(ValueError, match="maybe"):
        Profile(id="x", replicate_organization="maybe")  # type: ignore[arg-type]


# -- secrets


@pytest.mark.parametrize("show", [repr, str, "{}".format, lambda profile: f"{[profile]}"])
def test_a_token_does_not_show(show: Any) -> None:
    """Whoever prints or logs a profile shows no secret."""
    profile = Profile(
        "x", f"https://user:{TOKEN}@a.example", TOKEN, extras={"password": TOKEN, "nested": [{"token": TOKEN}], "a": 1}
    )
    shown = show(profile)
    assert TOKEN not in shown and "********" in shown and "'a': 1" in shown


def test_a_reference_shows() -> None:
    """It is no secret, and says where the token is."""
    assert "api_key='file:odp'" in repr(Profile("x", api_key="file:odp"))
    assert "api_key=''" in repr(Profile("x"))


def test_a_token_that_was_read_is_in_no_log(ckan_config: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever logs it after the configuration was read logs asterisks; the same goes for secrets of hooks."""
    configured(ckan_config, extras='{"password": "hunter2-of-hooks"}')
    profiles.log.warning("it is %s", "hunter2-of-hooks")
    assert said(caplog) == "it is ********"
    caplog.clear()
    profiles.log.warning("it is %s", TOKEN)
    assert said(caplog) == "it is ********"


@pytest.mark.parametrize(
    ("written", "why"), [("env:SA1_NONE", "CKANEXT_RELAY_SECRET_SA1_NONE"), ("file:none", "secrets_dir")]
)
def test_a_reference_that_leads_nowhere(ckan_config: Any, written: str, why: str) -> None:
    """Nothing is resolved before it is needed, and then it is said what to do."""
    profile = configured(ckan_config, api_key=written)
    with pytest.raises(ConfigurationError) as raised:
        profile.get_target()
    assert why in str(raised.value.hint)


@pytest.mark.parametrize("url", ["target.example", "ftp://a.example", "https://", "http://[::1", "http://a:port"])
def test_an_address_that_is_none(ckan_config: Any, caplog: pytest.LogCaptureFixture, url: str) -> None:
    """It is said when the portal starts, and to whoever needs it."""
    profile = configured(ckan_config, ckan_url=url)
    assert f"{url!r} for ckan_url, which is no address" in said(caplog)
    with pytest.raises(ConfigurationError, match="no address of a portal"):
        profile.get_target()


@pytest.mark.parametrize("token", [f"{TOKEN}\nX-Other: header", f"{TOKEN} €", f"{TOKEN}\0"])
def test_a_token_that_no_header_may_hold(ckan_config: Any, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """It is refused before the client would show it in an error of its own."""
    with pytest.raises(ConfigurationError, match="The token for https://target.example is none") as raised:
        configured(ckan_config, api_key=token).get_target()
    assert "hunter2" not in f"{raised.value!r} {raised.value.hint}"
    monkeypatch.setattr("ckanext.relay.secrets.resolve", lambda value, folder: f"{TOKEN}\n\n")
    assert configured(ckan_config, api_key="file:odp").get_target().apikey == TOKEN


def test_a_client_of_the_target(ckan_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the token that the reference stands for at this moment, and a session of its own that is guarded."""
    profile = configured(ckan_config, api_key="env:ODP", user_agent="Portal 1", timeout="7")
    monkeypatch.setenv("CKANEXT_RELAY_SECRET_ODP", "first-token")
    with profile.get_target() as first:
        assert (first.address, first.apikey, first.user_agent) == ("https://target.example", "first-token", "Portal 1")
        assert isinstance(first.session, GuardedSession) and first.session.limits.read == 7
        monkeypatch.setenv("CKANEXT_RELAY_SECRET_ODP", "second-token")
        with profile.get_target() as second:
            assert second.apikey == "second-token" and second.session is not first.session
    assert configured(ckan_config, user_agent="").get_target().user_agent.startswith("ckanapi/")


def test_a_target_within_the_network_is_not_asked(ckan_config: Any) -> None:
    """A client goes only where the portal may connect to."""
    ckan_config["ckanext.relay.allowed_networks"] = ""
    url = "http://127.0.0.1:1"
    with types.target(url, TOKEN) as client, pytest.raises(AddressBlocked) as raised, relay_errors(url):
        client.action.status_show()
    assert TOKEN not in repr(raised.value)
