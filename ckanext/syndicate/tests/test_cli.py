"""The commands, as people and cron call them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import click
import pytest
from ckan import model
from ckan.tests.helpers import changed_config

from ckanext.syndicate import reconcile, status, tasks
from ckanext.syndicate.cli import get_commands, sync, syndicate
from ckanext.syndicate.model import copies, targets
from ckanext.syndicate.tests import target_proxy
from ckanext.syndicate.tests.portals import Target
from ckanext.syndicate.tests.standing import (
    NOW,
    PROFILE,
    add_copy,
    add_failure,
    add_row,
    add_target,
    make_dataset,
    rows,
)

pytestmark = pytest.mark.usefixtures("syndicate_portal")

UNKNOWN = "There is no profile none, only odp, other"


@pytest.fixture
def two(ckan_config: Any) -> None:
    """Two profiles at which nobody answers: ``odp`` by the usual flag, ``other`` by the flag ``elsewhere``."""
    for profile_id, flag in (("odp", "syndicate"), ("other", "elsewhere")):
        options = {"ckan_url": "http://127.0.0.1:9", "api_key": "t0ken-of-nobody", "flag": flag}
        ckan_config.update({f"{PROFILE}{profile_id}.{name}": value for name, value in options.items()})


@pytest.fixture
def plain(target: Target, ckan_config: Any) -> Iterator[None]:
    """A profile of the second CKAN."""
    ckan_config.update(target.config("plain", max_attempts="1"))
    yield


@pytest.fixture
def run(cli: Any, sent: list[str]) -> Any:
    """Runs a command and returns its result; what it prints must be there without a terminal, too."""

    def invoke(*arguments: str, code: int = 0) -> Any:
        model.Session.remove()
        result = cli.invoke(syndicate, list(arguments))
        assert result.exit_code == code, (result.output, result.exception)
        model.Session.remove()
        return result

    return invoke


def as_json(result: Any) -> Any:
    return json.loads(result.stdout)


# -- arguments


@pytest.mark.parametrize(
    "arguments",
    [
        ("sync",),
        ("check",),
        ("sync-profile", "odp"),
        ("plan",),
        ("status",),
        ("retry",),
        ("approve", "odp"),
        ("reconcile",),
    ],
)
def test_no_target(run: Any, arguments: tuple[str, ...]) -> None:
    """A portal that pushes nowhere is told what to set."""
    assert "set ckanext.syndicate.profile.<ID>.ckan_url" in run(*arguments, code=1).stderr


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sync-profile", "none"), UNKNOWN),
        (("plan", "--profile", "none"), UNKNOWN),
        (("status", "--profile", "none"), UNKNOWN),
        (("retry", "--profile", "none"), UNKNOWN),
        (("approve", "none"), UNKNOWN),
        (("reconcile", "none"), UNKNOWN),
        (("sync", "no-such"), "There is no dataset no-such"),
        (("check", "no-such"), "There is no dataset no-such"),
        (("plan", "--dataset", "no-such"), "There is no dataset no-such"),
        (("status", "no-such"), "There is no dataset no-such"),
        (("retry", "no-such"), "There is no dataset no-such"),
    ],
)
def test_what_is_not_there(run: Any, sent: list[str], arguments: tuple[str, ...], said: str) -> None:
    """An unknown profile or dataset is an error that names it, and nothing is done."""
    assert said in run(*arguments, code=1).stderr and sent == [] and rows() == {}


@pytest.mark.usefixtures("two")
def test_arguments_that_make_no_sense(run: Any) -> None:
    """Numbers have limits, and a target is taken for right only by its name."""
    for arguments in (("sync", "-t", "-1"), ("approve", "odp", "--hours", "0"), ("status", "--limit", "-1")):
        run(*arguments, code=2)
    assert "needs a PROFILE" in run("reconcile", "--accept-target", code=2).stderr


def test_each_command_says_what_it_does(cli: Any) -> None:
    """There is a help text for all of them; the contract's are among them."""
    (group,) = get_commands()
    assert isinstance(group, click.Group)
    assert {
        "sync",
        "check",
        "sync-profile",
        "init",
        "plan",
        "status",
        "retry",
        "approve",
        "reconcile",
        "doctor",
    } <= set(group.commands)
    for name in group.commands:
        assert len(cli.invoke(syndicate, [name, "--help"]).stdout.splitlines()) > 3


# -- sync


