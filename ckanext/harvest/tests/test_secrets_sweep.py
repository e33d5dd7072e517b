"""No secret of a source configuration comes out anywhere: real portal, worker and beat, all that they say and keep.

All secrets here contain the same word, which is then looked for in everything, at the most talkative log level.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from ckanext.harvest.logic.action import get_actions
from ckanext.harvest.tests.flow import Site, emptied
from ckanext.harvest.tests.mail_server import MailServer
from ckanext.harvest.tests.remote_ckan import RemotePortal, Request, dataset
from ckanext.relay.devstack import portal as devstack_portal
from ckanext.relay.devstack.stack import Stack
from ckanext.relay.tests.waiting import wait_until

WORD = "hunter2"
#: As it goes over the wire for the URL below.
BASIC = base64.b64encode(f"reader:{WORD}-basic".encode()).decode()
CONFIG = {
    "api_key": f"{WORD}-api-key",
    "headers": [{"name": "Authorization", "value": f"Bearer {WORD}-nested"}, ["X-API-Key", f"{WORD}-pair"]],
    "proxy": f"http://proxy:{WORD}-proxy@proxy.example:3128/",
    "mirror": {"url": f"https://mirror.example/?token={WORD}-query"},
    "contact": f"Bearer {WORD}-value",
}

#: What anybody may read of the portal besides the actions of this extension.
CORE_ACTIONS: dict[str, list[dict[str, Any]]] = {
    "package_show": [{"id": "{source}"}, {"id": "{source}", "use_default_schema": True}],
    "package_search": [
        {"fq": "dataset_type:harvest"},
        {"fq": "dataset_type:harvest", "use_default_schema": True},
        {"fq": "dataset_type:harvest", "fl": "*"},
        {"q": WORD, "fq": "dataset_type:harvest"},
        {"q": "*:*"},
    ],
    "current_package_list_with_resources": [{}],
    "package_autocomplete": [{"q": "source"}],
    "organization_show": [{"id": "{organization}", "include_datasets": True}],
    "organization_list": [{"all_fields": True}],
    "package_activity_list": [{"id": "{source}"}],
    "organization_activity_list": [{"id": "{organization}"}],
    "recently_changed_packages_activity_list": [{}],
    "activity_show": [{"id": "{activity}", "include_data": True}],
    "activity_data_show": [{"id": "{activity}"}, {"id": "{activity}", "object_type": "package"}],
    "activity_diff": [{"id": "{activity}", "object_type": "package", "diff_type": "html"}],
    "user_show": [{"id": "quickstart", "include_datasets": True}],
    "status_show": [{}],
}
PAGES = [
    *("/harvest", "/harvest/{name}", "/harvest/about/{name}", "/harvest/admin/{name}", "/harvest/{name}/job"),
    *("/harvest/{name}/job/{job}", "/harvest/object/{object}", "/organization/{organization}", "/dataset"),
    *("/harvest/edit/{name}", "/dataset/activity/{name}", "/harvest/activity/{name}"),
]


@dataclass
class Swept:
    """A portal on which sources with secrets have been harvested, well and badly."""

    site: Site
    sources: list[dict[str, Any]]
    jobs: list[dict[str, Any]]
    organization: str
    tokens: dict[str, str]
    mails: list[tuple[str, str, str]]
    messages: bytearray
    #: how much of each log file is of others
    log_begin: dict[str, int]


def echo(request: Request, params: dict[str, str]) -> None:
    """Answer as a server does that refuses a key and repeats it."""
    request.send_json({"success": False, "error": {"message": f"Bad key {request.headers.get('Authorization')}"}})


@pytest.fixture(scope="module")
def talkative(stack: Stack) -> Iterator[None]:
    """Everything logs all that it can."""
    worker = stack.worker.command()
    with pytest.MonkeyPatch.context() as patch:
        loud = re.sub(r"level = (WARNING|INFO)", "level = DEBUG", devstack_portal.INI)
        # loggers that the configuration does not name are silenced by it if they are there already
        loud = loud.replace("keys = root,", "keys = root, urllib3, sqlalchemy,")
        for name in ("urllib3", "sqlalchemy"):
            loud += f"\n[logger_{name}]\nlevel = DEBUG\nhandlers =\nqualname = {name}\n"
        patch.setattr(devstack_portal, "INI", loud)
        patch.setattr(stack.worker, "command", lambda: ["DEBUG" if word == "INFO" else word for word in worker])
        yield
    stack.beat.stop()
    stack.worker.stop()
    stack.this.stop()


@pytest.fixture(scope="module")
def swept(stack: Stack, talkative: None) -> Iterator[Swept]:
    before = dict(stack.this.settings)
    begin = {path.name: path.stat().st_size for path in (stack.state / "log").glob("*.log")}
    with MailServer() as mail_server, four_portals() as remotes, monitor(stack) as messages:
        stack.this.settings |= {
            "smtp.server": mail_server.address,
            "smtp.mail_from": "portal@example.org",
            "ckan.harvest.status_mail.all": "true",
            "ckan.harvest.log_scope": "0",
            "ckan.harvest.log_level": "debug",
        }
        site = emptied(stack, "this")
        remotes[0].datasets = [dataset(1), dataset(2, name="")]
        remotes[1].datasets = [dataset(3), dataset(4)]
        remotes[2].instead = remotes[3].instead = echo
        people, organization = make_people(site)
        logins = (f"reader:{WORD}-basic@", "") * 2
        sources = [
            add_source(site, people["owner"], organization, remote.url, login)
            for remote, login in zip(remotes, logins, strict=True)
        ]
        jobs = [site.harvest(source["id"]) for source in sources]
        wait_until(lambda: len(mail_server.mails) >= len(jobs), 30)
        yield Swept(site, sources, jobs, organization, people, mail_server.mails, messages, begin)
    stack.this.settings.clear()
    stack.this.settings.update(before)


@contextlib.contextmanager
def four_portals() -> Iterator[list[RemotePortal]]:
    """Two that answer well, two that fail; of each kind, one wants a password and one a key."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(RemotePortal()) for _ in range(4)]


