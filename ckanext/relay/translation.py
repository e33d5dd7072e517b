"""One catalogue of texts for all plugins of the bundle: a word is translated once, and in one way."""

from __future__ import annotations

import os

DOMAIN = "ckanext-relay"
FOLDER = os.path.join(os.path.dirname(__file__), "i18n")


def N_(text: str) -> str:  # noqa: N802  (the name by which Babel finds it)
    """Mark a text that is not translated here but when it is shown; return it."""
    return text


class Translated:
    """The methods of ``ITranslation`` for a plugin of the bundle, and for those that third parties derive from it."""

    def i18n_directory(self) -> str:
        """Return the folder with the catalogues."""
        return FOLDER

    def i18n_locales(self) -> list[str]:
        """Return the languages that there is a catalogue of."""
        return sorted(entry.name for entry in os.scandir(FOLDER) if entry.is_dir())

    def i18n_domain(self) -> str:
        """Return the name of the catalogues."""
        return DOMAIN
