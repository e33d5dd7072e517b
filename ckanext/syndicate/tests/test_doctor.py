"""What the doctor finds at home and at a real target, what it mends, and what it leaves alone."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Iterator
from email.utils import format_datetime
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model

from ckanext.relay import diagnosis, lease
from ckanext.syndicate import doctor, runner
from ckanext.syndicate.cli import syndicate
from ckanext.syndicate.model import targets
from ckanext.syndicate.tests import target_proxy
from ckanext.syndicate.tests.portals import Target
from ckanext.syndicate.tests.standing import NOW, PROFILE, add_copy, add_failure, add_row, make_dataset, rows

pytestmark = pytest.mark.usefixtures("syndicate_portal", "quick", "plain")

#: What is not there in these tests, and so always found.
AWAY = {"no-worker", "no-beat"}


@pytest.fixture
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker is there to answer, and only some tests wait for that."""
    monkeypatch.setattr(diagnosis, "PING_SECONDS", 0.5)
    if "broker" not in request.node.name:
        monkeypatch.setattr(diagnosis, "broker", lambda kind: iter(()))


@pytest.fixture
def plain(target: Target, ckan_config: Any) -> Iterator[None]:
    """A profile of the second CKAN."""
    ckan_config.update(target.config("plain"))
    yield


def examined(fix: bool = False) -> dict[str, diagnosis.Finding]:
    """Return what the doctor finds, by code, without what is away in these tests."""
    model.Session.remove()
    found = {finding.code: finding for finding in doctor.examine(fix) if finding.code not in AWAY}
    model.Session.remove()
    return found


def only(code: str) -> diagnosis.Finding:
    found = examined()
    assert set(found) == {code}
    return found[code]


def set_option(config: Any, option: str, value: str, profile_id: str = "plain") -> None:
    config[f"{PROFILE}{profile_id}.{option}"] = value


def test_nothing_is_wrong(target: Target) -> None:
    """A target that can be pushed to has no findings; it is only read."""
    assert examined(fix=True) == {} and target.proxy.writes() == []


def test_the_broker_and_workers() -> None:
    """Without a worker, both queues are named."""
    lacking = {finding.code: finding for finding in doctor.examine()}["no-worker"]
    assert ".syndicate.priority and " in lacking.what and lacking.what.endswith(".syndicate.bulk")


def test_nobody_sweeps() -> None:
    """Without beat, work that was lost is found by nobody."""
    assert "never" in {finding.code: finding for finding in doctor.examine()}["no-beat"].what
    list(runner.sweep())
    assert "no-beat" not in {finding.code for finding in doctor.examine()}


def test_tables_of_an_older_release() -> None:
    """If the tables are not up to date, that is said and nothing else is looked at."""
    versions = sa.table("syndicate_alembic_version", sa.column("version_num"))
    (head,) = (row[0] for row in lease.rows(sa.select(versions)))
    lease.execute(sa.update(versions).values(version_num="b1c3e920f499"))
    try:
        found = list(doctor.examine())
    finally:
        lease.execute(sa.update(versions).values(version_num=head))
    assert [finding.code for finding in found] == ["migrations-pending"] and "b1c3e920f499" in found[0].what


# -- settings


def test_no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """A portal that pushes nowhere is told what to set."""
    from ckanext.syndicate import config

    monkeypatch.setattr(config, "profile_options", dict)
    assert "ckanext.syndicate.profile.<ID>.ckan_url" in only("no-target").remedy


def test_settings_that_are_ignored(ckan_config: Any) -> None:
    """Options that there are not, values that make no sense, and what has no effect any more are named."""
    set_option(ckan_config, "flagg", "x")
    set_option(ckan_config, "timeout", "soon")
    found = list(doctor.examine())
    ignored = " ".join(finding.what for finding in found if finding.code == "setting-ignored")
    assert "flagg" in ignored and "timeout" in ignored
    set_option(ckan_config, "queue", "mine")
    ckan_config["ckanext.syndicate.queue.name"] = "other"
    idle = [finding.what for finding in doctor.examine() if finding.code == "setting-idle"]
    assert [what.split()[0] for what in idle] == ["ckanext.syndicate.queue.name", f"{PROFILE}plain.queue"]


