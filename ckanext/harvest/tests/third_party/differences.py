"""Where our engine leaves something else than ckanext-harvest 1.6.3 did, and why that is right.

``test_third_party`` accepts no difference that is not listed here, and none here that is no difference any more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .harvests import RUNS

#: What stands for a value that is not there.
ABSENT = "<absent>"


@dataclass(frozen=True)
class Difference:
    """A difference that is justified.

    :ivar sources: names of the sources, each of which must show it
    :ivar path: regular expression for the whole path of the value
    :ivar recorded, ours: regular expressions for the whole values as Python writes them
    """

    sources: tuple[str, ...]
    path: str
    recorded: str
    ours: str
    why: str
    runs: tuple[int, ...] = RUNS

    def allows(self, path: str, recorded: Any, ours: Any) -> bool:
        pairs = ((self.path, path), (self.recorded, repr(recorded)), (self.ours, repr(ours)))
        return all(re.fullmatch(pattern, text, re.DOTALL) for pattern, text in pairs)


DIFFERENCES = (
    Difference(
        sources=("dkan", "arcgis", "ods", "junar"),
        path=r"/(datasets|found)/[^/]+/extras/\d+/value",
        recorded="'<object .* of <job 1>>'",
        ours="'<object .* of <job 2>>'",
        why="ckanext-harvest indexes an updated dataset before its new object is the current one: the search document,"
        " and package_show, which answers with that, name the object of the run before until it is indexed again.",
        runs=(2,),
    ),
    Difference(
        sources=("arcgis", "junar"),
        path=r"/datasets/[^/]+/resources/\d+/id",
        recorded="'<another resource .*>'",
        ours="'<resource .*>'",
        why="ckanext-harvest gives a resource of which the source says no id a new one with each update. Ours keeps the"
        " id of the one with the same URL, and with it views, data of the DataStore, and links.",
        runs=(2,),
    ),
    Difference(
        sources=("arcgis",),
        path=r"/datasets/[^/]+/resources/\d+/created",
        recorded="'<run 2>'",
        ours="'<run 1>'",
        why="As the resource is the same, it keeps the time at which it was made.",
        runs=(2,),
    ),
    Difference(
        sources=("socrata", "ckan"),
        path=r"/datasets/[^/]+/extras",
        recorded=r"(?!.*'harvest_object_id').*",
        ours=r".*'harvest_object_id'.*'harvest_source_id'.*'harvest_source_title'.*",
        why="CKAN answers from its tables if Solr spells the time of change in another way, as it does for these; there"
        " ckanext-harvest does not say where a dataset comes from. Ours says so always.",
    ),
    Difference(
        sources=("socrata", "ckan"),
        path=r"/found/[^/]+",
        recorded=r".*'harvest_object_id'.*",
        ours="'as shown'",
        why="For the same reason a search says the same as package_show.",
    ),
)
