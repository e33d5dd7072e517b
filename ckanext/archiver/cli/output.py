"""What the commands share: progress bars, and messages in place of tracebacks."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeVar

import ckan.plugins.toolkit as tk
import click

from ckanext.relay.errors import RelayError

Item = TypeVar("Item")


class Command(click.Command):
    """A command that ends with a message, not with a traceback, if what it was given is wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except tk.ObjectNotFound as error:
            raise click.ClickException(str(error) or "Not found") from None
        except RelayError as error:
            raise click.ClickException(f"{error} {error.hint or ''}".rstrip()) from None


def with_progress(items: Iterable[Item], label: str, length: int | None = None) -> Iterator[Item]:
    """Yield the items, and show on standard error, if that is a terminal, how far we are."""
    if not sys.stderr.isatty():
        yield from items
        return
    if length is None and isinstance(items, Collection):
        length = len(items)
    with click.progressbar(items, length=length, label=label, file=sys.stderr) as bar:
        yield from bar
