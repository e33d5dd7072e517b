"""What no template may do: run a script of its own, let a text through unescaped, or write without a token."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
FORM = re.compile(r"<form\b(?P<tag>[^>]*)>(?P<inside>.*?)</form>", re.DOTALL | re.IGNORECASE)
#: A text that is translated; Jinja formats it with %, even if nothing is given to format it with.
TRANSLATED = re.compile(r"""\b(?:_|gettext|ngettext)\(\s*(?:"([^"]*)"|'([^']*)')(?:\s*,\s*(?:"([^"]*)"|'([^']*)'))?""")
FORBIDDEN = {
    "a text that is let through as it is": re.compile(r"\|\s*safe\b|\bautoescape\s+false|\bMarkup\("),
    "a script in the page": re.compile(r"<script\b|\bjavascript:", re.IGNORECASE),
    "an attribute that is a script": re.compile(r"""[\s"']on[a-z]+\s*=\s*["']|\bhx-on\b""", re.IGNORECASE),
    "a style in the page": re.compile(r"<style\b|\sstyle\s*=", re.IGNORECASE),
}


def templates() -> dict[str, str]:
    """Return the templates of all plugins without their comments, by path; those of tests are left out."""
    found = {path: path.read_text() for path in ROOT.glob("*/templates/**/*.html")}
    return {str(path.relative_to(ROOT)): COMMENT.sub("", text) for path, text in found.items()}


def test_there_are_templates() -> None:
    """The others of this module look at something."""
    assert len(templates()) > 30


@pytest.mark.parametrize("what", FORBIDDEN)
def test_what_must_not_be(what: str) -> None:
    """Texts of others stay texts, and the pages work where a policy forbids scripts and styles in them."""
    assert [path for path, text in templates().items() if FORBIDDEN[what].search(text)] == []


def test_forms_carry_a_token() -> None:
    """Each form that is sent by POST has CKAN's token in it."""
    posting = re.compile(r"""method\s*=\s*["']?post""", re.IGNORECASE)
    found = [
        (path, "csrf_input()" in form["inside"])
        for path, text in templates().items()
        for form in FORM.finditer(text)
        if posting.search(form["tag"])
    ]
    assert found
    assert [path for path, has_token in found if not has_token] == []


def test_percent_signs_in_texts() -> None:
    """A text that is translated has them doubled, or before a name in parentheses."""
    lone = re.compile(r"(?<!%)%(?!%|\()")
    wrong = [
        (path, text)
        for path, content in templates().items()
        for match in TRANSLATED.finditer(content)
        for text in match.groups()
        if text and lone.search(text.replace("%%", ""))
    ]
    assert wrong == []
