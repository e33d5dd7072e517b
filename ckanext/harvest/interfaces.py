"""The hook for harvesters: what the three stages are given and what they answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckan.plugins.interfaces import Interface

if TYPE_CHECKING:
    from ckanext.relay.http import GuardedSession

    from .model import HarvestJob, HarvestObject


class IHarvester(Interface):
    """A kind of remote source.

    Harvesters are found by the ``name`` of :meth:`info`. Each is one instance for the life of the process, shared by
    all sources and jobs: keep nothing of a run on ``self``. Stages run in a worker process, one at a time, inside a
    CKAN request context; they may commit, roll back and remove ``model.Session`` at will.
    """

    def info(self) -> dict[str, Any]:
        """Return ``name`` (kept in the database as the type of a source), ``title`` and ``description``.

        ``form_config_interface: 'Text'`` in it shows the configuration field in the form of a source.
        """
        raise NotImplementedError

    def validate_config(self, config: str | None) -> str | None:
        """Return the configuration to store; whatever is raised is shown at the form's ``config`` field.

        :param config: what the form holds, which may be None or empty
        """
        return config

    def get_original_url(self, harvest_object_id: str) -> str | None:
        """Return the remote URL of a record, for error reports, or None."""
        return None

    def gather_stage(self, harvest_job: HarvestJob) -> list[str] | None:
        """Save a HarvestObject for each remote record and return their ids.

        An empty list is a source with nothing to do. Anything that is not a list means the stage failed; save the
        reason with ``HarvestGatherError.create`` first. An exception fails the job and deletes its objects.
        """
        raise NotImplementedError

    def fetch_stage(self, harvest_object: HarvestObject) -> bool | str | None:
        """Put the record's content into ``harvest_object.content``.

        :returns: True to go on to the import; ``'unchanged'`` if there is nothing to import; anything else is an error
        """
        raise NotImplementedError

    def import_stage(self, harvest_object: HarvestObject) -> bool | str | None:
        """Create, update or delete the dataset of the record.

        Set ``package_id`` and ``current`` on the object and clear ``current`` on the older objects of the dataset;
        after a deletion ``current`` is False on all of them.

        :returns: True if it was done; ``'unchanged'`` if there was nothing to do; a falsy value is an error
        """
        raise NotImplementedError


class Streams:
    """What a harvester may offer beyond :class:`IHarvester`, so that records are imported while others are gathered."""

    def gather_pages(self, harvest_job: HarvestJob) -> Iterator[list[str]]:
        """Yield the ids of objects that are saved with ``published=True``, page by page.

        Used instead of ``gather_stage`` unless a subclass overrides that below this. After an exception the objects
        published so far stay; the method is called again if the worker died, and skips what it finds saved.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Preview:
    """What a harvester sees at an address of its type.

    :param count: how many records a run would find, None if that cannot be told
    :param records: the titles of some of them
    """

    count: int | None = None
    records: tuple[str, ...] = ()


class Previews:
    """What a harvester may offer beyond :class:`IHarvester`, so that a source can be tested before it is saved."""

    def preview(self, session: GuardedSession, url: str, config: str | None) -> Preview:
        """Look what is at an address, with a request or two; somebody waits in front of a form.

        Not asked for a subclass that overrides ``gather_stage`` and not this. Web requests run in threads: keep nothing
        on ``self``.

        :param session: guarded, ends by itself after ten seconds
        :param config: of the source as it would be stored
        :raises AnswerInvalid: something is there, of another type (see ``ckanext.relay.errors``)
        :raises RelayError: there is no answer
        """
        raise NotImplementedError
