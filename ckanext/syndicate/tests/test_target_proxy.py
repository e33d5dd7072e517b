"""The proxy of the tests does what it says: a test that means to meet a fault meets it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from ckanext.harvest.tests.remote_ckan import RemotePortal, dataset
from ckanext.syndicate.tests import target_proxy as faults
from ckanext.syndicate.tests.target_proxy import TargetProxy


@pytest.fixture
def upstream() -> Iterator[RemotePortal]:
    with RemotePortal() as running:
        running.datasets = [dataset(1)]
        yield running


@pytest.fixture
def proxy(upstream: RemotePortal) -> Iterator[TargetProxy]:
    with TargetProxy(upstream.url) as running:
        yield running


def search(proxy: TargetProxy, **options: Any) -> requests.Response:
    url = f"{proxy.url}/api/3/action/package_search"
    return requests.get(url, params={"rows": 5}, timeout=1, allow_redirects=False, **options)


def test_it_passes_on(proxy: TargetProxy, upstream: RemotePortal) -> None:
    """Without a fault the target's answer comes, over a connection that is kept."""
    with requests.Session() as session:
        answers = [session.get(f"{proxy.url}/api/action/package_search", timeout=5) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [404] * 3, "the portal knows the other path only"
    assert search(proxy).json()["result"]["count"] == 1
    assert proxy.counts() == {"package_search": 4}
    assert proxy.writes() == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.hang, requests.ReadTimeout),
        (faults.hang_after, requests.ReadTimeout),
        (faults.slow(3), requests.ReadTimeout),
        (faults.reset, requests.ConnectionError),
        (faults.reset_after, requests.ConnectionError),
        (faults.cut_off, requests.exceptions.ChunkedEncodingError),
    ],
)
def test_no_answer(proxy: TargetProxy, upstream: RemotePortal, fault: faults.Fault, error: type[Exception]) -> None:
    """The client gets no whole answer once, and a good one the next time; the target was asked or not."""
    hits = proxy.fail("package_search", fault)
    with pytest.raises(error):
        search(proxy)
    assert hits() == 1
    asked = fault in (faults.hang_after, faults.reset_after, faults.cut_off)
    assert len(upstream.requests) == asked
    assert search(proxy).ok


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (faults.too_many(7), 429),
        (faults.status(500), 500),
        (faults.status_after(500), 500),
        (faults.html, 200),
        (faults.truncated, 200),
        (faults.redirect, 302),
        (faults.answers({"message": "No"}, 409), 409),
    ],
)
def test_bad_answers(proxy: TargetProxy, fault: faults.Fault, status: int) -> None:
    """The client gets an answer that is none, of the second call of this action."""
    proxy.fail("package_search", fault, skip=1)
    assert search(proxy).json()["success"]
    answer = search(proxy)
    assert answer.status_code == status
    if status == 200:
        with pytest.raises(ValueError):
            answer.json()
    if status == 429:
        assert answer.headers["Retry-After"] == "7"
    assert search(proxy).ok


def test_down(proxy: TargetProxy, upstream: RemotePortal) -> None:
    """While the target is down, kept connections are torn like new ones."""
    with requests.Session() as session:
        assert session.get(f"{proxy.url}/api/3/action/package_search", timeout=5).ok
        with proxy.down(), pytest.raises(requests.ConnectionError):
            session.get(f"{proxy.url}/api/3/action/package_search", timeout=5)
    assert len(upstream.requests) == 1
    assert search(proxy).ok


def test_changed_answers(proxy: TargetProxy) -> None:
    """A test may change what the target says."""
    proxy.fail("*", faults.changed(lambda result: result | {"count": 7}))
    assert search(proxy).json()["result"]["count"] == 7
