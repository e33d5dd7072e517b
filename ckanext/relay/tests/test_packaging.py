"""The built wheel and sdist hold all that the plugins need, and a portal made from the wheel alone works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import pytest

import ckanext.relay
from ckanext.relay.devstack.portal import Portal, Services

if TYPE_CHECKING:
    from ckanext.relay.devstack.stack import Stack

ROOT = Path(ckanext.relay.__file__).parents[2]
PACKAGES = sorted(path.name for path in (ROOT / "ckanext").iterdir() if (path / "__init__.py").exists())
NOT_IN_THE_WHEEL = "ckanext/harvest/tests/third_party/"
UNSHIPPED = ("__pycache__", ".git", ".relay", "*.egg-info", "build", "dist", ".*_cache")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sdist and wheel, built from a copy: a build leaves folders that the next one would take up."""
    folder = tmp_path_factory.mktemp("packaging")
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*UNSHIPPED))
    run(sys.executable, "-m", "build", "--outdir", str(folder), str(folder / "source"))
    return folder


@pytest.fixture(scope="module")
def environment(built: Path) -> Path:
    """A fresh environment with CKAN as bin/quickstart installs it, and the wheel; nothing editable."""
    wheel = next(built.glob("*.whl"))
    prepare = f'. "$root/ckanext/relay/devstack/venv.sh"; prepare_venv wheel {wheel} pylibmagic'
    run("sh", "-euc", prepare, root=str(ROOT), venv=str(built / "venv"), ckan_version=version("ckan"))
    return built / "venv"


def run(*command: str, **variables: str) -> str:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("CKAN_", "PYTHON"))}
    done = subprocess.run(command, env={**inherited, **variables}, cwd="/", text=True, capture_output=True)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def shipped(source: Path) -> set[str]:
    """All files of our packages, modules or not."""
    return {str(path.relative_to(source)) for path in (source / "ckanext").rglob("*") if path.is_file()}


def test_the_wheel_holds_every_file_and_leaves_the_namespace_alone(built: Path) -> None:
    names = set(zipfile.ZipFile(next(built.glob("*.whl"))).namelist())
    assert {name for name in shipped(built / "source") if not name.startswith(NOT_IN_THE_WHEEL)} <= names
    assert not any(name.startswith(NOT_IN_THE_WHEEL) for name in names)
    assert "ckanext/__init__.py" not in names
    chart = "ckanext/relay/assets/vendor/chart.umd"
    assert {f"{chart}.js", f"{chart}.LICENSE.txt", "ckanext/relay/i18n/ckanext-relay.pot"} <= names
    assert {name.split("/")[1] for name in names if name.startswith("ckanext/")} == set(PACKAGES)


def test_the_sdist_holds_every_file(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    top = {"setup.py", "setup.cfg", "test.ini", "LICENSE", "bin/test"}
    top |= {"requirements.txt", "dev-requirements.txt"}
    assert shipped(built / "source") | top <= names


@pytest.mark.parametrize("kind", ["editable", "wheel"])
def test_the_namespace_is_shared_with_ckan(kind: str, request: pytest.FixtureRequest) -> None:
    python = sys.executable if kind == "editable" else str(request.getfixturevalue("environment") / "bin" / "python")
    imports = ", ".join(["ckanext.activity", *(f"ckanext.{name}" for name in PACKAGES)])
    found = run(python, "-c", f"import {imports}; print(ckanext.activity.__file__); print(ckanext.relay.__file__)")
    ckan, ours = found.split()
    assert "site-packages" in ckan
    assert ("site-packages" in ours) == (kind == "wheel")


def test_a_portal_from_the_wheel_migrates_a_new_database(environment: Path, stack: Stack, tmp_path: Path) -> None:
    stack.postgres.drop_database("packaging")
    url = stack.postgres.database("packaging")
    plugins = "activity harvest ckan_harvester archiver report tagless_report syndicate"
    portal = Portal(tmp_path, "wheel", "From the wheel", 0, plugins, {})
    portal.configure(Services(url, stack.solr.core("test"), stack.valkey.url("test"), "secret", "unused"))
    ckan = [str(environment / "bin" / "ckan"), "--config", str(portal.ini), "db"]
    run(*ckan, "upgrade", "--skip-plugins")
    pending = run(*ckan, "pending-migrations")
    assert all(
        f"unapplied migrations for {plugin}" in pending for plugin in ("harvest", "archiver", "report", "syndicate")
    )
    run(*ckan, "pending-migrations", "--apply")
    assert "unapplied" not in run(*ckan, "pending-migrations")
    connection = psycopg2.connect(url)
    cursor = connection.cursor()
    cursor.execute("SELECT count(*) FROM harvest_source, archival, data_cache")
    assert cursor.fetchone() == (0,)
    connection.close()
