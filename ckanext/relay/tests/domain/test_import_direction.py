"""The house rules that can be read off the source tree: who imports whom, and what is done in one place only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = ("harvest", "archiver", "syndicate", "report")
FRAMEWORKS = {"ckan", "celery", "sqlalchemy", "flask", "kombu", "requests", "click", "alembic"}
#: plugin → … → domain: each layer imports only those below it. What a plugin has besides stands beside the runner.
LAYERS = (
    ("plugin",),
    ("views", "cli", "subscribers", "helpers", "logic", "foreground", "asking", "listeners"),
    ("tasks",),
    ("runner", "clearing", "reimport", "doctor", "drift", "retention", "batch", "legacy", "inventory")
    + ("bulk", "comparison", "planning", "preflight", "reconcile", "status"),
    ("model", "interfaces", "registry", "remote", "storage", "harvesters", "config", "sources", "datasets")
    + ("notifications", "cache_urls", "explanations", "activities", "crew", "checks", "fetcher", "uploads")
    + ("types", "signals", "profiles", "rules", "selection", "hooks", "facets", "panels"),
    ("domain",),
)
FACADES = {"queue", "utils", "log", "listeners"}
#: modules of actions and auth functions by verb, as third parties import them
VERBS = {
    f"logic.{part}.{verb}" for part in ("action", "auth") for verb in ("get", "create", "update", "patch", "delete")
}


def modules() -> Iterator[tuple[str, Path]]:
    """Yield name and path of each module of ours, tests left out."""
    for path in sorted(ROOT.glob("*/**/*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if "tests" not in parts and "versions" not in parts:
            yield ".".join(("ckanext", *parts)).removesuffix(".__init__"), path


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(name: str, path: Path) -> set[str]:
    """Return the full names of what a module imports when it runs: hints for type checkers are left out."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    hints = {
        id(node)
        for block in ast.walk(tree(path))
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for node in ast.walk(block)
    }
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if id(node) in hints:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


ALL = list(modules())


def offenders(rule: object) -> list[str]:
    """Return ``module imports name`` for each import that a rule names."""
    assert callable(rule)
    return [
        f"{name} imports {found}" for name, path in ALL for found in sorted(imports(name, path)) if rule(name, found)
    ]


def test_the_rules_are_about_something() -> None:
    """The tree is found, and imports of every form are read."""
    names = dict(ALL)
    assert {"ckanext.relay.http", "ckanext.harvest.runner", "ckanext.harvest.domain.outcome"} <= set(names)
    runner = imports("ckanext.harvest.runner", names["ckanext.harvest.runner"])
    assert {"ckanext.relay.lease", "ckanext.harvest.registry", "sqlalchemy", "ckan.model"} <= runner
    groups = "ckanext.harvest.harvesters.local_groups"
    assert "ckanext.harvest.harvesters.ckanharvester.CKANHarvester" not in imports(groups, names[groups])


def test_what_decides_imports_no_framework() -> None:
    """``domain`` and the pure parts of ``relay`` run without CKAN, Celery, SQLAlchemy or Flask."""
    pure = {f"ckanext.relay.{name}" for name in ("ssrf", "errors", "lifecycle", "secrets", "export")}

    def rule(name: str, found: str) -> bool:
        return (name in pure or ".domain" in name) and found.split(".")[0] in FRAMEWORKS

    assert offenders(rule) == []


def test_a_domain_imports_only_itself_and_lifecycles() -> None:
    """What a plugin decides hangs on nothing that does; beside them, all write tables in one way."""

    def rule(name: str, found: str) -> bool:
        if ".domain" not in name or not found.startswith("ckanext."):
            return False
        own = name[: name.index(".domain")] + ".domain"
        return not found.startswith((own, "ckanext.relay.lifecycle", "ckanext.relay.errors", "ckanext.relay.export"))

    assert offenders(rule) == []


def test_relay_imports_no_plugin() -> None:
    """What all plugins share knows none of them."""

    def rule(name: str, found: str) -> bool:
        return name.startswith("ckanext.relay") and any(found.startswith(f"ckanext.{plugin}") for plugin in PLUGINS)

    assert offenders(rule) == []


def test_plugins_do_not_import_each_other() -> None:
    """But for ``*.reports``, which is written for the report plugin."""

    def rule(name: str, found: str) -> bool:
        plugin = name.split(".")[1]
        others = [f"ckanext.{other}" for other in PLUGINS if other != plugin]
        return plugin in PLUGINS and found.startswith(tuple(others)) and not name.endswith(".reports")

    assert offenders(rule) == []


def layer(name: str) -> int | None:
    parts = name.split(".")
    if len(parts) < 3 or parts[1] not in PLUGINS:
        return None
    return next((number for number, layer in enumerate(LAYERS) if parts[2] in layer), None)


def test_imports_go_downwards() -> None:
    """plugin → views, cli, subscribers, helpers, logic → tasks → runner → model and what is beside it → domain."""
    # sources are edited by plugin hooks that need the right to see secrets and the dictionaries of the API
    allowed = {("ckanext.harvest.sources", "logic")}

    def rule(name: str, found: str) -> bool:
        upper, lower = layer(name), layer(found)
        if upper is None or lower is None or name.split(".")[1] != found.split(".")[1]:
            return False
        return lower < upper and (name, found.split(".")[2]) not in allowed

    assert offenders(rule) == []


