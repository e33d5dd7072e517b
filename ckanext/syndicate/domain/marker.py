"""Where a pushed dataset came from, and which portals it went through.

Two extras of the dataset at the target say it, so that each portal on the way, and each search, can read it:
``syndication_origin`` is the address of the dataset at the portal where it began, ``syndication_path`` the site URLs of
the portals that pushed it on, the latest first, with spaces between them. A dataset that nobody pushed has neither.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

ORIGIN = "syndication_origin"
PATH = "syndication_path"

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
#: what means something in a query of Solr, and the space
_SPECIAL = re.compile(r'([+\-&|!(){}\[\]^"~*?:\\/\s])')


@dataclass(frozen=True)
class Marker:
    """What the two extras say.

    :ivar origin: the address of the dataset where it began: ``<site URL>/dataset/<id there>``
    :ivar path: site URLs, normalised, of the portals that pushed it, the latest first; never empty
    """

    origin: str
    path: tuple[str, ...]

    @property
    def pusher(self) -> str:
        """The site URL of the portal from which the copy was pushed to where it is."""
        return self.path[0]

    def extras(self) -> dict[str, str]:
        """Return the two extras, by key."""
        return {ORIGIN: self.origin, PATH: " ".join(self.path)}


def normalised(url: str) -> str:
    """Return the one spelling of a site URL by which portals are compared.

    Scheme and host are in lower case; a default port, a slash at the end, user, query and fragment are left out. What
    is no URL comes back without the spaces around it.
    """
    text = url.strip()
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme.lower(), (parts.hostname or "").lower(), parts.port
    except ValueError:  # brackets that do not match, or a port that is no number
        scheme = host = ""
        port = None
    if not scheme or not host:
        return quote(text.rstrip("/"), safe="/:%[]@?&=#+,;!$'()*~-._")
    place = (f"[{host}]" if ":" in host else host).rstrip(".") + (f":{port}" if port is not None else "")
    place = place.removesuffix(_DEFAULT_PORTS.get(scheme, " "))
    return f"{scheme}://{place}{quote(parts.path.rstrip('/'), safe='/%:@!$&()*+,;=~-._')}"


def marker_of(dataset: Mapping[str, Any]) -> Marker | None:
    """Return what a dataset says of where it came from, or None if it was not pushed there.

    :param dataset: as ``package_show`` shows it; the extras may also be fields, as schemas and hooks make them
    """
    said = {key: dataset.get(key) for key in (ORIGIN, PATH)}
    for extra in dataset.get("extras") or ():
        if isinstance(extra, Mapping) and extra.get("key") in said:
            said[extra["key"]] = extra.get("value")
    origin, path = said[ORIGIN], said[PATH]
    if not isinstance(origin, str) or not isinstance(path, str) or not origin.strip() or not path.split():
        return None
    return Marker(origin.strip(), tuple(map(normalised, path.split())))


def marker_for(dataset: Mapping[str, Any], site: str, dataset_id: str) -> Marker:
    """Return what to say of a dataset that is pushed from here.

    :param dataset: as ``package_show`` shows it here: if it was pushed here itself, it keeps its origin, unless that is
        another dataset of this portal, see :func:`is_returned`
    :param site: the URL of this portal
    :param dataset_id: its id here
    """
    here = normalised(site)
    before = marker_of(dataset)
    own = f"{here}/dataset/{dataset_id}"
    if before is None:
        return Marker(own, (here,))
    return Marker(
        own if is_returned(before, here, dataset_id) else before.origin,
        (here, *(hop for hop in before.path if hop != here)),
    )


def is_returned(marker: Marker, site: str, dataset_id: str) -> bool:
    """Return whether a dataset says that it is a copy of another dataset of this portal: it came back by another way,
    or somebody typed it. Pushed on, it would be taken for that one.

    :param site: the URL of this portal
    :param dataset_id: the id here of the dataset that bears the marker
    """
    own = f"{normalised(site)}/dataset/"
    return marker.origin.startswith(own) and marker.origin != f"{own}{dataset_id}"


def origin_query(origin: str) -> str:
    """Return the filter query (``fq``) that finds the copies of one dataset."""
    return f"+{ORIGIN}:{_quoted(origin)}"


def pusher_query(site: str) -> str:
    """Return the filter query (``fq``) that finds all that one portal pushed to where the search is."""
    here = normalised(site)
    begins = _SPECIAL.sub(r"\\\1", here + " ")
    return f"+({PATH}:{_quoted(here)} OR {PATH}:{begins}*)"


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))