@pytest.mark.usefixtures("two")
def test_sync_asks_for_all(run: Any, sent: list[str]) -> None:
    """Each target is asked for its datasets once, and nothing is forced unless that is said."""
    mine, other, neither = make_dataset(), make_dataset("elsewhere"), make_dataset("nowhere")
    lines = run("sync").stdout.splitlines()
    assert lines == [f"{each}: 1 datasets are handed to the workers" for each in ("odp", "other")]
    assert (set(rows()), set(rows("other")), sent) == ({mine["id"]}, {other["id"]}, ["odp", "other"])
    assert neither["id"] not in rows() and not rows()[mine["id"]].force
    run("sync", "--force")
    assert rows()[mine["id"]].force


@pytest.mark.usefixtures("two")
def test_sync_of_one_dataset(run: Any) -> None:
    """By name or id; the workers look whether it is to be at a target."""
    dataset = make_dataset()
    for reference in (dataset["name"], dataset["id"]):
        assert run("sync", "-v", reference).stdout == "2 handed to the workers\n"
    assert set(rows()) == set(rows("other")) == {dataset["id"]} and rows()[dataset["id"]].version == 2


@pytest.mark.usefixtures("two")
def test_sync_with_pauses(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two datasets it waits for as long as it is told."""
    pauses: list[float] = []
    monkeypatch.setattr(sync, "time", SimpleNamespace(sleep=pauses.append))  # not for other threads
    datasets = [make_dataset() for _ in range(3)]
    run("sync", "--timeout", "0.5")
    assert pauses == [0.5, 0.5] and set(rows()) == {dataset["id"] for dataset in datasets}


@pytest.mark.usefixtures("two")
def test_sync_profile(run: Any, sent: list[str]) -> None:
    """Only one target is asked for."""
    dataset = make_dataset()
    make_dataset("elsewhere")
    assert run("sync-profile", "odp").stdout == "odp: 1 datasets are handed to the workers\n"
    assert (set(rows()), rows("other"), sent) == ({dataset["id"]}, {}, ["odp"])


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("command", [("sync", "-f"), ("sync-profile", "plain", "--foreground")])
def test_sync_in_this_process(run: Any, target: Target, sent: list[str], command: tuple[str, ...]) -> None:
    """All datasets are there when the command ends; a second run writes nothing."""
    datasets = [make_dataset() for _ in range(3)]
    assert run(*command).stdout.splitlines() == ["plain: 3 datasets are pushed", "plain: 3 synced"]
    assert sorted(target.call("package_list")) == sorted(dataset["name"] for dataset in datasets) and sent == []
    target.proxy.calls.clear()
    run(*command)
    assert target.proxy.calls == []


@pytest.mark.usefixtures("plain")
def test_sync_of_one_dataset_in_this_process(run: Any, target: Target) -> None:
    """It is there when the command ends; one that is not selected is not, and that is no failure."""
    dataset, other = make_dataset(), make_dataset("elsewhere")
    assert run("sync", "-f", dataset["name"]).stdout == "1 synced\n"
    assert target.call("package_list") == [dataset["name"]]
    assert run("sync", "-f", other["name"]).stdout == "1 stopped\n"
    target.proxy.calls.clear()
    run("sync", "-f", dataset["name"])
    assert target.proxy.calls == []
    run("sync", "-f", "--force", dataset["name"])
    assert target.proxy.asked("package_update") == 1


@pytest.mark.usefixtures("plain")
def test_sync_that_fails(run: Any, target: Target) -> None:
    """A push that fails changes the exit code, and says why, one dataset or all."""
    dataset = make_dataset()
    with target.proxy.down():
        failed = run("sync", "-f", dataset["name"], code=1)
        assert dataset["id"] in failed.stderr and "plain" in failed.stderr
        assert "1 datasets are not as they should be" in run("sync", "-f", code=1).stderr
    targets.answered("plain")
    assert run("sync", "-f", dataset["name"]).stdout == "1 synced\n"


@pytest.mark.usefixtures("two")
def test_check(run: Any, ckan_config: Any) -> None:
    """Which datasets are to be where, and how many; the one that is nowhere has no line."""
    both = make_dataset(extras=[{"key": "syndicate", "value": "yes"}, {"key": "elsewhere", "value": "1"}])
    one, none = make_dataset(), make_dataset("nowhere")
    make_dataset(private=True, owner_org=_organization())
    lines = set(run("check").stdout.splitlines())
    assert lines == {f"{both['id']}: odp, other", f"{one['id']}: odp", "odp: 2 datasets", "other: 1 datasets"}
    assert run("check", one["name"], none["id"]).stdout.splitlines() == [
        f"{one['id']}: odp", "odp: 1 datasets", "other: 0 datasets"
    ]  # fmt: skip
    assert rows() == {}


def _organization() -> str:
    from ckan.tests import factories

    return str(factories.Organization()["id"])


def test_init(run: Any) -> None:
    """It may be called at any time, and brings tables up to date."""
    assert "initialized" in run("init").stdout
    assert "initialized" in run("init").stdout


# -- plan


@pytest.mark.usefixtures("plain")
def test_plan(run: Any, target: Target) -> None:
    """What a push would do, with the fields, while nothing is written; 2 says that there is something to do."""
    assert run("plan").stdout == "plain: nothing\n"
    dataset = make_dataset(title="Trees")
    shown = run("plan", code=2).stdout.splitlines()
    assert shown[0].startswith(f"plain create {dataset['name']}: ") and shown[-1] == "plain: 1 create"
    run("sync", "-f")
    assert run("plan").stdout == "plain: 1 unchanged\n"
    with changed_config("ckanext.syndicate.sync_on_changes", False):
        row: Any = model.Session.get(model.Package, dataset["id"])
        row.title = "Bushes"
        model.Session.commit()
    target.proxy.calls.clear()
    shown = run("plan", "--profile", "plain", "--dataset", dataset["name"], code=2).stdout
    assert "title: 'Trees' -> 'Bushes'" in shown and target.proxy.writes() == [] and rows("plain") == {}
    found = as_json(run("plan", "--json", code=2))
    assert found["counts"] == {"plain": {"update": 1}} and found["failed"] == {}
    (planned,) = found["plans"]
    assert planned["changes"] == [{"field": "title", "old": "Trees", "new": "Bushes"}]


@pytest.mark.usefixtures("plain")
def test_plan_of_a_target_that_is_away(run: Any, target: Target, ckan_config: Any) -> None:
    """One target that cannot be asked does not keep the others from being shown."""
    dataset = make_dataset()
    options = {"ckan_url": "http://127.0.0.1:9", "api_key": "t0ken-of-nobody", "timeout": "2"}
    ckan_config.update({f"{PROFILE}away.{name}": value for name, value in options.items()})
    result = run("plan", code=1)
    assert f"plain create {dataset['name']}" in result.stdout and "away: " in result.stderr
    assert set(as_json(run("plan", "--json", code=1))["failed"]) == {"away"}


# -- status, retry, approve


@pytest.mark.usefixtures("two")
def test_status(run: Any) -> None:
    """How the targets are, and each failure with what to do."""
    failed = make_dataset(name="trees")
    add_failure(failed)
    add_copy(make_dataset())
    add_target(site_url="http://odp.example", checked=NOW, down_since=NOW, cause="unreachable", error="refused")
    shown = run("status").stdout
    assert "odp: http://127.0.0.1:9\n" in shown and "other: http://127.0.0.1:9\n" in shown
    assert "fails since 2026-03-01 12:00 UTC: The target cannot be reached. refused" in shown
    assert "identity: http://odp.example, asked 2026-03-01 12:00 UTC" in shown and "it was never asked" in shown
    assert "datasets: 1 failed, 1 synced" in shown
    assert "failed: trees (1 attempts since 2026-03-01 12:00 UTC)" in shown
    assert "The target does not take the dataset as it is. title: Missing value" in shown and "to do: Look at" in shown
    assert "other" not in run("status", "--profile", "odp").stdout
    first, second = as_json(run("status", "--json"))
    assert (first["profile_id"], first["numbers"]["failed"], first["troubles"][0]["cause"]) == ("odp", 1, "refused")
    assert second["troubles"] == [] and "t0ken" not in run("status", "--json").output


@pytest.mark.usefixtures("two")
def test_status_of_many_failures(run: Any) -> None:
    """Only so many are explained, and how many more there are is said."""
    for _ in range(3):
        add_failure(make_dataset())
    shown = run("status", "--limit", "2").stdout
    assert shown.count(" attempts since ") == 2 and "… and 1 more: --limit 3" in shown
    assert "…" not in run("status", "--limit", "0").stdout


@pytest.mark.usefixtures("two")
def test_status_of_a_dataset(run: Any) -> None:
    """At each target: whether it is selected, where its copy is, and what waits."""
    dataset = make_dataset()
    add_copy(dataset, target_name="trees")
    add_row(dataset, attempts=2, cause="timeout", error="10 s")
    shown = run("status", dataset["name"]).stdout
    assert "odp: waiting\n  selected\n" in shown and "http://127.0.0.1:9/dataset/trees" in shown
    assert "2 attempts failed, due 2026-03-01 12:00 UTC" in shown and "takes too long" in shown
    assert "other: not there\n  not selected: syndication flag disabled on package" in shown
    found = as_json(run("status", dataset["id"], "--json", "-p", "odp"))
    assert [each["entry"]["target_url"] for each in found] == ["http://127.0.0.1:9/dataset/trees"]


@pytest.mark.usefixtures("two")
def test_retry(run: Any, sent: list[str]) -> None:
    """All that failed, or only some, is tried again; so is a target that is left alone."""
    first, second, third = (make_dataset() for _ in range(3))
    for dataset in (first, second):
        add_failure(dataset)
    add_failure(third, "other")
    add_target(failures=3, down_since=NOW, not_before=NOW)
    assert run("retry", "-p", "odp", first["name"]).stdout == "1 datasets are tried again\n" and sent == ["odp"]
    assert {each: row.state for each, row in rows().items()} == {first["id"]: "waiting", second["id"]: "failed"}
    assert targets.get("odp").not_before is None
    assert as_json(run("retry", "--json")) == {"retried": 2}
    assert rows()[second["id"]].state == rows("other")[third["id"]].state == "waiting"


@pytest.mark.usefixtures("two")
def test_approve(run: Any, sent: list[str]) -> None:
    """What is held at one target goes on, and for some hours nothing is held there; other targets stay as they are."""
    held, failed = make_dataset(), make_dataset()
    add_row(held, state="held", cause="held")
    add_row(held, "other", state="held", cause="held")
    add_failure(failed)
    shown = run("approve", "odp").stdout
    assert shown == "1 copies are taken away; more may follow for 24 hours\n" and sent == ["odp"]
    assert rows()[held["id"]].state == "waiting" and rows()[failed["id"]].state == "failed"
    assert rows("other")[held["id"]].state == "held"
    (found,) = status.targets("odp")
    assert found.approved_until is not None and "may be taken away until" in run("status").stdout
    assert as_json(run("approve", "other", "--hours", "2", "--json")) == {"approved": 1, "hours": 2.0}


# -- reconcile


@pytest.mark.usefixtures("plain")
def test_reconcile(run: Any, target: Target, sent: list[str]) -> None:
    """What differs is shown, with 2; mending asks for it; then nothing differs."""
    dataset = make_dataset(title="Trees")
    run("sync", "-f")
    assert run("reconcile").stdout == "plain: 1 recorded, 1 at the target; nothing differs\n"
    target.call("package_patch", id=copies.get(dataset["id"], "plain").target_id, title="Bushes")  # type: ignore[union-attr]
    shown = run("reconcile", "plain", code=2).stdout
    assert f"plain edited {dataset['name']}: changed at the target since it was written (title)" in shown and sent == []
    found = as_json(run("reconcile", "--json", "--fix"))
    assert found["failed"] == {} and found["results"][0]["counts"] == {"edited": 1} and sent == ["plain"]
    assert found["results"][0]["asked"] == 1 and found["results"][0]["discrepancies"][0]["fields"] == ["title"]
    run("sync", "-f")
    run("reconcile")


@pytest.mark.usefixtures("plain")
def test_reconcile_that_fails(run: Any, target: Target) -> None:
    """A target that is away, or has lost too much, ends with 1 and says what to do."""
    for _ in range(11):
        make_dataset()
    run("sync", "-f")
    target.proxy.fail("package_search", target_proxy.status(500))
    assert "500" in run("reconcile", code=1).stderr
    target.empty()
    assert "--accept-target" in run("reconcile", "plain", "--fix", code=1).stderr
    assert "11 are handed to the workers" in run("reconcile", "plain", "--fix", "--accept-target").stdout
    assert reconcile.due_profiles() == []


@pytest.mark.usefixtures("plain")
def test_reconcile_by_the_workers(ckan_config: Any, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep sends one message for a target that is due, whose copies do nothing."""
    messages: list[tuple[Any, ...]] = []
    monkeypatch.setattr(tasks, "send", lambda task, *args, **_: messages.append((task.name, *args)))
    dataset = make_dataset()
    ckan_config["ckanext.syndicate.reconcile_hours"] = 1
    for _ in range(2):
        tasks.sweep()
    comparisons = [message for message in messages if message[0] == "syndicate.reconcile"]
    assert [message[1] for message in comparisons] == ["plain"]
    for _ in range(2):
        tasks.compare(*comparisons[0][1:])
    assert set(rows("plain")) == {dataset["id"]} and target.proxy.asked("status_show") == 1
    assert messages[-1][:2] == ("syndicate.push", "plain")


# -- progress


@pytest.mark.usefixtures("two")
def test_progress_is_for_terminals(run: Any) -> None:
    """Nothing but results is printed where no person looks on."""
    make_dataset()
    for command in (("check",), ("sync", "-t", "0.001"), ("status",)):
        assert run(*command).stderr == ""
