"""Hostile texts, and whether a page shows them as text or runs them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_MARK = "hostile-{}-text"
_MARKED = re.compile(r"hostile-\d+-text")
_LINKS = {"href", "src", "action", "formaction", "data", "poster", "srcset", "xlink:href", "hx-get", "hx-post"}
#: CKAN has links that lead nowhere.
_HARMLESS = {"javascript:void(0);"}
_RUNS = re.compile(r"[\x00-\x20]*(javascript|vbscript|data(?!:image/)):", re.IGNORECASE)


class Texts:
    """Texts that try to run a script: one for each field, told apart by a number."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def _mark(self, name: str) -> str:
        mark = _MARK.format(len(self._names))
        self._names[mark] = name
        return mark

    def say(self, name: str) -> str:
        """Return a text for a field: an element, the end of an attribute and of a script, and a template."""
        mark = self._mark(name)
        alert = f'alert("{mark}")'
        return f"""<script>{alert}</script>"'></script></title><img src=x onerror='{alert}'>{{{{7*7}}}}"""

    def link(self, name: str) -> str:
        """Return a URL for a field."""
        return f'javascript:alert("{self._mark(name)}")'

    def names(self, marks: set[str]) -> set[str]:
        """Return the fields that these marks stand for."""
        return {self._names[mark] for mark in marks if mark in self._names}

    def all_names(self) -> set[str]:
        """Return the fields that have a text."""
        return set(self._names.values())


class Reading(HTMLParser):
    """What a browser would make of a page as far as hostile texts are concerned.

    ``runs`` says what would be run, ``shown`` which marks stand in a text or in an attribute that only shows.
    """

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.runs: list[str] = []
        self.shown: set[str] = set()
        self._in: str | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in = tag
        for name, given in attrs:
            value = given or ""
            if _is_run(name, value):
                self.runs.append(f"<{tag} {name}={value!r}>")
            else:
                self.shown.update(_MARKED.findall(value))

    def handle_endtag(self, tag: str) -> None:
        self._in = None

    def handle_data(self, data: str) -> None:
        marks = _MARKED.findall(data)
        if marks and self._in in ("script", "style"):
            self.runs.append(f"<{self._in}>{data.strip()[:80]}")
        else:
            self.shown.update(marks)

    def handle_comment(self, data: str) -> None:
        self.shown.update(_MARKED.findall(data))


def _is_run(name: str, value: str) -> bool:
    """Tell whether an attribute makes a browser do what a hostile text wants, or is such a text itself."""
    if name in _LINKS:
        return bool(_RUNS.match(value)) and value not in _HARMLESS
    return name.startswith("on") or bool(_MARKED.search(name)) or (name == "style" and bool(_MARKED.search(value)))
