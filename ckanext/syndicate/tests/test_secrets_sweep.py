"""No token comes out anywhere: real portals, all that they log, keep, send and show while they push well and badly.

What is swept is not only what this module does: all tests of the package share the portals, their logs and tables.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
import requests

from ckanext.harvest.tests.flow import Site, wait_until
from ckanext.harvest.tests.test_secrets_sweep import monitor
from ckanext.syndicate.logic.action import get_actions
from ckanext.syndicate.tests import target_proxy as faults
from ckanext.syndicate.tests.flow import create, pushed
from ckanext.syndicate.tests.portals import WORD, Pair, hurry, through
from ckanext.syndicate.types import Profile

#: As it goes over the wire.
BASIC = base64.b64encode(f"reader:{WORD}-basic".encode()).decode()
PROFILES = ("plain", "echoed", "basic")


@dataclass
class Swept:
    """A portal that has pushed with tokens, well and badly."""

    site: Site
    #: of the sysadmin at the target: a real token, by reference
    token: str
    datasets: list[str]
    messages: bytearray
    #: what was said of the others, by profile
    errors: dict[str, str]

    def finds(self, text: str | bytes) -> list[str]:
        """Return what is around each secret in a text. Of a token that was cut off, a part is enough."""
        text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        _, payload, signature = self.token.split(".")
        parts = "|".join(map(re.escape, (BASIC, payload[8:32], signature[:16], signature[-16:])))
        return [text[max(0, found.start() - 100) : found.end() + 40] for found in re.finditer(f"{WORD}-|{parts}", text)]


@pytest.fixture(scope="module")
def swept(_two_portals: Pair) -> Iterator[Swept]:
    site, proxy = _two_portals.a, _two_portals.to_b
    hurry(site)
    with monitor(site.stack) as messages:
        good = create(site)
        pushed(site, _two_portals.b, good["id"])
        for action in ("package_revise", "package_update"):
            proxy.fail(action, faults.wrong_token)
        site.call("package_patch", id=good["id"], title="Another title")
        wait_until(lambda: proxy.asked("package_update"), 20)
        through(site, hurried=True)
        proxy.fail("*", faults.echo, times=1000)
        datasets = [good["id"], *(create(site, f"syndicate_{profile}")["id"] for profile in PROFILES[1:])]
        failed = "SELECT profile_id, error FROM syndication_outbox WHERE cause IS NOT NULL"
        try:
            wait_until(lambda: len(site.rows(failed)) == 2, 20)
            errors = dict(site.rows(failed))
            yield Swept(site, _two_portals.b.portal.api_token, datasets, messages, errors)
        finally:
            for dataset_id in datasets[1:]:  # whoever pushes all there is would fail with them
                site.call("dataset_purge", id=dataset_id)
            site.execute("DELETE FROM syndication_outbox")
            proxy.well()


def test_the_pushes_were_what_this_is_about(swept: Swept) -> None:
    """One went well, with a token by reference; two failed, and the target repeated what it was sent."""
    assert {profile for profile, error in swept.errors.items() if "Bad headers" in error} == {"echoed", "basic"}
    assert swept.finds(f"a {WORD}-x") and swept.finds(swept.token) and swept.finds(swept.token[:80])


def test_no_table_tells(swept: Swept, pair: Pair) -> None:
    """In no row of either database."""
    for site in (pair.a, pair.b):
        tables = [name for (name,) in site.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        assert {"syndication_target", "syndication_outbox", "syndication_log", "activity"} <= set(tables)
        for name in tables:
            rows = site.rows(f'SELECT row_to_json(t)::text FROM "{name}" t')
            assert [swept.finds(row) for (row,) in rows if swept.finds(row)] == [], name


def test_no_log_line_tells(swept: Swept) -> None:
    """Neither of the web servers nor of the workers and their schedulers, whoever logs, at the level DEBUG."""
    files = (swept.site.stack.state / "log").glob("*.log")
    # CKAN itself logs the first ten characters of a token that it does not know
    known = re.compile(r"Received API Token: \S{10}\[\.\.\.\]")
    logs = {file.name: known.sub("", file.read_text(errors="replace")) for file in files}
    assert "DEBUG" in logs["worker.log"] and "urllib3.connectionpool" in logs["worker.log"]
    assert {name: swept.finds(text)[:3] for name, text in logs.items() if swept.finds(text)} == {}


def test_no_message_tells(swept: Swept) -> None:
    """Neither on its way to the workers nor in what stays in Redis: bodies are base64, which is unpacked."""
    messages = bytes(swept.messages)
    bodies = [base64.b64decode(body) for body in re.findall(rb'body\\": \\"([\w+/=]+)', messages)]
    assert any(b"plain" in body for body in bodies)
    for text in (messages, *bodies):
        assert swept.finds(text) == []
    client = redis.Redis.from_url(swept.site.stack.valkey.url("this"))
    kept = [key + b" " + (client.dump(key) or b"") for key in client.scan_iter()]
    assert [swept.finds(each) for each in kept if swept.finds(each)] == []


def test_no_search_document_tells(swept: Swept) -> None:
    """Whoever can reach Solr reads all that is stored."""
    for core in ("this", "source"):
        url = f"{swept.site.stack.solr.core(core)}/select"
        answer = requests.get(url, params={"q": "*:*", "rows": "10000", "fl": "*"}, timeout=60)
        assert answer.json()["response"]["numFound"]
        assert swept.finds(answer.text) == []


def test_no_action_tells(swept: Swept) -> None:
    """In no answer of any action of the plugin, not even to a sysadmin."""
    given: list[dict[str, Any]] = [{}]
    for dataset_id, profile in zip(swept.datasets, PROFILES, strict=True):
        given.append({"id": dataset_id, "profile": profile, "topic": "update"})
    seen = 0
    for action in get_actions():
        for data in given:
            for token in (swept.site.portal.api_token, ""):
                url = f"{swept.site.portal.url}/api/3/action/{action}"
                headers = {"Authorization": token} if token else {}
                answer = requests.post(url, json=data, headers=headers, timeout=60).text
                assert swept.finds(answer) == [], (action, data)
                seen += len(answer)
    assert seen > 1000


def test_no_page_tells(swept: Swept) -> None:
    """On no page, not even those for sysadmins."""
    pages = ["/", "/dataset", "/ckan-admin/syndicate/dashboard", "/ckan-admin/config"]
    pages += [f"/ckan-admin/syndicate/profile/{profile}" for profile in PROFILES]
    pages += [f"/dataset/{dataset_id}" for dataset_id in swept.datasets]
    for page in pages:
        for headers in ({}, {"Authorization": swept.site.portal.api_token}):
            answer = requests.get(swept.site.portal.url + page, headers=headers, timeout=60)
            assert answer.status_code in (200, 403), page
            assert swept.finds(answer.text) == [], page


@pytest.mark.parametrize(
    "command",
    [
        "syndicate status --json",
        "syndicate doctor --json",
        "syndicate plan --profile basic --json",
        "config search ckanext.syndicate* --with-current --with-default",
    ],
)
def test_no_command_tells(swept: Swept, command: str) -> None:
    """Commands run as a sysadmin, but what they print ends in mails of cron and in terminals of others."""
    done = swept.site.ckan(*command.split())
    assert "Traceback" not in done.stderr
    assert "Usage:" not in done.stderr
    assert swept.finds(done.stdout + done.stderr) == []


def test_no_repr_tells() -> None:
    """A profile that ends up in a message or a traceback shows neither token nor password."""
    profile = Profile("one", ckan_url=f"http://reader:{WORD}-basic@target.example/", api_key=f"{WORD}-token")
    told = f"{profile!r} {profile} {[profile]}"
    assert f"{WORD}-" not in told