class monitor:  # noqa: N801  (used as a function)
    """Collects everything that is sent to the broker."""

    def __init__(self, stack: Stack) -> None:
        address = urlsplit(stack.valkey.url("this"))
        self.connection = socket.create_connection((address.hostname, address.port))
        self.seen = bytearray()

    def __enter__(self) -> bytearray:
        self.connection.sendall(b"MONITOR\r\n")
        threading.Thread(target=self._listen, daemon=True).start()
        return self.seen

    def _listen(self) -> None:
        while data := self.connection.recv(65536):
            self.seen += data

    def __exit__(self, *_: object) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)


def make_people(site: Site) -> tuple[dict[str, str], str]:
    """Make users and return their API tokens, and the organization of the sources."""
    tokens = {"anonymous": ""}
    for name in ("owner", "member", "stranger"):
        site.call("user_create", name=name, email=f"{name}@example.org", password="correct horse battery")
        tokens[name] = site.call("api_token_create", user=name, name="sweep")["token"]
    own = [{"name": "owner", "capacity": "admin"}, {"name": "member", "capacity": "member"}]
    site.call("organization_create", name="own-organization", users=own)
    site.call("organization_create", name="elsewhere", users=[{"name": "stranger", "capacity": "editor"}])
    return tokens, "own-organization"


def add_source(site: Site, token: str, organization: str, url: str, login: str = "") -> dict[str, Any]:
    """Let the owner register a source, as people do it through the API."""
    name = f"source-{urlsplit(url).port}"
    config = {key: value for key, value in CONFIG.items() if not (login and key == "api_key")}
    fields = {"name": name, "title": "A source", "url": url.replace("://", f"://{login}"), "source_type": "ckan"}
    fields |= {"owner_org": organization, "config": json.dumps(config)}
    answer = post(site, "harvest_source_create", fields, token)
    assert answer.ok, answer.text
    return answer.json()["result"]


