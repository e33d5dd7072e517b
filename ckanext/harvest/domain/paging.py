"""How far a search that is read page by page has come, and whether all of it was read.

A remote portal goes on changing while it is read: a dataset that is deleted moves all that follow one place up, so that
one of them may slip through between two pages. What tells is the portal's own count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

#: How many pages in a row may have nothing new: many new datasets before those that were read move all of them on.
_REPEATS = 3

Record = TypeVar("Record", bound=Mapping[str, Any])


class Paging:
    """What is known of a search after each of its pages."""

    def __init__(self) -> None:
        #: where the next page starts: by what came, not by what was asked for, since a portal may allow fewer rows
        self.start = 0
        #: of the datasets that came
        self.ids: set[str] = set()
        #: how many there are, as the portal said last; None if it does not say
        self.count: int | None = None
        #: nothing more is to be asked for
        self.over = False
        #: something was removed while it was read, so that a dataset may have slipped through
        self.shrank = False
        self._changed = False
        self._repeats = 0

    def take(self, page: Sequence[Record], count: object) -> list[Record]:
        """Note a page and return what of it did not come before; what has no id cannot be told and is always new."""
        self._note_count(count)
        new: list[Record] = []
        nameless = 0
        for record in page:
            record_id = record.get("id")
            if not (record_id and isinstance(record_id, str)):
                nameless += 1
                new.append(record)
            elif record_id not in self.ids:
                self.ids.add(record_id)
                new.append(record)
        self.start += len(page)
        # a page of nothing but nameless ones moves on as long as a count says where it ends
        moves_on = len(new) > nameless or (nameless == len(page) and self.count is not None)
        self._repeats = 0 if moves_on or not page else self._repeats + 1
        read = len(self.ids) if self._repeats else self.start
        all_read = self.count is not None and read >= self.count
        nothing_more = not page or (self._repeats and self.count is None)
        self.over = bool(all_read or nothing_more or self._repeats >= _REPEATS)
        return new

    def _note_count(self, count: object) -> None:
        if not isinstance(count, int) or isinstance(count, bool):
            return
        if self.count is not None and count != self.count:
            self._changed = True
            self.shrank = self.shrank or count < self.count
        self.count = count

    @property
    def stuck(self) -> bool:
        """Whether page after page had nothing new although the portal says that there is more: it ignores ``start``."""
        return self._repeats >= _REPEATS

    @property
    def complete(self) -> bool:
        """Whether the ids are all that there are: as many as the portal said, and it said the same on each page."""
        return not self._changed and self.count == len(self.ids)
