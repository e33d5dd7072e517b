"""A Celery worker of which a process dies, as by ``kill -9``, when it comes to a step that a test has named.

Runs as ``python -m ckanext.syndicate.tests.dying_worker`` with Celery's own arguments. A test writes the name of a step
into the file that ``RELAY_DIE_AT`` names; the process that takes the file away dies there.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery.bin.celery import main as celery

from ckanext.relay import celery_app

#: Steps of a push: module and function of ckanext.syndicate, and whether the process dies before or after it.
STEPS = {
    "claimed": ("model.outbox", "claim", "after"),
    "noted what it is about to do": ("model.copies", "intend", "after"),
    "the target has it": ("delivery", "deliver", "after"),
    "recorded": ("model.copies", "record", "after"),
    "the row is taken away": ("model.outbox", "done_with", "after"),
    "done": ("batch", "Batch._end", "after"),
}


def die(step: str) -> None:
    """End this process if a test wants it to end here."""
    order = Path(os.environ["RELAY_DIE_AT"])
    try:
        if order.read_text() != step:
            return
        order.unlink()
    except FileNotFoundError:
        return  # nobody wants it, or another process just did
    os.kill(os.getpid(), signal.SIGKILL)


def dying(step: str, when: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            die(step)
        result = function(*args, **kwargs)
        if when == "after":
            die(step)
        return result

    return wrapped


def main() -> None:
    celery_app._flask_app()  # loads the plugin; the processes that are forked have what is patched here
    for step, (name, function, when) in STEPS.items():
        *path, last = function.split(".")
        owner = functools.reduce(getattr, path, sys.modules[f"ckanext.syndicate.{name}"])
        setattr(owner, last, dying(step, when, getattr(owner, last)))
    sys.exit(celery())


if __name__ == "__main__":
    main()
