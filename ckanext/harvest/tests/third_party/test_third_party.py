"""Harvesters from PyPI make of their sources, on our engine, what they make of them on ckanext-harvest 1.6.3."""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib
import importlib.util
import json
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import ckan.plugins.toolkit as tk
import pytest
import requests
from ckanapi import RemoteCKAN

from ckanext.relay.devstack.portal import Portal, Services, Worker
from ckanext.relay.devstack.stack import LOOPBACK, Stack, free_port

from . import portal_plugin
from .differences import ABSENT, DIFFERENCES
from .harvests import PLUGINS, RUNS, SETTINGS, SOURCES, Dict, Harvest, Source, harvest_all, wait_for
from .record import RECORDED
from .remotes import Csw

PACKAGES = {"ckanext-dcat": "2.4.4", "ckanext-spatial": "2.3.2", "ckanext-harvest-basket": "1.5.6"}
_AS_IT_IS = Source("csw_as_it_is", "csw", Csw, "/csw")
#: What they import and ckanext-harvest 1.6.3 has not either: a harvester for the standard GEMINI cannot work there.
_NOWHERE = {("ckanext.harvest.model", "harvest_object_table")}


class ThirdPartyPortal(Portal):
    """Our portal with the harvesters."""

    def variables(self) -> dict[str, str]:
        return super().variables() | portal_plugin.write(self.folder / "plugin")


@pytest.fixture(scope="module")
def portal(stack: Stack) -> Iterator[ThirdPartyPortal]:
    """A portal of its own with a worker of two processes, on empty services."""
    settings = {**SETTINGS, "ckanext.relay.allowed_networks": LOOPBACK}
    plugins = f"activity harvest {PLUGINS}"
    portal = ThirdPartyPortal(stack.state, "third-party", "Third party", free_port(set()), plugins, settings)
    worker = Worker(stack.state, portal, "third-party-worker", 2)
    stack.postgres.drop_database("third-party")
    services = Services(
        stack.postgres.database("third-party"),
        stack.solr.core("this"),
        stack.valkey.url("this"),
        "secret",
        "unused-here",
    )
    portal.configure(services)
    try:
        portal.start()
        worker.start()
        yield portal
    finally:
        worker.stop()
        portal.stop()
        requests.post(
            f"{stack.solr.core('this')}/update?commit=true",
            json={"delete": {"query": "site_id:third-party"}},
            timeout=60,
        ).raise_for_status()


@pytest.fixture(scope="module")
def api(portal: ThirdPartyPortal) -> RemoteCKAN:
    return RemoteCKAN(portal.url, apikey=portal.api_token, session=requests.Session())


@pytest.fixture(scope="module")
def harvested(api: RemoteCKAN) -> dict[str, list[Dict]]:
    """What two runs left of each source."""
    return harvest_all(api)


def test_the_packages_are_those_of_pypi_and_ckanext_harvest_is_not_there() -> None:
    """The versions are the ones that were recorded, unmodified, and nobody brought the original along."""
    for name, version in PACKAGES.items():
        package = distribution(name)
        assert package.version == version
        for file in package.files or ():
            if file.hash and file.suffix == ".py":
                assert _sha256(Path(str(file.locate()))) == file.hash.value, file
    with pytest.raises(PackageNotFoundError):
        distribution("ckanext-harvest")


@pytest.mark.parametrize("package", PACKAGES)
def test_what_the_packages_import_is_there(package: str) -> None:
    """Each name that a package imports from ckanext.harvest is there, in whatever module or test of it."""
    missing = []
    for file in distribution(package).files or ():
        if file.suffix == ".py":
            missing += [wanted for wanted in _imported(Path(str(file.locate()))) if not _is_there(*wanted)]
    assert set(missing) <= _NOWHERE


@pytest.mark.skipif(not tk.check_ckan_version(min_version="2.12"), reason="What was recorded is of CKAN 2.12")
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("name", [source.name for source in SOURCES])
def test_field_by_field(harvested: dict[str, list[Dict]], name: str, run: int) -> None:
    """Job, report, objects, datasets and search documents are as they were recorded, but for what is justified."""
    expected = json.loads((RECORDED / f"{name}.json").read_text())[run - 1]
    found = dict(differences(expected, harvested[name][run - 1]))
    allowed = [each for each in DIFFERENCES if name in each.sources and run in each.runs]
    unexpected = {path: pair for path, pair in found.items() if not any(each.allows(path, *pair) for each in allowed)}
    assert unexpected == {}
    assert [each for each in allowed if not any(each.allows(path, *found[path]) for path in found)] == [], "no more"


def test_a_record_that_breaks_its_harvester_breaks_nothing_else(api: RemoteCKAN, harvested: Any) -> None:
    """The CSW harvester as it is raises at each record: each object says why, and the job ends."""
    with Csw("basket_csw") as remote:
        harvest = Harvest(api, _AS_IT_IS, remote)
        harvest.register(api.call_action("organization_show", {"id": "harvesting"})["id"])
        harvest.start(1)
        wait_for([harvest], 0.5)
        harvest.observe()
    [observed] = harvest.observed
    assert observed["job"]["stats"] == {"added": 0, "updated": 0, "not modified": 0, "errored": 2, "deleted": 0}
    assert [obj["guid"] for obj in observed["objects"]] == ["council-trees", "council-walls"]
    for obj in observed["objects"]:
        [error] = obj["errors"]
        assert (obj["state"], error["stage"]) == ("ERROR", "Import")
        assert "Unicode strings with encoding declaration are not supported" in error["message"]
        assert obj["content"].startswith("<?xml")


def differences(recorded: Any, ours: Any, path: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield the path of each value that differs, and both values."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        for key in {**recorded, **ours}:
            yield from differences(recorded.get(key, ABSENT), ours.get(key, ABSENT), f"{path}/{key}")
    elif isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours):
        for number, pair in enumerate(zip(recorded, ours, strict=True)):
            yield from differences(*pair, f"{path}/{number}")
    elif recorded != ours:
        yield path, (recorded, ours)


def _imported(path: Path) -> Iterator[tuple[str, str]]:
    """Yield module and name of what a file imports from ckanext.harvest."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module or ""):
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if _is_ours(alias.name))


def _is_ours(module: str) -> bool:
    return module == "ckanext.harvest" or module.startswith("ckanext.harvest.")


def _is_there(module: str, name: str) -> bool:
    found = importlib.import_module(module)
    if not name or hasattr(found, name):
        return True
    return importlib.util.find_spec(f"{module}.{name}") is not None


def _sha256(path: Path) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
