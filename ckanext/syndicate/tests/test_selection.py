"""Which datasets are to be at a target: the flag and what stands before it, predicates, and who is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ckan.plugins as p
import pytest
from ckan import model
from ckan.tests import factories

from ckanext.relay.errors import ConfigurationError
from ckanext.syndicate import helpers, rules, selection
from ckanext.syndicate.interfaces import ISyndicate
from ckanext.syndicate.model import SyndicationLog, copies
from ckanext.syndicate.types import Profile

PROFILE = Profile("odp", "https://target.example", "token")

pytestmark = pytest.mark.usefixtures("syndicate_db", "ckan_config")


class Chooser(p.SingletonPlugin):
    """Stands before ``syndicate`` and answers what the test says; silent, it leaves the default as it is."""

    p.implements(ISyndicate, inherit=True)

    answer: Any = None

    def skip_syndication(self, package: Any, profile: Any) -> Any:
        return super().skip_syndication(package, profile) if self.answer is None else self.answer


class Preparer(p.SingletonPlugin):
    """Changes what is sent, and leaves the choice to others."""

    p.implements(ISyndicate, inherit=True)


OWN_PLUGINS = {"chooser": Chooser, "preparer": Preparer}


@pytest.fixture(autouse=True)
def answer(syndicate_plugins: Any) -> Iterator[Chooser]:
    """The plugin that is asked."""
    plugin = p.get_plugin("chooser")
    assert isinstance(plugin, Chooser)
    yield plugin
    plugin.answer = None


def package(flag: Any = "true", **values: Any) -> model.Package:
    extras = [] if flag is None else [{"key": "syndicate", "value": flag}]
    found = model.Package.get(factories.Dataset(extras=extras, **values)["id"])
    assert found is not None
    return found


@pytest.mark.parametrize("flag", ["true", "True", "yes", "on", "1", " T "])
def test_a_flagged_dataset_is_pushed(flag: str) -> None:
    """Whatever CKAN takes for a yes."""
    assert selection.skips(package(flag), PROFILE) is None


@pytest.mark.parametrize("flag", [None, "false", "no", "0"])
def test_one_that_is_not_flagged_is_not(flag: str | None) -> None:
    """No flag is a no."""
    assert selection.skips(package(flag), PROFILE) == "syndication flag disabled on package"


@pytest.mark.parametrize("flag", ["ja", "2", "please"])
def test_a_flag_that_is_neither_is_a_no(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, flag: str
) -> None:
    """A typing error in an extra is no error of a worker; the log says where it is."""
    monkeypatch.setattr(rules.log, "disabled", False)  # migrations silence loggers
    dataset = package(flag)
    assert selection.skips(dataset, PROFILE) == "syndication flag disabled on package"
    assert f"The extra syndicate of the dataset {dataset.name} is {flag!r}" in caplog.text


def test_the_flag_is_that_of_the_profile() -> None:
    """Targets may have flags of their own."""
    assert selection.skips(package(), Profile("odp", flag="other")) == "syndication flag disabled on package"
    assert selection.skips(package(), Profile("odp", flag="")) == "syndication flag disabled on package"


def test_a_private_one_is_not_pushed() -> None:
    """The default of all releases."""
    organization = factories.Organization()
    dataset = package(private=True, owner_org=organization["id"])
    assert selection.skips(dataset, PROFILE) == "package is private"


@pytest.mark.parametrize("state", ["draft", "draft-complete"])
def test_a_draft_is_never_pushed(answer: Chooser, state: str) -> None:
    """No plugin is asked about it."""
    answer.answer = False
    dataset = package()
    dataset.state = state
    assert selection.skips(dataset, PROFILE) == "package is a draft"
    model.Session.rollback()


def test_types(answer: Chooser) -> None:
    """Only those that the profile names; a harvest source is none of them. No plugin is asked."""
    answer.answer = False
    dataset = package(type="showcase")
    assert selection.skips(dataset, PROFILE) == "datasets of the type showcase are not syndicated to odp"
    assert selection.skips(dataset, Profile("odp", types="dataset showcase")) is None  # type: ignore[arg-type]


def test_a_dataset_of_an_old_database_has_no_type() -> None:
    """It is a dataset."""
    dataset = package()
    dataset.type = None
    assert selection.skips(dataset, PROFILE) is None
    model.Session.rollback()


def test_a_deleted_one_that_was_never_pushed() -> None:
    """There is nothing to follow; that it was stopped once is no copy."""
    dataset = package(state="deleted")
    assert selection.skips(dataset, PROFILE) == "deleted package was never syndicated"
    SyndicationLog.write(dataset.id, PROFILE.id, state=SyndicationLog.State.STOPPED)
    assert selection.skips(dataset, PROFILE) == "deleted package was never syndicated"


def test_a_deleted_one_that_was_pushed() -> None:
    """Its copy follows, whatever the flag says; also one that only the log of release 3 knows."""
    ours, theirs = package(state="deleted", flag="false"), package(state="deleted", flag=None)
    copies.record(ours.id, PROFILE.id, state="synced", target_id="there", presence="active")
    SyndicationLog.write(theirs.id, PROFILE.id, target_id="there")
    assert (selection.skips(ours, PROFILE), selection.skips(theirs, PROFILE)) == (None, None)


# -- predicates


def only_a(package: Any) -> bool:
    """Return whether the title is A."""
    return bool(package.title == "A")


def broken(package: Any) -> bool:
    """Raise what a predicate of somebody else might."""
    raise KeyError("not in there")


def test_a_predicate_may_say_no() -> None:
    """And if it says yes, the flag counts."""
    profile = Profile("odp", predicate=f"{__name__}:only_a")
    assert selection.skips(package(title="B"), profile) == f"the predicate {__name__}:only_a says no"
    assert selection.skips(package(title="A"), profile) is None
    assert selection.skips(package("no", title="A"), profile) == "syndication flag disabled on package"


@pytest.mark.parametrize("predicate", ["no.such.module:f", f"{__name__}:nothing", f"{__name__}:PROFILE", "x"])
def test_a_predicate_that_is_none(predicate: str) -> None:
    """It is an error and not a no, for a no might take the copy away."""
    with pytest.raises(ConfigurationError, match=predicate) as raised:
        selection.skips(package(), Profile("odp", predicate=predicate))
    assert "\n" not in str(raised.value)


def test_what_a_predicate_raises() -> None:
    """It is raised."""
    with pytest.raises(KeyError, match="not in there"):
        selection.skips(package(), Profile("odp", predicate=f"{__name__}:broken"))


def test_ready_made_predicates(ckan_config: Any) -> None:
    """By the title of the organization; a dataset without one belongs to nobody."""
    organization = factories.Organization(title="The one")
    inside, outside = package(owner_org=organization["id"]), package()
    assert not helpers.organization_owns_dataset(inside) and helpers.organization_not_owns_dataset(inside)
    ckan_config["ckanext.syndication.predicate.allowed_organization"] = "The one"
    ckan_config["ckanext.syndication.predicate.denied_organization"] = "The one"
    assert helpers.organization_owns_dataset(inside) and not helpers.organization_not_owns_dataset(inside)
    assert not helpers.organization_owns_dataset(outside) and helpers.organization_not_owns_dataset(outside)
    assert helpers.organization_owns_dataset(inside, "ckan.site_title") is False
    profile = Profile("odp", predicate="ckanext.syndicate.helpers:organization_owns_dataset")
    assert selection.skips(inside, profile) is None and "says no" in str(selection.skips(outside, profile))


# -- plugins


@pytest.mark.parametrize(
    ("said", "reason"),
    [(True, "the plugin chooser skips it"), ("because", "because"), (False, None), ("", None), (None, None)],
)
def test_the_first_plugin_is_asked(answer: Chooser, said: Any, reason: str | None) -> None:
    """And no other; it may give a reason, or leave it to the default."""
    answer.answer = said
    assert selection.skips(package(), PROFILE) == reason


def test_a_plugin_may_push_what_is_private(answer: Chooser) -> None:
    """What the default forbids is up to the plugin, private datasets and flags."""
    answer.answer = False
    organization = factories.Organization()
    assert selection.skips(package(None, private=True, owner_org=organization["id"]), PROFILE) is None


def test_who_knows_what_is_selected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database alone, unless the first plugin has a method of its own, or the profile a predicate."""
    assert selection.needs_code(PROFILE)
    monkeypatch.delattr(Chooser, "skip_syndication")
    assert not selection.needs_code(PROFILE)
    assert selection.needs_code(Profile("odp", predicate="a:b"))


def test_without_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that has CKAN without our plugin gets the same answers."""
    monkeypatch.setattr(selection, "PluginImplementations", lambda interface: [])
    assert selection.skips(package(), PROFILE) is None and not selection.needs_code(PROFILE)
