"""The shared session: one for a process and an address policy, and never one of another process."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any

import pytest

from ckanext.relay import session as shared
from ckanext.relay.errors import ConfigurationError
from ckanext.relay.http import BlockedUrl, GuardedSession
from ckanext.relay.session import session

# the plugins of test.ini declare the settings
pytestmark = pytest.mark.usefixtures("with_plugins")

NETWORKS = "ckanext.relay.allowed_networks"


@dataclass
class Server:
    """Answers each request, and counts the connections that the requests came over."""

    url: str
    connections: int = 0


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept

        def setup(self) -> None:
            super().setup()
            counted.connections += 1

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    listener.block_on_close = False  # the session keeps its connection open
    counted = Server(f"http://127.0.0.1:{listener.server_port}/")
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    yield counted
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.fixture(autouse=True)
def forget_the_session() -> Iterator[None]:
    """Each test begins without a session, and leaves none."""
    shared._session.cache_clear()
    yield
    shared._session.cache_clear()


def test_everybody_gets_the_same_session(server: Server) -> None:
    """So that all requests of a process to a server go over one connection."""
    first = session()
    for _ in range(3):
        assert session() is first
        assert session().get(server.url).status_code == 200
    assert server.connections == 1


def test_the_policy_of_the_portal_holds(server: Server, ckan_config: Any) -> None:
    """Another policy makes another session, which does not use the connections that the first one was allowed."""
    ckan_config[NETWORKS] = ["127.0.0.0/8"]
    first = session()
    first.get(server.url)
    ckan_config[NETWORKS] = []
    second = session()
    assert second is not first
    with pytest.raises(BlockedUrl):
        second.get(server.url)
    ckan_config[NETWORKS] = ["127.0.0.0/8"]
    assert session().policy == first.policy
    assert session().get(server.url).status_code == 200


def test_equal_settings_are_one_policy(ckan_config: Any) -> None:
    """Settings are read again for each call, which makes no new session as long as they say the same."""
    ckan_config[NETWORKS] = ["127.0.0.0/8"]
    first = session()
    ckan_config[NETWORKS] = ["127.0.0.0/8"]
    assert session() is first


def test_a_wrong_setting_is_named(ckan_config: Any) -> None:
    """Whoever asks for the session learns which network is none."""
    ckan_config[NETWORKS] = ["127.0.0.0/8", "nonsense"]
    with pytest.raises(ConfigurationError, match="nonsense"):
        session()


def test_a_fork_gets_its_own_session(server: Server) -> None:
    """It talks over a connection of its own, and leaves that of its parent as it was."""
    parents = session()
    parents.get(server.url)
    answers, questions = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_in_fork, args=(parents, server.url, questions))
    process.start()
    questions.close()  # else a child that dies early would not be noticed
    try:
        assert answers.recv() == {"parents": False, "same again": True, "statuses": [200, 200]}
    finally:
        process.join(10)
    assert process.exitcode == 0
    assert server.connections == 2
    assert session() is parents
    assert parents.get(server.url).status_code == 200
    assert server.connections == 2


def _in_fork(parents: GuardedSession, url: str, questions: Connection) -> None:
    own = session()
    statuses = [session().get(url).status_code for _ in range(2)]
    questions.send({"parents": own is parents, "same again": session() is own, "statuses": statuses})
