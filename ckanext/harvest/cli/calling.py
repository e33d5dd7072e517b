"""What the commands share: calling actions, what is said when one fails, and progress bars."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import ckan.plugins.toolkit as tk
import click
from ckan import model
from ckan.lib.search import SearchError
from kombu.exceptions import OperationalError

from ckanext.harvest import progress
from ckanext.harvest.model import HarvestJob, HarvestSource
from ckanext.relay.errors import redact


class ActionCommand(click.Command):
    """A command that ends with a message, not with a traceback, if what it was given is wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        with errors_as_messages():
            return super().invoke(ctx)


@contextlib.contextmanager
def errors_as_messages() -> Iterator[None]:
    """Turn the errors that actions raise for wrong input into messages of the command."""
    try:
        yield
    except tk.ValidationError as error:
        if message := getattr(error, "message", None):
            raise click.ClickException(message) from None
        lines = [f"{field}: {'; '.join(map(str, messages))}" for field, messages in error.error_dict.items()]
        raise click.ClickException("An error occurred:\n" + "\n".join(lines)) from None
    except tk.ObjectNotFound as error:
        raise click.ClickException(str(error) or "Not found") from None
    except SearchError as error:
        raise click.ClickException(f"{error}. Try again when it does.") from None
    except OperationalError as error:
        raise click.ClickException(redact(f"The message broker cannot be reached: {error}")) from None


def call(action: str, data_dict: dict[str, Any], **context: Any) -> Any:
    """Call an action as the site user."""
    site_user = tk.get_action("get_site_user")({"ignore_auth": True}, {})
    return tk.get_action(action)({"user": site_user["name"], "ignore_auth": False, **context}, data_dict)


def id_of_source(id_or_name: str) -> str:
    """Return the id of a source.

    :raises ObjectNotFound: there is none; says where to look
    """
    if source := _source(id_or_name):
        return str(source.id)
    raise tk.ObjectNotFound(f"There is no harvest source {id_or_name}. ckan harvester sources all lists them")


def job_or_source(reference: str) -> str:
    """Return what names a job by its id, or a source by id or name.

    :raises ObjectNotFound: there is neither; says where to look
    """
    if HarvestJob.get(reference) or _source(reference):
        return reference
    raise tk.ObjectNotFound(
        f"There is no harvest job or source {reference}. ckan harvester jobs and ckan harvester sources all list them"
    )


def _source(id_or_name: str) -> HarvestSource | None:
    package = model.Package.get(id_or_name)
    return HarvestSource.get(package.id) if package else None


@contextlib.contextmanager
def progress_bar(label: str) -> Iterator[None]:
    """Show on standard error how far the work inside the block is, as soon as it says how much there is to do."""
    bars: list[Any] = []

    def show(done: int, total: int) -> None:
        if bars and bars[0].finished and bars[0].length != total:  # another piece of work
            bars.pop().__exit__(None, None, None)
        if not bars:
            bars.append(click.progressbar(length=total, label=label, file=sys.stderr))
            bars[0].__enter__()
        bars[0].length = max(total, 1)
        bars[0].update(done - bars[0].pos)

    try:
        with progress.told_to(show):
            yield
    finally:
        if bars:
            bars[0].__exit__(None, None, None)