def test_a_predicate_that_is_not_there(ckan_config: Any) -> None:
    """It is named before a dataset finds out."""
    set_option(ckan_config, "predicate", "no.such.module:function")
    assert "no.such.module" in only("predicate-missing").what


def test_a_profile_that_is_not_complete(ckan_config: Any, target: Target) -> None:
    """Address and token are needed; without them nobody is asked."""
    set_option(ckan_config, "api_key", "")
    set_option(ckan_config, "ckan_url", "")
    found = [finding for finding in doctor.examine() if finding.code == "profile-incomplete"]
    assert [finding.remedy for finding in found] == [f"set {PROFILE}plain.ckan_url", f"set {PROFILE}plain.api_key"]
    set_option(ckan_config, "api_key", "x")
    set_option(ckan_config, "ckan_url", "portal of the city")
    assert "url-invalid" in examined() and target.proxy.calls == []


def test_a_secret_that_is_not_there(ckan_config: Any) -> None:
    """A reference that leads nowhere says what to set."""
    set_option(ckan_config, "api_key", "env:NO_SUCH_TOKEN")
    assert "CKANEXT_RELAY_SECRET_NO_SUCH_TOKEN" in only("secret-missing").remedy


# -- the target


def test_a_target_that_is_away(target: Target) -> None:
    """That it cannot be reached, or fails, is said, with its address."""
    with target.proxy.down():
        assert target.url in only("unreachable").what
    target.proxy.fail("status_show", target_proxy.status(502), times=9)
    assert "502" in only("unreachable").what


def test_an_address_that_is_no_portal(target: Target) -> None:
    """A page for people, or a redirect, in place of an API."""
    target.proxy.fail("status_show", target_proxy.html)
    assert "ckan_url" in only("no-ckan").remedy
    target.proxy.fail("status_show", target_proxy.redirect)
    assert "sends requests on" in only("redirected").what


def test_an_address_that_we_may_not_ask(ckan_config: Any) -> None:
    """The doctor asks through the same door as the workers do."""
    set_option(ckan_config, "ckan_url", "http://169.254.169.254")
    assert "allowed_networks" in only("address-blocked").remedy


def test_which_portal_it_is(target: Target, ckan_config: Any) -> None:
    """A target that is another portal than before, or this one."""
    targets.seen("plain", target.url, "http://before.example")
    finding = only("wrong-portal")
    assert "before.example" in finding.what and "--accept-target" in finding.remedy
    ckan_config["ckanext.syndicate.site_url"] = target.site_url
    assert "this portal" in only("wrong-portal").what


def test_an_old_portal(target: Target) -> None:
    """A version of CKAN that lacks what we need is named."""
    said = {"site_url": target.site_url, "ckan_version": "2.7.3"}
    target.proxy.fail("status_show", target_proxy.answers(said), times=9)
    assert "2.7.3" in only("target-old").what


def test_a_clock_that_is_wrong(target: Target) -> None:
    """A target whose clock is not ours is named."""
    tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2)

    def fault(request: target_proxy.Request) -> None:
        body = json.dumps({"success": True, "result": target.call("status_show")}).encode()
        request.send_response_only(200)
        request.send_header("Date", format_datetime(tomorrow, usegmt=True))
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
        request.wfile.flush()

    target.proxy.fail("status_show", fault, times=9)
    assert "120 minutes fast" in only("clock-skew").what


def test_a_token_that_is_none(ckan_config: Any) -> None:
    """Whose token the target does not know is nobody there."""
    set_option(ckan_config, "api_key", "not-a-token-of-anybody")
    finding = only("token-invalid")
    assert "not-a-token" not in finding.what + finding.remedy


@pytest.fixture
def editor(target: Target, ckan_config: Any) -> str:
    """The profile has the token of a user who is nobody in particular; returns the name."""
    name = f"editor-{uuid.uuid4().hex[:8]}"
    target.call("user_create", name=name, email=f"{name}@example.com", password=uuid.uuid4().hex)
    set_option(ckan_config, "api_key", target.call("api_token_create", user=name, name="push")["token"])
    return name


