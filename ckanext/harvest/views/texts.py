"""Texts of others, as a page shows them."""

from __future__ import annotations

import json

from ckanext.relay.texts import storable


def indented(text: str) -> str:
    """Return JSON with a line for each of its parts, anything else as it is."""
    try:
        shown = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
    return storable(shown)