def test_nothing_imports_a_facade() -> None:
    """Facades are for third parties; inside, everything has its own place."""

    def rule(name: str, found: str) -> bool:
        parts = found.split(".")
        if len(parts) < 3 or parts[0] != "ckanext" or parts[1] not in PLUGINS:
            return False
        return parts[2] in FACADES or ".".join(parts[2:5]) in VERBS

    assert offenders(rule) == []


def test_bytes_go_through_one_door() -> None:
    """Only ``relay`` imports ``requests``, and the module whose ``requests`` third parties patch."""
    allowed = ("ckanext.relay.", "ckanext.harvest.harvesters.ckanharvester", "ckanext.syndicate.remote")
    doors = {"requests", "urllib3", "httpx", "aiohttp"}

    def rule(name: str, found: str) -> bool:
        client = found.split(".")[0] in doors or found.startswith(("urllib.request", "http.client"))
        return client and not name.startswith(allowed)

    assert offenders(rule) == []


def test_shared_code_knows_no_word_of_a_plugin() -> None:
    """``relay`` names no harvest, archive or syndication; the development stack, which starts them, may."""
    words = re.compile(r"\b(harvest\w*|archiv\w*|syndicat\w*)\b", re.IGNORECASE)
    # explanations may say who uses what
    allowed = {"ckanext.relay.cli", "ckanext.relay.config", "ckanext.relay.ssrf"}
    found = []
    for name, path in ALL:
        if not name.startswith("ckanext.relay") or name.startswith("ckanext.relay.devstack") or name in allowed:
            continue
        names = {node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)}
        names |= {node.name for node in ast.walk(tree(path)) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        found += [f"{name}: {each}" for each in sorted(names) if words.search(each)]
    assert found == []


def test_settings_are_read_in_one_place() -> None:
    """CKAN's configuration is read by the ``config`` modules; the exceptions each have a reason."""
    allowed = {
        # start CKAN, and must know whether it is loaded, its site URL, and the file that it was loaded from
        "ckanext.relay.celery_app",
        "ckanext.relay.cli",
        # turns CKAN's own setting off for a while
        "ckanext.relay.search",
        # module attribute that tests of third parties patch
        "ckanext.harvest.harvesters.base",
    }
    found = []
    for name, path in ALL:
        if name.endswith(".config") or name in allowed or name.startswith("ckanext.relay.devstack"):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("tk.config", "toolkit.config"):
                found.append(f"{name}:{node.lineno}")
        found += [f"{name} imports {each}" for each in imports(name, path) if each == "ckan.common.config"]
    assert found == []


def test_states_are_set_in_one_place() -> None:
    """Only the model sets the state of an object, the status of a job, and what was reported."""
    fields = {"state", "status", "report_status"}
    found = []
    for name, path in ALL:
        if ".model" in name or name.startswith("ckanext.relay"):
            continue
        for node in ast.walk(tree(path)):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr in fields and not _is_self(target.value):
                    found.append(f"{name}:{target.lineno} sets {ast.unparse(target)}")
    assert found == []


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|SET CONSTRAINTS|CREATE|DROP|ALTER)\b")


def test_no_sql_text_is_put_together() -> None:
    """SQL text has no values in it: neither by f-string, nor by ``%``, ``+`` or ``format``."""
    found = []
    for name, path in ALL:
        for node in ast.walk(tree(path)):
            if _is_put_together(node):
                found.append(f"{name}:{node.lineno}: {ast.unparse(node)[:60]}")  # type: ignore[attr-defined]
    assert found == []


def _is_put_together(node: ast.AST) -> bool:
    if isinstance(node, ast.JoinedStr):
        texts = [part.value for part in node.values if isinstance(part, ast.Constant)]
        return any(SQL.search(str(text)) for text in texts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mod, ast.Add)):
        left = node.left
        return isinstance(left, ast.Constant) and isinstance(left.value, str) and bool(SQL.search(left.value))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        text = node.func.value
        return isinstance(text, ast.Constant) and bool(SQL.search(str(text.value)))
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("sa.text", "text", "sqlalchemy.text"):
        return not all(isinstance(argument, (ast.Constant, ast.Name, ast.IfExp)) for argument in node.args)
    return False


@pytest.mark.parametrize(
    ("source", "put_together"),
    [
        ('f"SELECT * FROM a WHERE id = {x}"', True),
        ('"UPDATE a SET b = %s" % x', True),
        ('"DELETE FROM " + x', True),
        ('"SELECT {}".format(x)', True),
        ("sa.text(make())", True),
        ('sa.text("SELECT 1")', False),
        ('f"{x} was selected"', False),
    ],
)
def test_what_is_taken_for_put_together(source: str, put_together: bool) -> None:
    """The check above finds what it should."""
    assert any(_is_put_together(node) for node in ast.walk(ast.parse(source))) is put_together


def test_no_module_for_everything() -> None:
    """Each module has a name that says what is in it."""
    empty = {"common", "misc", "manager", "util", "utils", "lib", "helper"}
    facades = {f"ckanext.{plugin}.utils" for plugin in PLUGINS} | {"ckanext.archiver.lib", "ckanext.report.lib"}
    assert [name for name, _ in ALL if name.rpartition(".")[2] in empty and name not in facades] == []


def test_no_exception_is_swallowed() -> None:
    """No ``except …: pass`` without at least a word why."""
    found = []
    for name, path in ALL:
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.ExceptHandler) or not all(isinstance(each, ast.Pass) for each in node.body):
                continue
            if node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"):
                found.append(f"{name}:{node.lineno}: {lines[node.lineno - 1].strip()}")
    assert found == []