def test_an_organization_that_is_not_there(target: Target, ckan_config: Any) -> None:
    """The organization of the copies must be there, and not deleted."""
    set_option(ckan_config, "organization", "city")
    assert "no organization city" in only("organization-missing").what
    target.call("organization_create", name="city")
    assert examined() == {}
    target.call("organization_delete", id="city")
    assert set(examined()) == {"organization-missing"}


def test_a_user_who_may_not(target: Target, ckan_config: Any, editor: str) -> None:
    """Who is no editor of the organization, or of any, cannot create a dataset."""
    assert editor in only("may-not-create").what
    target.call("organization_create", name="city")
    set_option(ckan_config, "organization", "city")
    assert "make the user an editor of the organization city" in only("may-not-create").remedy
    target.call("organization_member_create", id="city", username=editor, role="editor")
    assert examined() == {}
    set_option(ckan_config, "organization", "")
    assert only("no-organization").remedy == f"set {PROFILE}plain.organization"


# -- what waits, and what is mended


def test_what_was_given_up_and_what_is_held() -> None:
    """Both wait for a person: they are counted, and what to do is said; mending leaves them."""
    add_failure(make_dataset(), "plain")
    add_failure(make_dataset(), "plain")
    add_row(make_dataset(), "plain", state="held", cause="held")
    for _ in range(2):
        found = examined(fix=True)
        assert set(found) == {"given-up", "retractions-held"}
        assert (found["given-up"].count, found["given-up"].left) == (2, 2)
        assert "does not take the dataset" in found["given-up"].what
        assert "ckan syndicate approve plain" in found["retractions-held"].remedy


def test_the_table_of_an_older_release() -> None:
    """A table that nothing reads and that holds keys is dropped."""
    engine: Any = model.meta.engine
    sa.Table("syndicate_config", sa.MetaData(), sa.Column("id", sa.Text)).create(engine)
    try:
        assert "plain text" in only("old-table").what and only("old-table").mendable
        assert examined(fix=True)["old-table"].left == 0
        assert examined() == {}
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE IF EXISTS syndicate_config"))


def test_rows_of_targets_that_are_not_configured() -> None:
    """What waits for nobody is taken out of the outbox; what is recorded of copies stays."""
    dataset = make_dataset()
    add_row(dataset, "gone")
    add_copy(dataset, "gone")
    assert only("target-unknown").samples == ["gone"] and set(rows("gone")) == {dataset["id"]}
    assert examined(fix=True)["target-unknown"].left == 0
    assert examined() == {} and rows("gone") == {}


def test_copies_that_were_begun() -> None:
    """A creation that nobody ended is looked for by the next push."""
    dataset = make_dataset()
    add_copy(dataset, "plain", presence=None, intent=NOW)
    from ckanext.syndicate.model.tables import copy_table

    lease.execute(sa.update(copy_table).values(target_id=None))
    assert only("copies-begun").mendable and rows("plain") == {}
    assert examined(fix=True)["copies-begun"].left == 0 and set(rows("plain")) == {dataset["id"]}
    assert examined() == {}


def test_the_command(cli: Any, ckan_config: Any, target: Target) -> None:
    """The command ends with 1 if anything is wrong, also as JSON, and shows no secret."""
    list(runner.sweep())
    well = cli.invoke(syndicate, ["doctor", "--json"])
    assert (well.exit_code, json.loads(well.stdout)) == (0, {"healthy": True, "findings": []})
    set_option(ckan_config, "organization", "city")
    shown = cli.invoke(syndicate, ["doctor"])
    assert shown.exit_code == 1 and "organization-missing: plain: the target has no organization city" in shown.stdout
    with target.proxy.down():
        away = cli.invoke(syndicate, ["doctor", "--fix"])
    assert away.exit_code == 1 and "unreachable: plain:" in away.stdout
    set_option(ckan_config, "ckan_url", target.url.replace("//", "//somebody:pa55word@"))
    secretive = cli.invoke(syndicate, ["doctor"])
    assert secretive.exit_code == 1 and "url-credentials: plain: user and password" in secretive.stdout
    said = shown.output + away.output + secretive.output
    assert not any(secret in said for secret in ("pa55word", target.token))
