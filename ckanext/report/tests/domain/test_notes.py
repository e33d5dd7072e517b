"""The expression in ``ckanext-report.notes.dataset``: what it may say, and that nothing of it is run."""

from __future__ import annotations

from typing import Any

import pytest

from ckanext.report.domain.notes import NotesError, understand

FIELDS = frozenset({"title", "version", "private", "notes"})
DATAGOVUK = (
    "' '.join(('Unpublished' if asbool(pkg.extras.get('unpublished')) else '', "
    "'UKLP' if asbool(pkg.extras.get('UKLP')) else '', "
    "'National Statistics Pub Hub' if pkg.extras.get('external_reference')=='ONSHUB' else ''))"
)


def notes(expression: str, extras: dict[str, Any] | None = None, **fields: Any) -> str:
    return understand(expression, FIELDS).of(fields, extras or {})


def test_the_expression_that_portals_use() -> None:
    """The one that ckanext-report documented means what it meant."""
    assert notes(DATAGOVUK, {"unpublished": "True", "external_reference": "ONSHUB"}).split() == [
        "Unpublished", "National", "Statistics", "Pub", "Hub",
    ]  # fmt: skip
    assert notes(DATAGOVUK).strip() == ""


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", ""),
        ("  ", ""),
        ("'text'", "text"),
        ("pkg.title", "Parks"),
        ("pkg.version or 'no version'", "no version"),
        ("pkg.extras['harvested']", "yes"),
        ("pkg.extras['not there']", ""),
        ("pkg.extras.get('not there')", ""),
        ("pkg.extras.get('not there', 'nothing')", "nothing"),
        ("'Private' if pkg.private else 'Public'", "Private"),
        ("'a' if not asbool(pkg.extras.get('harvested')) else 'b'", "b"),
        ("pkg.title + ': ' + pkg.extras.get('harvested')", "Parks: yes"),
        ("pkg.title + pkg.version", ""),
        ("', '.join([pkg.title.upper(), pkg.version])", "PARKS, "),
        ("'x' if 'ark' in pkg.title and pkg.title != 'Trees' else 'y'", "x"),
        ("'x' if 'ark' in pkg.version else 'y'", "y"),
        ("'x' if pkg.version is None else 'y'", "x"),
        ("'x' if 1 < 2 else 'y'", "x"),
    ],
)
def test_what_it_may_say(expression: str, expected: str) -> None:
    """Fields, extras, conditions and texts."""
    assert notes(expression, {"harvested": "yes"}, title="Parks", private=True, version=None) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "open('/etc/passwd').read()",
        "pkg.__class__",
        "pkg.delete()",
        "pkg.password",
        "pkg",
        "asbool",
        "pkg.extras",
        "''.__class__",
        "''.__class__.__mro__",
        "pkg.title.format(pkg)",
        "'{0.__class__}'.format(pkg)",
        "'%s' % pkg.title",
        "f'{pkg.title}'",
        "[x for x in (1, 2)]",
        "(lambda: 1)()",
        "asbool(*[1])",
        "asbool(x=1)",
        "'a' * 1000000000",
        "2 ** 1000",
        "pkg.extras.pop('a')",
        "pkg.title[0]",
        "(x := 1)",
        "1 < 2 < 3",
        "x = 1",
        "import os",
        "'unfinished",
        "b'bytes'",
        "...",
        "-1",
        "'\x00'",
        "(" * 300 + ")" * 300,
        "1 or " * 1000 + "1",
    ],
)
def test_what_is_refused(expression: str) -> None:
    """Everything else is an error when the setting is read, and does nothing."""
    with pytest.raises(NotesError):
        understand(expression, FIELDS)
