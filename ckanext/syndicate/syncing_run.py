"""One run of a ``SynchronizationClient``: what is done in which order, and what is noted of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Any

from ckanext.relay.errors import RelayError
from ckanext.relay.redaction import scrub

from .calls import Forbidden, Missing, Refused
from .domain import synchronization as sync
from .domain.payload import Dataset
from .domain.sync_result import Changes, Failure, SyncResult
from .domain.sync_source import Source
from .domain.synchronization import Record
from .remote_portal import Portal

log = logging.getLogger("ckanext.syndicate.syncing")

#: after how many failures in a row that may pass, as an outage does, the portal is left alone
_OUTAGE = 3
_DOING = {"create": "Creating", "update": "Updating", "delete": "Deleting"}


class DependencyFailed(RelayError):
    """Something else that this needs could not be written."""


@dataclass(frozen=True)
class Step:
    """Something to be done with one object.

    :ivar action: ``create``, ``update`` or ``delete``; of groups and organizations, ``update`` stands for either
    """

    kind: str
    action: str
    source_id: str
    perform: Callable[[], Done]


@dataclass(frozen=True)
class Done:
    """What came of a step: ``created``, ``updated``, ``unchanged`` or ``deleted``, and the id at the portal."""

    what: str
    id: str | None = None


@dataclass(frozen=True)
class Update:
    """A dataset of the portal, and the fields in which it is not as the source has it."""

    remote: Dataset
    fields: Record


class Run:
    """Does it all once, and collects what was done.

    :param conf: the checked options
    :ivar stopped: why nothing more is tried, or None
    :ivar cause: the error that stopped the run, or None
    :ivar ids: ids at the portal by kind and source id
    """

    def __init__(self, portal: Portal, source_name: str, source: Source, conf: Mapping[str, Any]) -> None:
        self.stopped: str | None = None
        self.cause: RelayError | None = None
        self.ids: dict[str, dict[str, str]] = {"dataset": {}, "group": {}, "organization": {}}
        self._portal = portal
        self._name = source_name
        self._source = source
        self._conf = conf
        self._dry = bool(conf["dry_run"])
        self._lists: dict[tuple[str, str], list[str]] = {}
        self._failed: list[Failure] = []
        self._failures_in_a_row = 0
        #: groups and organizations that could not be written, by kind and name
        self._unwritten: set[tuple[str, str]] = set()
        #: dataset types and fields that the portal does not keep
        self._unkept: set[tuple[str, str]] = set()
        self._done = self._all = 0

    def result(self) -> SyncResult:
        """Return what was done so far."""
        datasets = {what: self._listed("dataset", what) for what in ("created", "updated", "unchanged", "deleted")}
        return SyncResult(
            source_name=self._name,
            **datasets,
            held=self._listed("dataset", "held"),
            untried=self._listed("dataset", "untried"),
            failed=tuple(self._failed),
            stopped=self.stopped,
            groups=self._changes("group"),
            organizations=self._changes("organization"),
            ignored_fields=tuple(sorted({field for _, field in self._unkept})),
            ids=self.ids["dataset"],
            dry_run=self._dry,
        )

    def _listed(self, kind: str, what: str) -> tuple[str, ...]:
        return tuple(self._lists.get((kind, what), ()))

    def _changes(self, kind: str) -> Changes:
        return Changes(*(self._listed(kind, what) for what in ("created", "updated", "unchanged")))

    # -- groups and organizations

    def groups(self, kind: str, look: bool = False) -> None:
        """Create the groups or organizations that are missing, and update the others if that is wanted.

        :param look: whether ids are asked for where nothing else is
        """
        records = self._source.groups if kind == "group" else self._source.organizations
        updates = self._conf[f"{kind}_merge_strategy"] == "update"
        listed = self._portal.names(kind) if records and not updates and not look else set()
        for name in records.keys() & listed:
            self._note(kind, "unchanged", name)
        self._perform(
            Step(kind, "update", name, partial(self._upsert, kind, record, updates))
            for name, record in records.items()
            if name not in listed
        )

    def _upsert(self, kind: str, record: Record, updates: bool) -> Done:
        name = record["name"]
        there = self._portal.group(kind, name)
        if there is None:
            try:
                return self._create_group(kind, record)
            except Refused:
                # the answer to the first try may have been lost
                there = self._portal.group(kind, name)
                if there is None:
                    raise
                return Done("created", there["id"])
        fields = sync.group_changes(there, record)
        if not updates:
            fields = {field: value for field, value in fields.items() if field == "state"}
        if not fields:
            return Done("unchanged", there["id"])
        if self._dry:
            return Done("updated", there["id"])
        answer = self._portal.patch_organization(there["id"], fields, kind)
        return Done("unchanged" if sync.is_as_before(there, answer, fields) else "updated", there["id"])

    def _create_group(self, kind: str, record: Record) -> Done:
        if self._dry:
            return Done("created")
        return Done("created", self._portal.create_organization(sync.group_payload(record), kind)["id"])

    # -- datasets

    def datasets(self) -> None:
        """Find the datasets of the source, create and update, and delete those that the source has no more."""
        if self.stopped is not None:
            self._lists["dataset", "untried"] = list(self._source.ids)
            return
        updates: dict[str, Update] = {}
        gone: dict[str, Dataset] = {}
        for source_id, remote in self._there():
            self.ids["dataset"][source_id] = remote["id"]
            if source_id not in self._source.ids:
                gone[source_id] = {"id": remote["id"], "name": remote["name"]}
            elif fields := sync.changes(remote, self._merged(source_id, remote)):
                updates[source_id] = Update(remote, fields)
            else:
                self._note("dataset", "unchanged", source_id)
        new = {source_id: None for source_id in self._source.ids if source_id not in self.ids["dataset"]}
        if len(gone) > sync.most_deletions(self._conf["max_delete"], len(self.ids["dataset"]), len(self._source.ids)):
            log.warning("%d datasets of %s are not deleted: they are too many", len(gone), self._name)
            self._lists["dataset", "held"] = list(gone)
            names = {dataset["name"] for dataset in gone.values()}
            # they would be second copies, under names that nobody knows
            untried = [source_id for source_id in new if self._name_for(source_id, None) in names]
            self._lists["dataset", "untried"] = untried
            for source_id in untried:
                del new[source_id]
            gone = {}
        self._all = len(new) + len(updates) + len(gone)
        self._write({**new, **updates}, gone)

    def _there(self) -> Iterator[tuple[str, Dataset]]:
        """Yield the datasets of the source that the portal has."""
        seen = set()
        for dataset in self._portal.matching(sync.source_query(self._name)):
            source_id = sync.source_id_of(dataset, self._name)
            if source_id in seen:
                log.warning("%s at the portal is a second copy of %s, and left alone", dataset["name"], source_id)
            elif source_id is not None:
                seen.add(source_id)
                yield source_id, dataset

    def _write(self, wanted: dict[str, Update | None], gone: dict[str, Dataset]) -> None:
        """Delete what has a name that is wanted, create and update, and delete the rest.

        :param wanted: by source id; None for a dataset that is to be created
        """
        names = {self._name_for(source_id, update) for source_id, update in wanted.items()}
        in_the_way = [source_id for source_id, dataset in gone.items() if dataset["name"] in names]
        self._perform(self._deletion(source_id, gone.pop(source_id)) for source_id in in_the_way)
        while wanted:
            # a dataset that takes the name of another waits until that has its new one; in a circle nobody waits
            held = {update.remote["name"] for update in wanted.values() if update and "name" in update.fields}
            ready = [key for key, update in wanted.items() if self._name_for(key, update) not in held] or list(wanted)
            self._perform(self._change(source_id, wanted.pop(source_id)) for source_id in ready)
        self._perform(self._deletion(source_id, dataset) for source_id, dataset in gone.items())

    def _name_for(self, source_id: str, update: Update | None) -> str | None:
        """Return the name that a dataset is to get, or None if it keeps its own."""
        if update is None:
            return sync.wanted_name(self._source.dataset(source_id))
        name: str | None = update.fields.get("name")
        return name

    def _deletion(self, source_id: str, dataset: Dataset) -> Step:
        return Step("dataset", "delete", source_id, lambda: self._delete(dataset))

    def _change(self, source_id: str, update: Update | None) -> Step:
        if update is not None:
            return Step("dataset", "update", source_id, lambda: self._update(source_id, update))
        record = self._prepared(source_id)
        return Step("dataset", "create", source_id, lambda: self._create(source_id, record))

    def _marker(self, source_id: str) -> str:
        return sync.join_source_id(self._name, source_id)

    def _prepared(self, source_id: str) -> Record:
        return sync.prepared(self._source.dataset(source_id), self._marker(source_id))

    def _merged(self, source_id: str, remote: Dataset) -> Record:
        return sync.merged(sync.from_portal(remote), self._prepared(source_id), self._conf)

    # -- one dataset; in threads

    def _create(self, source_id: str, record: Record) -> Done:
        self._check_dependencies(record.get("owner_org"), record.get("groups") or ())
        if self._dry:
            return Done("created")
        fields = sync.payload({"state": "active", **record})
        answer = self._with_a_name(
            source_id, sync.wanted_name(record), lambda name: self._portal.create({**fields, "name": name})
        )
        self._learn(answer, fields)
        return Done("created", answer["id"])

    def _update(self, source_id: str, update: Update) -> Done:
        remote, kind = update.remote, str(update.remote.get("type"))
        fields = {field: value for field, value in update.fields.items() if (kind, field) not in self._unkept}
        self._check_dependencies(fields.get("owner_org"), [group["name"] for group in fields.get("groups") or ()])
        if self._dry or not fields:
            return Done("updated" if fields else "unchanged", remote["id"])

        def send(name: str) -> Dataset | None:
            return self._portal.change(remote["id"], fields if "name" not in fields else {**fields, "name": name})

        answer = self._with_a_name(source_id, str(fields.get("name", remote["name"])), send)
        if answer is None:  # deleted in the meantime, or long ago, and its index does not know
            return self._create(source_id, self._prepared(source_id))
        self._learn(answer, fields)
        return Done("unchanged" if sync.is_as_before(remote, answer, fields) else "updated", remote["id"])

    def _delete(self, dataset: Dataset) -> Done:
        if not self._dry:
            self._portal.delete(dataset["id"])
        return Done("deleted")

    def _check_dependencies(self, owner: Any, groups: Iterable[Any]) -> None:
        for kind, name in (("organization", owner), *(("group", group) for group in groups)):
            if (kind, str(name)) in self._unwritten:
                raise DependencyFailed(f"The {kind} {name} could not be written")

    def _with_a_name(self, source_id: str, wanted: str, send: Callable[[str], Dataset | None]) -> Any:
        """Send a dataset under the wanted name or, if that is taken, under another one."""
        refused: Refused | None = None
        for name in sync.names_for(wanted, self._marker(source_id)):
            try:
                return send(name)
            except Refused as error:
                refused = error
                holder = self._holder(error, name)
            if sync.source_id_of(holder, self._name) == source_id:
                return self._adopted(source_id, holder)
        assert refused is not None
        raise refused

    def _holder(self, error: Refused, name: str) -> Dataset:
        """Return the dataset that has a name, as much as may be seen of it.

        :raises Refused: it is not the name for which something was refused
        """
        if set(error.errors) - {"message"} != {"name"}:
            raise error
        try:
            holder = self._portal.show(name)
        except Forbidden:
            return {}
        if holder is None or holder.get("name") != name or holder.get("state") == "deleted":
            raise error
        return holder

    def _adopted(self, source_id: str, dataset: Dataset) -> Dataset:
        """Return a dataset that is there already, because the answer to its creation was lost, as it is to be."""
        fields = sync.changes(dataset, self._merged(source_id, dataset))
        answer = self._portal.change(dataset["id"], fields) if fields else dataset
        if answer is None:
            raise Missing(self._portal.profile.ckan_url, "The dataset was deleted by somebody else at the same time")
        return answer

    def _learn(self, answer: Dataset, sent: Record) -> None:
        """Remember what the portal does not keep, so that it is not sent again and again."""
        self._unkept.update((str(answer.get("type")), field) for field in sync.unkept(answer, sent))

    # -- steps

    def _perform(self, steps: Iterable[Step]) -> None:
        """Do the steps, several at a time, until the run is stopped."""
        if self._conf["threads"] == 1:
            for step in self._tried(steps):
                self._end(step, _outcome(step))
            return
        with ThreadPoolExecutor(self._conf["threads"]) as pool:
            under_way: dict[Future[Done | RelayError], Step] = {}
            for step in self._tried(steps):
                under_way[pool.submit(_outcome, step)] = step
                if len(under_way) >= 2 * self._conf["threads"]:
                    self._collect(under_way, FIRST_COMPLETED)
            while under_way:
                self._collect(under_way, FIRST_COMPLETED)

    def _collect(self, under_way: dict[Future[Done | RelayError], Step], when: str) -> None:
        for future in wait(under_way, return_when=when).done:
            self._end(under_way.pop(future), future.result())

    def _tried(self, steps: Iterable[Step]) -> Iterator[Step]:
        for step in steps:
            if self.stopped is None:
                if step.kind == "dataset" and not self._dry:
                    log.info("%s dataset %s", _DOING[step.action], step.source_id)
                yield step
            else:
                self._lists.setdefault((step.kind, "untried"), []).append(step.source_id)

    def _end(self, step: Step, outcome: Done | RelayError) -> None:
        """Note what came of a step."""
        if isinstance(outcome, Done):
            self._failures_in_a_row = 0
            self._note(step.kind, outcome.what, step.source_id, outcome.id)
        else:
            self._fail(step, outcome)
        if step.kind == "dataset":
            self._done += 1
            if self._conf["progress"]:
                self._conf["progress"](self._done, self._all)

    def _note(self, kind: str, what: str, source_id: str, id: str | None = None) -> None:
        self._lists.setdefault((kind, what), []).append(source_id)
        if id is not None:
            self.ids[kind][source_id] = id
        elif what == "deleted":
            del self.ids[kind][source_id]

    def _fail(self, step: Step, error: RelayError) -> None:
        reason = scrub(str(error))
        log.warning("Cannot %s %s %s: %s", step.action, step.kind, step.source_id, reason)
        self._failed.append(Failure(step.kind, step.source_id, step.action, reason, error))
        if step.kind != "dataset":
            self._unwritten.add((step.kind, step.source_id))
        self._failures_in_a_row = 0 if error.permanent else self._failures_in_a_row + 1
        if self._conf["on_error"] == "stop":
            why = f"{step.kind} {step.source_id}: {reason}"
        elif self._failures_in_a_row == _OUTAGE:
            why = f"The portal failed {_OUTAGE} times in a row: {reason}"
        else:
            return
        if self.stopped is None:
            self.stopped, self.cause = why, error


def _outcome(step: Step) -> Done | RelayError:
    """Do a step, in a thread of its own or not, and return what went wrong instead of raising it."""
    try:
        return step.perform()
    except RelayError as error:
        return error
