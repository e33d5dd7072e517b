"""How a dataset gets a name that no other has."""

from __future__ import annotations

from collections.abc import Collection, Iterator

#: The longest name that CKAN takes.
MAX_LENGTH = 100
NUMBER_SEQUENCE, RANDOM_HEX = "number-sequence", "random-hex"
_ROOM = {NUMBER_SEQUENCE: 3, RANDOM_HEX: 5}
_LAST_NUMBER = 999


def stem(ideal: str, append_type: str) -> str:
    """Return what all names that may clash begin with: the ideal name with room for a suffix.

    :raises NotImplementedError: there is no such ``append_type``
    """
    if append_type not in _ROOM:
        raise NotImplementedError(f"append_type {append_type!r}; there are {sorted(_ROOM)}")
    return ideal[: MAX_LENGTH - _ROOM[append_type]]


def unique(ideal: str, existing: str | None, taken: Collection[str], append_type: str, random_hex: str) -> str | None:
    """Return a name that is not taken, as near as can be to the ideal one.

    :param existing: the name the dataset has now, which it may keep
    :param taken: the names that begin with :func:`stem`
    :param random_hex: at least five characters, for ``random-hex``
    :returns: None if all numbers are used up
    """
    ideal = ideal[:MAX_LENGTH]
    others = {name.lower() for name in taken if name != existing}
    if ideal.lower() not in others:
        return ideal
    if existing and existing.startswith(ideal):
        return existing
    base = stem(ideal, append_type)
    if append_type == RANDOM_HEX:
        return base + random_hex[: _ROOM[RANDOM_HEX]]
    return next((name for name in _numbered(base) if name.lower() not in others), None)


def _numbered(base: str) -> Iterator[str]:
    return (f"{base}{number}" for number in range(1, _LAST_NUMBER + 1))
