"""The search index, a batch at a time, with a real Solr."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
import requests
from ckan import model
from ckan.tests import factories

from ckanext.relay import search
from ckanext.relay.search import SearchUnavailable


@pytest.fixture(autouse=True)
def portal(ckan_config: dict[str, Any], request: pytest.FixtureRequest) -> Iterator[None]:
    """An empty CKAN without any plugin."""
    ckan_config["ckan.plugins"] = ""
    for fixture in ("with_plugins", "clean_db", "clean_index"):
        request.getfixturevalue(fixture)
    yield
    model.Session.remove()


def found() -> list[str]:
    """Return the names of what a search finds."""
    results = tk.get_action("package_search")({"ignore_auth": True}, {"rows": 100})["results"]
    return sorted(dataset["name"] for dataset in results)


def unindexed(*names: str, **fields: Any) -> list[str]:
    """Create datasets that Solr knows nothing of, and return their ids."""
    context = {"ignore_auth": True, "user": factories.Sysadmin()["name"], "defer_commit": True}
    ids = [tk.get_action("package_create")(dict(context), {"name": name} | fields)["id"] for name in names]
    model.Session.commit()
    return ids


def commits() -> int:
    base, _, core = tk.config["solr_url"].rpartition("/")
    given = {"group": "core", "prefix": "UPDATE.updateHandler.commits", "wt": "json"}
    metrics = requests.get(f"{base}/admin/metrics", params=given, timeout=10).json()["metrics"]
    return int(metrics[f"solr.core.{core}"]["UPDATE.updateHandler.commits"]["count"])


def test_many_documents_and_one_commit() -> None:
    """A batch of datasets is found after one commit."""
    ids = unindexed("one", "two", "three")
    assert found() == []
    before = commits()
    assert search.index(ids) == {}
    assert found() == ["one", "three", "two"]
    assert commits() - before == 1


def test_a_dataset_that_is_gone_is_passed_over() -> None:
    """The others are indexed."""
    ids = unindexed("one", "two")
    model.Package.get("one").purge()
    model.Session.commit()
    assert search.index([*ids, "no-such-dataset"]) == {}
    assert found() == ["two"]


def test_a_document_that_solr_refuses() -> None:
    """It is named with Solr's reason, and takes no other with it."""
    [refused] = unindexed("refused", extras=[{"key": "immense", "value": "x" * 40_000}])
    ids = unindexed("one", "two")
    answer = search.index([ids[0], refused, ids[1]])
    assert set(answer) == {refused}
    assert "immense" in answer[refused]
    assert len(answer[refused]) <= 2000
    assert found() == ["one", "two"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/solr/ckan", "http://127.0.0.1:9/solr/none"])
def test_solr_is_away(ckan_config: dict[str, Any], url: str) -> None:
    """It is an error that passes, and not one of any document."""
    ids = unindexed("one")
    search.require()
    solr, ckan_config["solr_url"] = ckan_config["solr_url"], url
    for call in (search.require, lambda: search.index(ids), lambda: search.index([])):
        with pytest.raises(SearchUnavailable) as caught:
            call()
        assert not caught.value.permanent
    ckan_config["solr_url"] = solr
    assert search.index(ids) == {}
    assert found() == ["one"]


def test_a_core_that_is_not_there(ckan_config: dict[str, Any]) -> None:
    """A Solr that has no such core is not available."""
    base, _, _ = ckan_config["solr_url"].rpartition("/")
    ckan_config["solr_url"] = f"{base}/no-such-core"
    with pytest.raises(SearchUnavailable):
        search.index(unindexed("one"))


def test_deferred_commits() -> None:
    """What CKAN sends to Solr while the block runs is committed by the next batch."""
    before = commits()
    with search.deferred_commits():
        factories.Dataset(name="one")
        factories.Dataset(name="two")
        assert commits() == before
        assert found() == []
    search.index([])
    assert found() == ["one", "two"]
    assert commits() - before == 1


@pytest.mark.parametrize("setting", [True, False])
def test_the_setting_is_put_back(ckan_config: dict[str, Any], setting: bool) -> None:
    """Also after an error."""
    ckan_config["ckan.search.solr_commit"] = setting
    with pytest.raises(LookupError), search.deferred_commits():
        assert ckan_config["ckan.search.solr_commit"] is False
        raise LookupError
    assert ckan_config["ckan.search.solr_commit"] is setting


def test_indexing_leaves_ckans_own_indexing_as_it_was() -> None:
    """After a batch, and after one that failed, CKAN indexes by itself again."""
    search.index(unindexed("one"))
    factories.Dataset(name="two")
    assert found() == ["one", "two"]
