"""Who may call which action over the API, by GET and by POST."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ckanext.relay.tests.access.actions import CALLS, Call
from ckanext.relay.tests.access.roles import ANYBODY, ROLES, wrong
from ckanext.relay.tests.access.tables import Tables
from ckanext.relay.tests.access.visitor import Visitors
from ckanext.relay.tests.access.world import World

OURS = ("ckanext.archiver.", "ckanext.harvest.", "ckanext.relay.", "ckanext.report.", "ckanext.syndicate.")


def our_actions() -> dict[str, Any]:
    """Return the actions of our plugins, by name."""
    import ckan.plugins as p

    found = {}
    for plugin in p.PluginImplementations(p.IActions):
        if f"{type(plugin).__module__}.".startswith(OURS):
            found.update(plugin.get_actions())
    return found


def test_the_table_names_every_action(flask_app: Any) -> None:
    """It knows each action of the plugins, none that is not there, and which of them may be called by GET."""
    ours = our_actions()
    assert {call.action for call in CALLS} == set(ours)
    reading = {name for name, action in ours.items() if getattr(action, "side_effect_free", False)}
    assert {call.action for call in CALLS if call.reads} == reading


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_who_may_call(call: Call, world: World, visitors: Visitors, tables: Tables) -> None:
    """Whom the contract names may; anybody else is refused, and nothing has changed."""
    data = world.fill(call.data)
    said = {role: _answer(visitors, role, call, data) for role in ROLES if role not in call.allowed}
    assert wrong(said, call.allowed, call.status) == {}
    assert tables.restore() == []
    for role in ROLES:
        if role in call.allowed:
            said[role] = _answer(visitors, role, call, data)
            tables.restore()
    assert wrong(said, call.allowed, call.status) == {}


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_by_get(call: Call, world: World, visitors: Visitors, tables: Tables) -> None:
    """An action that writes is called by POST only; one that reads changes nothing, whoever calls it, and shows what is
    private to those only for whom it is."""
    data = {key: value if isinstance(value, str) else json.dumps(value) for key, value in world.fill(call.data).items()}
    roles = ROLES if call.reads else ("anonymous", "sysadmin")
    answers = {role: visitors.ask(role, "GET", f"/api/3/action/{call.action}", query_string=data) for role in roles}
    said = {role: answer.status_code for role, answer in answers.items()}
    assert (wrong(said, call.allowed, call.status) if call.reads else wrong(said, ANYBODY, 400)) == {}
    assert {role: leaks for role, each in answers.items() if (leaks := world.leaks(role, each.text))} == {}
    assert tables.restore() == []


def _answer(visitors: Visitors, role: str, call: Call, data: dict[str, Any]) -> int:
    answer = visitors.ask(role, "POST", f"/api/3/action/{call.action}", json=data)
    if answer.status_code == 409:
        print(call, answer.text)
    return int(answer.status_code)
