"""Functions of CKAN that are something else for the time of a block, where CKAN offers no other way."""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

#: what stands in, for this thread, by the function that it stands in for
_stand_ins: ContextVar[Mapping[Callable[..., Any], Callable[..., Any]]] = ContextVar("stand_ins", default={})  # noqa: B039
_installing = threading.Lock()


@contextlib.contextmanager
def replaced(owner: Any, name: str, stand_in: Callable[..., Any]) -> Iterator[None]:
    """Let a function of a module, a class or an object be another one in the block.

    Only for the thread that runs the block: in a web server, others save and search meanwhile. So the attribute is set
    once and for all to a function that knows for whom it is called; blocks may overlap, and end in any order.

    :param owner: whose attribute is replaced
    :param stand_in: takes the same arguments; what it replaces is found as :func:`current` says
    """
    entry = _entry(owner, name)
    token = _stand_ins.set({**_stand_ins.get(), entry: stand_in})
    try:
        yield
    finally:
        _stand_ins.reset(token)


def current(owner: Any, name: str) -> Callable[..., Any]:
    """Return what a function is now for this thread: what stands in for it in the innermost block, or itself."""
    entry = _entry(owner, name)
    return _stand_ins.get().get(entry, entry.__wrapped__)


def _entry(owner: Any, name: str) -> Any:
    with _installing:
        function = getattr(owner, name)
        if getattr(function, "_stands_in", False):
            return function

        @functools.wraps(function)
        def entry(*args: Any, **kwargs: Any) -> Any:
            return _stand_ins.get().get(entry, function)(*args, **kwargs)

        entry._stands_in = True  # type: ignore[attr-defined]
        is_bound = isinstance(inspect.getattr_static(owner, name), (classmethod, staticmethod))
        setattr(owner, name, staticmethod(entry) if is_bound else entry)
        return entry
