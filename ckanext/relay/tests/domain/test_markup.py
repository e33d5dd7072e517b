"""What the tests of hostile texts take for a script that runs, and what for text."""

from __future__ import annotations

import html

import pytest

from ckanext.relay.tests.access.markup import Reading, Texts

_texts = Texts()
_TEXT, _LINK = _texts.say("text"), _texts.link("link")


@pytest.mark.parametrize(
    "page",
    [
        f"<p>{_TEXT}</p>",
        f'<input value="{_TEXT}">',
        f"<input value='{_TEXT}'>",
        f"<title>{_TEXT}</title>",
        f"<!-- {_TEXT.replace('-->', '')} --><script>var a = '{html.escape(_TEXT)}';</script>",
        f"<a href='{_LINK}'>here</a>",
        f"<form action=' \n{_LINK}'></form>",
        '<a onclick="go()">here</a>',
        '<a href="data:text/html,x">here</a>',
    ],
)
def test_what_runs(page: str) -> None:
    """A text that is not escaped, one in a script, links to scripts, and attributes that are scripts."""
    assert Reading(page).runs


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        (f'<p title="{html.escape(_LINK)}">{html.escape(_TEXT)}</p>', {"text", "link"}),
        (f'<input value="{html.escape(_TEXT)}">', {"text"}),
        (f'<script src="/a.js"></script><title>{html.escape(_TEXT)}</title>', {"text"}),
        ('<img src="data:image/png;base64,AA"><a href="/here">', set()),
    ],
)
def test_what_is_shown(page: str, shown: set[str]) -> None:
    """A text that is escaped, whatever it says."""
    reading = Reading(page)
    assert reading.runs == []
    assert _texts.names(reading.shown) == shown
