"""The target of a profile: a CKAN portal that is read and written through its API."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from ckanext.relay.errors import AnswerInvalid, AnswerTooLarge, RemoteStatus

from .calls import Caller, Forbidden, Missing, Redirected, Refused, SearchFailed
from .domain import revision
from .domain.marker import marker_of, normalised, origin_query, pusher_query
from .domain.payload import Dataset, Vocabulary
from .domain.schema import fields_of, fitted

__all__ = ["Catalog", "Forbidden", "Missing", "Redirected", "Refused", "SearchFailed", "Target"]

#: how many datasets a search shows at a time
ROWS = 1000
#: A search shows private datasets and drafts only if it is asked to, and only to whom may see them.
_ALL = {"include_private": True, "include_drafts": True}


class HasTarget(Protocol):
    """As much of a profile as is asked for here."""

    @property
    def ckan_url(self) -> str:
        """Return the address of the root of the portal."""

    def get_target(self) -> Any:
        """Return a client of ckanapi."""


@dataclass(frozen=True)
class Catalog:
    """What the target has that datasets may name.

    :ivar groups: names of the groups that our user may put datasets into
    :ivar vocabularies: tag vocabularies, by name
    """

    groups: frozenset[str]
    vocabularies: Mapping[str, Vocabulary]


class Target:
    """A portal that is pushed to; several threads may use it at a time, each has a client of its own.

    Close it after use, or use it as a context manager. All its methods raise what :meth:`.calls.Caller.call` raises,
    unless they say what they return instead.

    :param profile: says where it is; ``get_target()`` is asked for a client by each thread
    :ivar requests: how many were sent so far
    """

    def __init__(self, profile: HasTarget) -> None:
        self.profile = profile
        self.requests = 0
        self._callers: list[Caller] = []
        self._own = threading.local()
        self._lock = threading.Lock()
        self._catalog: Catalog | None = None
        self._catalog_lock = threading.Lock()
        #: keys of extras that are fields there, by type of dataset
        self._fields: dict[Any, frozenset[str]] = {}
        #: whether the portal can revise datasets, and those that were tried were as they had been
        self._is_revised = True

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            callers, self._callers = self._callers, []
            self._own = threading.local()
        for caller in callers:
            caller.close()

    def call(self, action: str, data: Mapping[str, Any] | None = None) -> Any:
        """Return the result of any action."""
        caller = getattr(self._own, "caller", None)
        if caller is None:
            caller = self._own.caller = Caller(self.profile.get_target())
            with self._lock:
                self._callers.append(caller)
        with self._lock:
            self.requests += 1
        return caller.call(action, data)

    # -- who it is

    def status(self) -> dict[str, Any]:
        """Return what the target says of itself."""
        return self._object("status_show", holds="site_url")

    def site(self) -> str:
        """Return the site URL by which the target knows itself, normalised."""
        url = self.status().get("site_url")
        if not isinstance(url, str) or not url.strip():
            raise self._invalid("The portal does not say which one it is")
        return normalised(url)

    def user(self, name: str | None = None) -> dict[str, Any] | None:
        """Return a user of the target, None if there is none.

        :param name: name or id; None: whose the token is, None if it is nobody's
        """
        try:
            return self._object("user_show", {"id": name} if name else {})
        except Missing:
            return None
        except Forbidden:
            if name:
                raise
            return None

    # -- datasets

    def show(self, id_or_name: str) -> Dataset | None:
        """Return a dataset, also a deleted one; None if there is none."""
        try:
            return self._object("package_show", {"id": id_or_name})
        except Missing:
            return None

    def find(self, origin: str) -> list[Dataset]:
        """Return the copies of one dataset, whoever pushed them there; private ones and drafts, too."""
        found, _ = self._search(origin_query(origin), 100)
        return [each for each in found if (marker := marker_of(each)) is not None and marker.origin == origin]

    def with_ids(self, ids: Iterable[str]) -> list[Dataset]:
        """Return those datasets that a search finds by their ids, up to a thousand; private ones and drafts, too."""
        listed = " OR ".join('"{}"'.format(each.replace("\\", "\\\\").replace('"', '\\"')) for each in ids)
        return self._search(f"id:({listed})", ROWS)[0] if listed else []

    def copies(self, site: str) -> Iterator[Dataset]:
        """Yield all datasets that a portal pushed there, in the order of their ids; private ones and drafts, too."""
        for each in self.matching(pusher_query(site)):
            marker = marker_of(each)
            if marker is not None and marker.pusher == normalised(site):
                yield each

    def matching(self, query: str) -> Iterator[Dataset]:
        """Yield all datasets that a filter query finds, in the order of their ids; private ones and drafts, too.

        :param query: a ``fq`` that ends where another condition may follow
        """
        rows, last = ROWS, ""
        while True:
            try:
                found, left = self._search(query + (f' +id:{{"{last}" TO *]' if last else ""), rows)
            except AnswerTooLarge:
                if rows == 1:
                    raise
                rows = max(rows // 4, 1)
                continue
            if found and str(found[0]["id"]) <= last:
                raise self._invalid("A search shows the same datasets again")
            yield from found
            if not found or left <= len(found):
                return
            last = str(found[-1]["id"])

    def create(self, payload: Mapping[str, Any]) -> Dataset:
        """Create a dataset and return it as it is then.

        :raises Refused: it is not valid there, or names a group that is not there
        """
        try:
            return self._written("package_create", payload)
        except Missing as missing:
            raise Refused(missing.url, {"groups": [missing.message]}) from missing

    def update(self, payload: Mapping[str, Any]) -> Dataset | None:
        """Update a dataset and return it as it is then; None if there is none.

        :param payload: with the ``id`` at the target
        :raises Refused: it is not valid there, or names a group that is not there
        """
        try:
            return self._written("package_update", payload)
        except Missing as missing:
            if self.show(payload["id"]) is None:
                return None
            raise Refused(missing.url, {"groups": [missing.message]}) from missing

    def revise(self, payload: Mapping[str, Any], modified: str) -> Dataset | None:
        """Update a dataset if it is as it was at a time, and return it as it is then; see :mod:`.domain.revision`.

        None: it was not, or the portal cannot do that, does not take it, or made something else of it. Where that is
        likely to come again, nothing more is tried, since it costs a request.

        :param payload: with the ``id`` at the target
        :param modified: ``metadata_modified`` of that time
        """
        if not self._is_revised:
            return None
        asked = fitted(payload, self._fields.get(payload.get("type"), frozenset()))
        try:
            answer = self._object("package_revise", revision.request(asked, modified), holds="package")["package"]
        except (Missing, Forbidden):
            return None
        except Refused as refusal:
            if "metadata_modified" in refusal.errors.get("match", ()):
                self._is_revised = False  # others write there, too
            return None
        except RemoteStatus as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            self._is_revised = False  # CKAN before 2.9
            return None
        if not _is_object(answer):
            raise self._invalid("The answer to package_revise is none of a CKAN portal")
        if not revision.holds(answer, asked):
            self._is_revised = False  # it has fields of its own, or others write there
            return None
        return dict(answer)

    def patch(self, id: str, **fields: Any) -> Dataset | None:
        """Change some fields of a dataset and return it as it is then; None if there is none."""
        try:
            return self._object("package_patch", {**fields, "id": id})
        except Missing:
            return None

    def delete(self, id: str) -> bool:
        """Delete a dataset, and return whether there was one."""
        try:
            self.call("package_delete", {"id": id})
        except Missing:
            return False
        return True

    def catalog(self, refresh: bool = False) -> Catalog:
        """Return what datasets may name; it is asked for once.

        :param refresh: ask again
        """
        with self._catalog_lock:
            if self._catalog is None or refresh:
                groups = self._list("group_list_authz")
                vocabularies = self._list("vocabulary_list")
                self._catalog = Catalog(
                    frozenset(str(group["name"]) for group in groups),
                    {str(each["name"]): _vocabulary(each) for each in vocabularies},
                )
            return self._catalog

    # -- organizations and groups

    def show_organization(self, id_or_name: str, kind: str = "organization") -> dict[str, Any] | None:
        """Return an organization without its members and datasets, None if there is none.

        :param kind: ``organization`` or ``group``
        """
        without = ("include_users", "include_groups", "include_dataset_count", "include_followers")
        try:
            return self._object(f"{kind}_show", {"id": id_or_name, **dict.fromkeys(without, False)})
        except Missing:
            return None

    def create_organization(self, fields: Mapping[str, Any], kind: str = "organization") -> dict[str, Any]:
        """Create an organization or a group and return it as it is then."""
        return self._object(f"{kind}_create", fields)

    def patch_organization(self, id: str, fields: Mapping[str, Any], kind: str = "organization") -> dict[str, Any]:
        """Change some fields of an organization or a group, whose members stay, and return it as it is then.

        :param fields: with a file among them, all others must be text
        """
        return self._object(f"{kind}_patch", {**fields, "id": id})

    # -- answers

    def _search(self, query: str, rows: int) -> tuple[list[Dataset], int]:
        """Return the datasets of a page, and how many there are in all."""
        data = {"fq": query, "rows": rows, "sort": "id asc", "facet": False, **_ALL}
        answer = self._object("package_search", data, holds="results")
        found, count = answer.get("results"), answer.get("count")
        if not isinstance(found, list) or not isinstance(count, int) or not all(map(_is_object, found)):
            raise self._invalid("The answer to package_search is none of a CKAN portal")
        return found, count

    def _object(self, action: str, data: Mapping[str, Any] | None = None, holds: str = "id") -> dict[str, Any]:
        """Call an action that answers with an object, which has at least the one field."""
        answer = self.call(action, data)
        if not isinstance(answer, dict) or holds not in answer:
            raise self._invalid(f"The answer to {action} is none of a CKAN portal")
        return answer

    def _written(self, action: str, payload: Mapping[str, Any]) -> Dataset:
        """Write a dataset; if the target has fields for some extras, once more with these."""
        kind = payload.get("type")
        known = self._fields.get(kind, frozenset())
        sent = fitted(payload, known)
        try:
            return self._object(action, sent)
        except Refused as refusal:
            fields = fields_of(sent, refusal.errors)
            if not fields:
                raise
            self._fields[kind] = known | fields
            return self._object(action, fitted(sent, fields))

    def _list(self, action: str) -> list[dict[str, Any]]:
        answer = self.call(action)
        if not isinstance(answer, list) or not all(isinstance(each, dict) and "name" in each for each in answer):
            raise self._invalid(f"The answer to {action} is none of a CKAN portal")
        return answer

    def _invalid(self, message: str) -> AnswerInvalid:
        return AnswerInvalid(self.profile.ckan_url, message)


def _is_object(each: Any) -> bool:
    return isinstance(each, dict) and isinstance(each.get("id"), str)


def _vocabulary(vocabulary: Mapping[str, Any]) -> Vocabulary:
    tags = vocabulary.get("tags") or ()
    return Vocabulary(str(vocabulary.get("id")), frozenset(str(tag.get("name")) for tag in tags))
