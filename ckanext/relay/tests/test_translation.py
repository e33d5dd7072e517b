"""Every text that people read on the pages is translated, and translations say what the text says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import ckan.plugins as p
import pytest
from babel.messages import Catalog, Message
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from bs4 import BeautifulSoup
from bs4.element import NavigableString
from jinja2 import Environment

from ckanext.relay import translation
from ckanext.relay.tests.domain.test_import_direction import ALL

ROOT = Path(__file__).parents[3]
FOLDER = Path(translation.FOLDER)
TEMPLATE = FOLDER / f"{translation.DOMAIN}.pot"
CATALOGUES = sorted(FOLDER.glob(f"*/LC_MESSAGES/{translation.DOMAIN}.po"))
LANGUAGES = {"de", "es", "fr"}
PAGES = sorted(path for path in ROOT.glob("ckanext/*/templates/**/*.*") if "tests" not in path.parts)

#: What begins a text to translate, as a function: ``tk._`` and the like.
_FUNCTIONS = {"_", "ngettext", "ungettext", "gettext"}
_PLACEHOLDER = re.compile(r"\{\w*\}|%\(\w+\)[sd]")
#: Names of formats and of things that are called the same in every language.
_NAMES = {"CSV", "JSON", "XML", "CKAN", "UTC", "URL", "HTTP", "API", "ETA", "ID"}
_SHOWN = ("title", "alt", "placeholder", "aria-label", "data-relay-confirm", "data-module-content")


def catalogue(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3] if path.suffix == ".po" else None)


def texts(found: Catalog) -> set[Any]:
    return {message.id for message in found if message.id}


def strings(found: Catalog) -> dict[tuple[str, ...], tuple[str, ...]]:
    return {_originals(message): _strings(message) for message in found if message.id}


def test_the_template_is_up_to_date(tmp_path: Path) -> None:
    """It holds what code and templates have, and nothing else; docs/architecture.rst says how it is written anew."""
    extract = [sys.executable, "-m", "babel.messages.frontend", "-q", "extract", "-F", str(FOLDER / "babel.cfg")]
    subprocess.run([*extract, "-o", str(tmp_path / "now.pot"), "ckanext"], cwd=ROOT, check=True)
    now, kept = texts(catalogue(tmp_path / "now.pot")), texts(catalogue(TEMPLATE))
    assert now - kept == set(), "these are new: write the template anew"
    assert kept - now == set(), "these are gone: write the template anew"


def test_the_languages() -> None:
    """There is a catalogue of each."""
    assert {path.parts[-3] for path in CATALOGUES} == LANGUAGES


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.parts[-3]))
def test_a_catalogue_is_complete(path: Path) -> None:
    """Each text is translated, nothing is only guessed, and what CKAN loads is made from it."""
    found = catalogue(path)
    assert texts(found) == texts(catalogue(TEMPLATE))
    open_ones = [message.id for message in found if message.id and (message.fuzzy or not all(_strings(message)))]
    assert open_ones == []
    with path.with_suffix(".mo").open("rb") as file:
        compiled = read_mo(file)
    assert strings(compiled) == strings(found)


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.parts[-3]))
def test_placeholders_and_spaces_are_kept(path: Path) -> None:
    """What is put into a text is put into its translation, too; markup is in neither or in both."""
    wrong = []
    for message in catalogue(path):
        wanted = [_kept(original) for original in _originals(message)]
        wrong += [string for string in _strings(message) if message.id and _kept(string) not in wanted]
    assert wrong == []


def _kept(text: str) -> tuple[Any, ...]:
    """Return what of a text must be in its translation. A percent sign alone would be taken for a placeholder."""
    signs = [text.count(sign) for sign in "%<"]
    return sorted(_PLACEHOLDER.findall(text)), signs, text[:1].isspace(), text[-1:].isspace()


def _originals(message: Message) -> tuple[str, ...]:
    return tuple(message.id) if isinstance(message.id, (tuple, list)) else (message.id,)


def _strings(message: Message) -> tuple[str, ...]:
    return tuple(message.string) if isinstance(message.string, (tuple, list)) else (message.string or "",)


def test_each_plugin_brings_the_catalogue() -> None:
    """Whichever of them is enabled, alone or with others."""
    for name in ("harvest", "archiver", "report", "syndicate"):
        (entry_point,) = entry_points(group="ckan.plugins", name=name)
        plugin = entry_point.load()
        assert p.ITranslation.implemented_by(plugin) and issubclass(plugin, translation.Translated)


def _calls() -> Iterator[tuple[str, ast.Call, bool]]:
    """Yield where a text is translated in the code, the call, and whether that runs when the module is loaded."""

    def walk(node: ast.AST, at_load: bool) -> Iterator[tuple[ast.Call, bool]]:
        for child in ast.iter_child_nodes(node):
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            if isinstance(child, ast.Call) and ast.unparse(child.func).rpartition(".")[2] in _FUNCTIONS:
                yield child, at_load
            yield from walk(child, at_load and not inside)

    for name, path in ALL:
        for call, at_load in walk(ast.parse(path.read_text(encoding="utf-8")), True):
            yield f"{name}:{call.lineno}", call, at_load


def test_texts_are_whole() -> None:
    """What is translated is a text that stands there, so that it is found: values are put in afterwards."""
    # titles and descriptions of harvesters and reports come from third parties, whose own catalogues may have them
    allowed = {"info['title']", "str(found.title)", "str(found.description)", "str(each[name])"}
    calls = list(_calls())
    assert len(calls) > 50
    built = [
        f"{place}: {ast.unparse(call)}"
        for place, call, _ in calls
        if not isinstance(call.args[0], ast.Constant) and ast.unparse(call.args[0]) not in allowed
    ]
    assert built == []


def test_texts_are_translated_when_they_are_shown() -> None:
    """When a module is loaded nobody knows the language of the visitor."""
    assert [place for place, _, at_load in _calls() if at_load] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT / "ckanext")))
def test_a_page_translates_nothing_but_texts(path: Path) -> None:
    """In a template, what was translated counts as safe HTML: the words of others must never go through it. A percent
    sign alone in a text breaks the page."""
    # the titles and descriptions that harvesters, which are code, have
    allowed = {"_(type.title", "_(type.description"}
    source = path.read_text(encoding="utf-8")
    variable = re.findall(r"(?<![\w.])(?:_|ngettext|ungettext|gettext)\((?![\"'])[\w.]*", source)
    assert [each for each in variable if each not in allowed] == []
    first = re.findall(r"(?<![\w.])(?:_|ngettext|ungettext)\((\"[^\"]*\"|'[^']*')", source)
    assert [text for text in first if re.search(r"%(?!\(\w+\)[sd])", text)] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT / "ckanext")))
def test_a_page_has_no_other_text(path: Path) -> None:
    """What people read in a template, or hear from it, is translated."""
    source = re.sub(r"\{%-?\s*trans\b.*?endtrans\s*-?%\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    data = "".join(text for _, kind, text in Environment().lex(source) if kind == "data")
    page = BeautifulSoup(data, "html.parser")
    shown = [str(text) for text in page.find_all(string=True) if type(text) is NavigableString]
    shown += [str(tag[name]) for tag in page.find_all(True) for name in _SHOWN if tag.has_attr(name)]
    # an attribute, or the parts of an id, that a macro or a block puts into a tag
    shown = [re.sub(r"\S+(=\"|--)\S*", "", text) for text in shown]
    words = {word for text in shown for word in re.findall(r"[^\W\d_]{2,}", text)}
    assert words - _NAMES == set()
