"""How far a long piece of work is, told to who started it, if anybody wants to hear it.

A context variable and no argument, because between the two there is an action, whose arguments are the API.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import TypeVar

Listener = Callable[[int, int], None]
Item = TypeVar("Item")

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextlib.contextmanager
def told_to(listener: Listener) -> Iterator[None]:
    """Call a function with (done, total) whenever the work inside the block gets on."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def report(done: int, total: int) -> None:
    """Say that so many of so many are done."""
    if listener := _listener.get():
        listener(done, total)


def of(items: Sequence[Item]) -> Iterator[Item]:
    """Yield each of the items and report how many are done."""
    for done, item in enumerate(items):
        report(done, len(items))
        yield item
    report(len(items), len(items))
