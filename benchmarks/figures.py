"""Figures of two sides beside each other, and what was wanted of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import machine

REFERENCE, OURS = "reference", "ours"

#: How a figure is got of a round, how many digits it has, and whether the sides are compared by it; by its name.
Figures = Mapping[str, tuple[Callable[[Any], float | None], int, bool]]


@dataclass(frozen=True)
class Target:
    """What was wanted and what came of it; ``met`` is None if it was not measured."""

    what: str
    wanted: str
    got: str
    met: bool | None


def target_lines(targets: Iterable[Target]) -> Iterator[str]:
    words = {True: "met", False: "MISSED", None: "-"}
    for target in targets:
        yield f"{words[target.met]:<7} {target.what:<50} wanted {target.wanted}, got {target.got}"


def sections(method: str, about: Mapping[str, str], table: Iterable[str], targets: Iterable[Target]) -> list[str]:
    """Return a record in Markdown.

    :param about: the machine
    """
    return [
        method,
        f"## Machine\n\n{machine.listed(about)}",
        f"## Figures\n\n{machine.code(table)}",
        f"## Targets\n\n{machine.code(target_lines(targets))}",
    ]


def side_by_side(
    figures: Figures, rounds: Mapping[str, Any], titles: Mapping[str, str], rates: Collection[str]
) -> Iterator[str]:
    """Yield a table of what two sides needed, and how many times better ours is.

    :param rounds: by side; None: was not measured
    :param titles: by side
    :param rates: the figures of which more is better
    """
    reference, ours = rounds[REFERENCE], rounds[OURS]
    yield f"{'':<34}{titles[REFERENCE]:>20}{titles[OURS]:>16}{'ratio':>10}"
    for name, (figure, digits, compared) in figures.items():
        values = [None if each is None else figure(each) for each in (reference, ours)]
        cells = [("-" if value is None else f"{value:.{digits}f}") for value in values]
        ratio = _ratio(values[0], values[1], name in rates) if compared else ""
        yield f"  {name:<32}{cells[0]:>20}{cells[1]:>16}{ratio:>10}"


def _ratio(reference: float | None, ours: float | None, more: bool) -> str:
    if not reference or not ours:
        return "-"
    return f"{ours / reference if more else reference / ours:.2f}x"