def post(site: Site, action: str, data: dict[str, Any], token: str) -> requests.Response:
    url = f"{site.stack.this.url}/api/3/action/{action}"
    return requests.post(url, json=data, headers={"Authorization": token} if token else {}, timeout=60)


def finds(text: str | bytes) -> list[str]:
    """Return what is around each secret in a text."""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    pattern = f"{WORD}-|{re.escape(BASIC)}"
    return [text[max(0, found.start() - 100) : found.end() + 40] for found in re.finditer(pattern, text)]


def ids(swept: Swept, number: int) -> dict[str, str]:
    """Return what stands in the braces of the parameters above, for one of the sources."""
    source = swept.sources[number]
    site = swept.site
    activity = site.rows("SELECT id FROM activity WHERE object_id = %s", source["id"])
    objects = site.rows("SELECT id FROM harvest_object WHERE harvest_source_id = %s", source["id"])
    return {
        "source": source["id"],
        "name": source["name"],
        "organization": swept.organization,
        "job": swept.jobs[number]["id"],
        "activity": activity[0][0],
        "object": objects[0][0] if objects else "none",
    }


def filled(data: dict[str, Any], known: dict[str, str]) -> dict[str, Any]:
    return {key: value.format(**known) if isinstance(value, str) else value for key, value in data.items()}


def test_the_harvests_were_what_this_is_about(swept: Swept) -> None:
    """Two went well, with the key; two failed, and the remote portal repeated the key; the owner sees the secrets."""
    assert [job["stats"]["added"] for job in swept.jobs] == [2, 2, 0, 0]
    assert [job["stats"]["errored"] for job in swept.jobs] == [0, 0, 1, 1]
    for job in swept.jobs[2:]:
        assert swept.site.report(job["id"])[0].count("Bad key") == 1
    for number, source in enumerate(swept.sources):
        shown = post(swept.site, "harvest_source_show", {"id": source["id"]}, swept.tokens["owner"]).json()["result"]
        assert json.loads(shown["config"])["headers"] == CONFIG["headers"]
        assert (f"{WORD}-basic" in shown["url"]) == (number in (0, 2))


@pytest.mark.parametrize("who", ["anonymous", "member", "stranger"])
def test_no_action_tells(swept: Swept, who: str) -> None:
    """Whoever may not edit a source finds no secret of it in any answer, be it an error."""
    own: list[dict[str, Any]] = [
        *({"id": "{source}"}, {"id": "{job}"}, {"id": "{object}"}),
        *({"source_id": "{source}"}, {"url": "{url}"}, {}),
    ]
    calls = dict.fromkeys(get_actions(), own) | CORE_ACTIONS
    seen = 0
    for number in range(len(swept.sources)):
        known = ids(swept, number) | {"url": swept.sources[number]["url"]}
        for action, parameters in calls.items():
            for data in parameters:
                given = filled(data, known)
                answer = post(swept.site, action, given, swept.tokens[who]).text
                assert finds(answer.replace(json.dumps(given.get("url"))[1:-1], "")) == [], (action, given)
                seen += len(answer)
    assert seen > 10_000


@pytest.mark.parametrize("who", ["anonymous", "member", "stranger"])
def test_no_page_tells(swept: Swept, who: str) -> None:
    """Nor on any page."""
    headers = {"Authorization": swept.tokens[who]} if swept.tokens[who] else {}
    for number in range(len(swept.sources)):
        for page in PAGES:
            url = swept.site.stack.this.url + page.format(**ids(swept, number))
            assert finds(requests.get(url, headers=headers, timeout=60).text) == [], page


def test_no_mail_tells(swept: Swept) -> None:
    """Mails go to people who may not even be users."""
    assert len(swept.mails) >= len(swept.jobs)
    assert any("Bad key" in text for _, _, text in swept.mails)
    assert [finds(f"{subject} {text}") for _, subject, text in swept.mails if finds(f"{subject} {text}")] == []


