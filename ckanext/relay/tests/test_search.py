"""The search index, a batch at a time, with a real Solr."""

from __future__ import annotations

import contextlib
import datetime
import json
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
import requests
import sqlalchemy as sa
from ckan import model
from ckan.lib.search.query import PackageSearchQuery
from ckan.tests import factories

from ckanext.relay import ckan_211, search
from ckanext.relay.search import SearchUnavailable
from ckanext.relay.tests.solr import solr_at

ONE = "6d9f1e40-9b1c-4b7e-8f43-0c8f4fd1d6a1"
needs_ckan_212 = pytest.mark.skipif(ckan_211.RUNS, reason="CKAN 2.11 indexes when the session commits")


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


@contextlib.contextmanager
def saving(action: str, **dataset: Any) -> Iterator[search.Documents]:
    """Save a dataset as the harvest does; yields its document, for index(), once it is committed."""
    documents: search.Documents = {}
    context = {
        "ignore_auth": True,
        "user": factories.Sysadmin()["name"],
        "defer_commit": True,
        "return_id_only": True,
    }
    with search.deferred_commits():
        with search.saved(dataset["id"], documents):
            tk.get_action(action)(context, dataset)
        model.Session.commit()
        yield documents


def unindexed(*names: str, **fields: Any) -> list[str]:
    """Create datasets that Solr knows nothing of, and return their ids."""
    context = {"ignore_auth": True, "user": factories.Sysadmin()["name"], "defer_commit": True}
    ids = [str(uuid.uuid4()) for _ in names]
    with search.deferred_commits():
        for package_id, name in zip(ids, names, strict=True):
            with search.saved(package_id, {}):
                tk.get_action("package_create")(dict(context), {"id": package_id, "name": name} | fields)
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
def test_solr_is_away(url: str) -> None:
    """It is an error that passes, and not one of any document."""
    ids = unindexed("one")
    search.require()
    with solr_at(url):
        for call in (search.require, lambda: search.index(ids), lambda: search.index([])):
            with pytest.raises(SearchUnavailable) as caught:
                call()
            assert not caught.value.permanent
    assert search.index(ids) == {}
    assert found() == ["one"]


def test_a_core_that_is_not_there() -> None:
    """A Solr that has no such core is not available."""
    base, _, _ = tk.config["solr_url"].rpartition("/")
    ids = unindexed("one")
    with solr_at(f"{base}/no-such-core"), pytest.raises(SearchUnavailable):
        search.index(ids)


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


def test_commits_are_deferred_for_the_block_only() -> None:
    """Not for what follows it, also after an error, nor for what another thread saves meanwhile."""
    with pytest.raises(LookupError), search.deferred_commits():
        factories.Dataset(name="one")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(save_elsewhere, "two").result(60)
        assert found() == ["one", "two"]
        raise LookupError
    factories.Dataset(name="three")
    assert found() == ["one", "three", "two"]


def test_who_saves_and_for_whom_is_asked_once(request: pytest.FixtureRequest) -> None:
    """While a batch is saved; what changed meanwhile, or was taken away, is not what it was."""
    user, group = factories.User(name="alice"), factories.Group(name="lakes")
    model.Session.remove()
    statements: list[str] = []

    def note(*arguments: Any) -> None:
        statements.append(arguments[2])

    sa.event.listen(model.meta.engine, "before_cursor_execute", note)
    request.addfinalizer(lambda: sa.event.remove(model.meta.engine, "before_cursor_execute", note))
    with search.deferred_commits():
        for _ in range(3):
            for reference in (user["id"], user["name"]):
                assert model.User.get(reference).id == user["id"]
            assert model.Group.get(group["id"]).name == "lakes"
        assert len(statements) == 3
        assert model.User.get(None) is model.User.get("nobody") is model.Group.get("nothing") is None
        model.User.get(user["id"]).name = "bob"
        model.Session.commit()
        assert model.User.get("alice") is None and model.User.get("bob").id == user["id"]
        model.Session.delete(model.User.get("bob"))
        model.Session.commit()
        assert model.User.get("bob") is None


def save_elsewhere(name: str) -> None:
    factories.Dataset(name=name)
    model.Session.remove()


