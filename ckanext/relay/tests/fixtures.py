"""Fixtures for the tests of whatever fetches; everything stays on the loopback interface."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ckanext.relay.tests.ftp_server import FtpServer
from ckanext.relay.tests.servers import Certificates, Names, Server, log_of_connections, table_of_names


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def other() -> Iterator[Server]:
    """Another port, and so another origin."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def ftp() -> Iterator[FtpServer]:
    server = FtpServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Names that resolve as written here: to the next list of addresses at each look-up."""
    return table_of_names(monkeypatch)


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses to which anything tried to connect."""
    return log_of_connections(monkeypatch)