def test_no_log_line_tells(swept: Swept) -> None:
    """Neither of the web server nor of worker and beat, whoever logs, not even the statements of the database."""
    files = (swept.site.stack.state / "log").glob("*.log")
    logs = {
        file.name: file.read_bytes()[swept.log_begin.get(file.name, 0) :].decode(errors="replace") for file in files
    }
    worker = logs["worker.log"]
    assert "DEBUG" in worker and "urllib3.connectionpool" in worker and "INSERT INTO" in worker
    assert "INSERT INTO harvest_source" in logs["portal-this.log"]
    assert {name: finds(text)[:3] for name, text in logs.items() if finds(text)} == {}


def test_no_search_document_tells(swept: Swept) -> None:
    """Whoever can reach Solr reads all that is stored."""
    url = f"{swept.site.stack.solr.core('this')}/select"
    answer = requests.get(url, params={"q": "*:*", "rows": "1000", "fl": "*"}, timeout=60)
    assert answer.json()["response"]["numFound"] >= len(swept.sources)
    assert finds(answer.text) == []
    for field_name in ("text", "url", "config", "status"):
        found = requests.get(url, params={"q": f'{field_name}:"{WORD}"', "rows": "10"}, timeout=60).json()
        assert found.get("response", {}).get("numFound", 0) == 0, field_name


def test_no_message_tells(swept: Swept) -> None:
    """Neither while it is on its way nor in what stays in the broker: bodies are base64, which is unpacked."""
    messages = bytes(swept.messages)
    bodies = [base64.b64decode(body) for body in re.findall(rb'body\\": \\"([\w+/=]+)', messages)]
    assert any(swept.jobs[0]["id"].encode() in body for body in bodies)
    assert finds(messages) == []
    assert [finds(body) for body in bodies if finds(body)] == []


def test_no_other_table_tells(swept: Swept) -> None:
    """Secrets are where they belong, in the source and its dataset, and in no other row of the database."""
    own = {"harvest_source", "package", "package_extra"}
    tables = swept.site.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {"harvest_gather_error", "harvest_log", "harvest_object", "activity"} <= {name for (name,) in tables}
    for (name,) in tables:
        if name not in own:
            rows = swept.site.rows(f'SELECT row_to_json(t)::text FROM "{name}" t')
            assert [finds(row) for (row,) in rows if finds(row)] == [], name
    assert swept.site.rows("SELECT count(*) FROM harvest_log WHERE level = 'DEBUG'")[0][0] > 0
    kept = swept.site.rows("SELECT config FROM harvest_source")
    assert all(finds(config) for (config,) in kept)


def test_no_command_tells(swept: Swept) -> None:
    """Commands run as a sysadmin, but what they print ends in mails of cron and in terminals of others."""
    name = swept.sources[0]["name"]
    for command in (
        ("source", "show", name),
        ("source", "show", name, "--json"),
        ("sources", "all"),
        ("sources", "all", "--json"),
        ("jobs",),
        ("jobs", "--json"),
        ("doctor",),
        ("doctor", "--json"),
    ):
        done = swept.site.ckan("harvester", *command)
        assert finds(done.stdout + done.stderr) == [], command


def test_no_repr_tells() -> None:
    """A row that ends up in a message or a traceback shows no secret."""
    from ckanext.harvest.model import HarvestGatherError, HarvestJob, HarvestObject, HarvestObjectError, HarvestSource

    source = HarvestSource(url=f"http://reader:{WORD}-basic@h/", config=json.dumps(CONFIG), type="ckan")
    job = HarvestJob(source=source)
    obj = HarvestObject(job=job, guid="one", content=json.dumps(CONFIG))
    rows = [source, job, obj, HarvestGatherError(job=job, message="m"), HarvestObjectError(object=obj, message="m")]
    for row in rows:
        assert finds(f"{row!r} {row}") == [], type(row)