def test_indexing_in_two_threads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever ends first, each sends its own documents, and afterwards CKAN indexes by itself in both."""
    ids = unindexed("one"), unindexed("two")
    together = threading.Barrier(2, timeout=60)
    leaves_first = threading.Event()
    real = ckan_211.index_update_package

    def index_update_package(context: Any, package_id: str, defer_commit: bool = False) -> None:
        together.wait()  # both are in the middle of it
        real(context, package_id, defer_commit)
        together.wait()
        if [package_id] == ids[1]:
            assert leaves_first.wait(60)

    def index(package_ids: list[str]) -> None:
        assert search.index(package_ids) == {}
        leaves_first.set()
        model.Session.remove()

    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(ckan_211, "index_update_package", index_update_package)
        for running in [pool.submit(index, each) for each in ids]:
            running.result(60)
    assert found() == ["one", "two"]
    save_elsewhere("three")
    assert found() == ["one", "three", "two"]


def test_indexing_leaves_ckans_own_indexing_as_it_was() -> None:
    """After a batch, and after one that failed, CKAN indexes by itself again."""
    search.index(unindexed("one"))
    factories.Dataset(name="two")
    assert found() == ["one", "two"]


def shown(package_id: str) -> dict[str, Any]:
    return tk.get_action("package_show")({"ignore_auth": True, "use_cache": False}, {"id": package_id})


def titles() -> list[str]:
    """Return the titles of what a search finds, as Solr and as its cached dictionaries have them."""
    answer = tk.get_action("package_search")({"ignore_auth": True}, {"fl": "title,validated_data_dict,id"})
    return sorted(dataset["title"] for dataset in answer["results"])


@needs_ckan_212
def test_a_document_made_while_saving_is_the_one_that_ckan_makes() -> None:
    """What Solr holds of a dataset is the same, whoever indexes it."""
    fields = {
        "tags": [{"name": "air"}],
        "extras": [{"key": "area", "value": "north"}],
        "resources": [{"url": "http://a"}],
    }
    with saving("package_create", id=ONE, name="one", title="One", **fields) as documents:
        assert set(documents) == {ONE}
        assert search.index([ONE], documents) == {}
    ours = solr_document(ONE)
    tk.get_action("package_patch")({"ignore_auth": True, "user": ""}, {"id": ONE, "title": "Changed"})
    tk.get_action("package_patch")({"ignore_auth": True, "user": ""}, {"id": ONE, "title": "One"})
    theirs = solr_document(ONE)
    assert ours.keys() == theirs.keys()
    changing = {"_version_", "indexed_ts", "metadata_modified", "data_dict", "validated_data_dict"}
    assert {key: ours[key] for key in ours.keys() - changing} == {key: theirs[key] for key in theirs.keys() - changing}
    for blob in ("data_dict", "validated_data_dict"):
        ours_shown, theirs_shown = json.loads(ours[blob]), json.loads(theirs[blob])
        ours_shown["metadata_modified"] = theirs_shown["metadata_modified"]
        assert ours_shown == theirs_shown


@needs_ckan_212
def test_a_dataset_that_is_updated() -> None:
    """The update is committed by who saves, found after the batch, and its document is the new one."""
    with saving("package_create", id=ONE, name="one", title="One") as documents:
        search.index([ONE], documents)
    with saving("package_update", id=ONE, name="one", title="Two") as documents:
        model.Session.remove()
        assert shown(ONE)["title"] == "Two"
        assert titles() == ["One"]
        search.index([ONE], documents)
    assert titles() == ["Two"]


@needs_ckan_212
def test_a_dataset_that_was_edited_before_its_batch_was_sent() -> None:
    """A document that is older than the dataset does not replace the newer one."""
    with saving("package_create", id=ONE, name="one", title="One") as documents:
        tk.get_action("package_patch")({"ignore_auth": True, "user": ""}, {"id": ONE, "title": "Edited"})
        search.index([ONE], documents)
    assert titles() == ["Edited"]
    with saving("package_update", id=ONE, name="one", title="Three") as documents:
        model.Session.query(model.Package).update({"private": True})
        model.Session.commit()
        search.index([ONE], documents)
    assert found() == []


@needs_ckan_212
def test_who_asks_for_the_dataset_while_it_is_saved() -> None:
    """The answer is the dataset as it is at that moment, whatever was asked before."""
    asked = []

    def ask(*_: Any, **__: Any) -> None:
        asked.append(tk.get_action("package_show")({"ignore_auth": True}, {"id": ONE})["title"])

    listening = tk.signals.action_succeeded.connected_to(ask, "package_create")
    with listening, saving("package_create", id=ONE, name="one", title="One") as documents:
        search.index([ONE], documents)
    documents = {}
    with search.deferred_commits(), search.saved(ONE, documents):
        ask()
        model.Package.get(ONE).title = "Two"
        model.Session.flush()
        ask()
        model.Session.query(model.Package).update({"title": "Three"})
        model.Session.expire_all()
        ask()
    assert asked == ["One", "One", "Two", "Three"]
    assert documents[ONE]["title"] == "Three"


def test_what_is_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """CKAN is answered with what was asked for at once, unless the dataset was changed since; afterwards it is
    forgotten."""
    with saving("package_create", id=ONE, name="one", title="One") as documents:
        search.index([ONE], documents)
    asked: list[str] = []
    ask = PackageSearchQuery.get_index

    def get_index(query: PackageSearchQuery, reference: str) -> dict[str, Any]:
        asked.append(reference)
        return ask(query, reference)

    monkeypatch.setattr(PackageSearchQuery, "get_index", get_index)

    def title() -> str:
        model.Session.expire_all()
        return str(tk.get_action("package_show")({"ignore_auth": True}, {"id": ONE})["title"])

    with search.deferred_commits():
        search.read_ahead([ONE, "not here", "it's, no {!id}"])
        assert (title(), asked) == ("One", [])
        with model.meta.engine.begin() as another:
            edited = {"title": "Edited", "metadata_modified": datetime.datetime(2020, 1, 1)}
            another.execute(sa.update(model.Package).values(edited))
        assert title() == "Edited"
        with search.saved(ONE, {}):
            model.Package.get(ONE).title = "Saved"
        model.Session.commit()
    asked.clear()
    assert (title(), asked) == ("Saved", [ONE])


def test_reading_ahead_without_a_solr(ckan_config: dict[str, Any]) -> None:
    """It is said that Solr is away, as by all here."""
    with search.deferred_commits(), solr_at(), pytest.raises(SearchUnavailable):
        search.read_ahead([ONE])


def solr_document(package_id: str) -> dict[str, Any]:
    answer = requests.get(
        f"{tk.config['solr_url']}/select", params={"q": f'id:"{package_id}"', "wt": "json"}, timeout=10
    )
    [document] = answer.json()["response"]["docs"]
    return document
