"""What a synchronization did, or would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ckanext.relay.errors import RelayError


@dataclass(frozen=True)
class Failure:
    """One object that is not as it should be.

    :ivar kind: ``dataset``, ``group`` or ``organization``
    :ivar source_id: which one
    :ivar step: what was tried: ``create``, ``update``, ``delete``
    :ivar reason: what went wrong, for a person; without secrets
    :ivar error: the error itself
    """

    kind: str
    source_id: str
    step: str
    reason: str
    error: RelayError = field(repr=False, compare=False)


@dataclass(frozen=True)
class Changes:
    """What was done with groups, or with organizations: their names."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


@dataclass(frozen=True)
class SyncResult:
    """What one run did; in a dry run, what it would have done.

    It is true if all is done: nothing has failed, nothing was held back, and nothing was left out.

    :ivar created: source ids of datasets, as are the next ones
    :ivar unchanged: those that are as they should be, for which nothing was sent or the portal changed nothing
    :ivar deleted: of datasets that the source does not have any more
    :ivar held: those that were not deleted, because they are more than ``max_delete`` allows
    :ivar untried: those that were not reached, because the run was stopped
    :ivar failed: what went wrong, groups and organizations included
    :ivar stopped: why the run ended early, or None
    :ivar ignored_fields: fields of datasets that the portal does not keep
    :ivar ids: ids at the portal, by source id
    :ivar dry_run: whether nothing was written
    """

    source_name: str
    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    untried: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()
    stopped: str | None = None
    groups: Changes = Changes()
    organizations: Changes = Changes()
    ignored_fields: tuple[str, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict, repr=False)
    dry_run: bool = False

    def __bool__(self) -> bool:
        return not (self.failed or self.held or self.untried or self.stopped)

    @property
    def counts(self) -> dict[str, int]:
        """How many datasets were created, updated and so on; failures of groups and organizations count, too."""
        names = ("created", "updated", "unchanged", "deleted", "held", "untried", "failed")
        return {name: len(getattr(self, name)) for name in names}

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        lists = {name: list(getattr(self, name)) for name in self.counts if name != "failed"}
        return {
            "source_name": self.source_name,
            "dry_run": self.dry_run,
            "complete": bool(self),
            "counts": self.counts,
            **lists,
            "failed": [
                {"kind": each.kind, "source_id": each.source_id, "step": each.step, "reason": each.reason}
                for each in self.failed
            ],
            "stopped": self.stopped,
            "groups": {name: list(names) for name, names in vars(self.groups).items()},
            "organizations": {name: list(names) for name, names in vars(self.organizations).items()},
            "ignored_fields": list(self.ignored_fields),
            "ids": dict(self.ids),
        }
