"""Web services: how to ask for what one offers, and how to know one by its answer.

The URL of a service often answers nothing useful by itself. If it fails, it is asked again in the way that its declared
format, or the look of the URL, suggests. Such an answer counts only if it describes a service: any other page does not
make a dead link alive.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote_plus, urlsplit, urlunsplit

from .content import json_object, xml_root


class Probe(NamedTuple):
    """One way to ask a service.

    :ivar url: to be fetched
    :ivar request_type: what the answer is recorded as, such as ``WMS 1.3``
    :ivar service: what the answer must be recognized as: ``WMS``, ``WFS``, ``WMTS``, ``WCS``, ``OGC API``,
        ``ArcGIS REST`` or ``SPARQL``
    :ivar declared: whether the resource says that it is such a service; otherwise its URL only looks like it
    """

    url: str
    request_type: str
    service: str
    declared: bool


_OGC_VERSIONS = {
    "WMS": (("WMS 1.3", "1.3"), ("WMS 1.1.1", "1.1.1")),
    "WFS": (("WFS 2.0", "2.0"),),
    "WMTS": (("WMTS 1.0", "1.0.0"),),
    "WCS": (("WCS 2.0", "2.0.1"),),
}
_QUERIES = {
    **{
        name: f"service={service}&request=GetCapabilities&version={version}"
        for service, versions in _OGC_VERSIONS.items()
        for name, version in versions
    },
    "OGC API": "f=json",
    "ArcGIS REST": "f=json",
    "SPARQL": "query=ASK%20%7B%7D",
}
_REQUEST_TYPES = {
    **{service: tuple(name for name, _ in versions) for service, versions in _OGC_VERSIONS.items()},
    "OGC API": ("OGC API",),
    "ArcGIS REST": ("ArcGIS REST",),
    "SPARQL": ("SPARQL",),
}
#: of an OGC server that does not say which; also the ones that have been asked since this kind of extension exists
_ANY_OGC = ("WMS", "WFS")

_FORMATS = (
    (re.compile(r"\b(?:ogc[ :_-]*)?wms\b|web map service"), ("WMS",)),
    (re.compile(r"\b(?:ogc[ :_-]*)?wfs\b|web feature service"), ("WFS",)),
    (re.compile(r"\b(?:ogc[ :_-]*)?wmts\b|web map tile service"), ("WMTS",)),
    (re.compile(r"\b(?:ogc[ :_-]*)?wcs\b|web coverage service"), ("WCS",)),
    (re.compile(r"\bogc[ _-]*(?:api|features)\b|\boapif\b|\bwfs ?3"), ("OGC API",)),
    (re.compile(r"\b(?:arcgis|esri)\b.*\b(?:rest|server|service|api|geoservices)\b"), ("ArcGIS REST",)),
    (re.compile(r"\bsparql\b"), ("SPARQL",)),
    (re.compile(r"\b(?:ogc|ows)(?: service)?\b"), _ANY_OGC),
)
# In a path, or as the value of a parameter "service".
_URLS = (
    (
        re.compile(r"/arcgis/rest/services\b|/rest/services/.+/(?:map|feature|image|vectortile)server\b"),
        ("ArcGIS REST",),
    ),
    (re.compile(r"(?:^|[/._=-])wmts(?:server)?(?:$|[/._&-])|/gwc/service"), ("WMTS",)),
    (re.compile(r"(?:^|[/._=-])(?:wms|wmsserver)(?:$|[/._&-])"), ("WMS",)),
    (re.compile(r"(?:^|[/._=-])(?:wfs|wfsserver)(?:$|[/._&-])"), ("WFS",)),
    (re.compile(r"(?:^|[/._=-])(?:wcs|wcsserver)(?:$|[/._&-])"), ("WCS",)),
    (re.compile(r"/sparql/?$"), ("SPARQL",)),
    (re.compile(r"(?:^|[/._=-])(?:ows|wxs|mapserv|mapserver|qgis_mapserv)(?:$|[/._&-])"), _ANY_OGC),
)
#: of the OGC standards; all other parameters are the server's own, such as ``map``, and stay
_OGC_PARAMETER_NAMES = """
    service request version acceptversions layers layer query_layers styles style sld srs crs srsname bbox width
    height format transparent bgcolor exceptions time elevation i j x y info_format feature_count typename typenames
    namespaces outputformat maxfeatures count startindex resulttype propertyname filter cql_filter featureid
    resourceid sortby storedquery_id tilematrixset tilematrix tilerow tilecol coverage coverageid identifier subset
    f query where outfields"""
_OGC_PARAMETERS = frozenset(_OGC_PARAMETER_NAMES.split())


def probes(url: str, declared: str | None) -> tuple[Probe, ...]:
    """Return how to ask a URL as a service if it gives no good answer by itself; nothing if it does not look like one.

    :param url: tidied
    :param declared: the format that the resource names
    """
    parts = urlsplit(url)
    if parts.scheme == "ftp":
        return ()
    services = _services((declared or "").lower(), _FORMATS)
    is_declared = bool(services)
    if not is_declared:
        named = [value.lower() for name, value in parse_qsl(parts.query)[:50] if name.lower() == "service"]
        services = _services("=".join([parts.path.lower(), *named[:1]]), _URLS)
    return tuple(probe(url, name, service, is_declared) for service in services for name in _REQUEST_TYPES[service])


def probe(url: str, request_type: str, service: str, declared: bool = True) -> Probe:
    """Return one way to ask a URL as a service; see the attributes of ``Probe``."""
    return Probe(_with_query(url, _QUERIES[request_type]), request_type, service, declared)


def _services(text: str, table: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]) -> tuple[str, ...]:
    return next((services for pattern, services in table if pattern.search(text)), ())


def _with_query(url: str, query: str) -> str:
    """Replace what the standards define in a query; the rest stays as it is written."""
    parts = urlsplit(url)
    own = [
        piece
        for piece in parts.query.split("&")
        if piece and unquote_plus(piece.partition("=")[0]).lower() not in _OGC_PARAMETERS
    ]
    return urlunsplit(parts._replace(query="&".join([*own, query])))


_CAPABILITIES = {
    "WMS_Capabilities": "WMS",
    "WMT_MS_Capabilities": "WMS",
    "WFS_Capabilities": "WFS",
    "WCS_Capabilities": "WCS",
}


def recognized(head: bytes) -> str | None:
    """Return which service a body describes, in the words of ``Probe.service``; None if it describes none."""
    root = xml_root(head)
    if root:
        namespace, name = root
        if name == "Capabilities":
            return next((kind for kind in ("WMTS", "WCS") if f"/{kind.lower()}" in namespace.lower()), None)
        if name == "sparql":
            return "SPARQL"
        return _CAPABILITIES.get(name)
    return _recognized_json(head)


def _recognized_json(head: bytes) -> str | None:
    document = json_object(head)
    if document is None:
        # a long list of layers goes on beyond what we look at
        return "ArcGIS REST" if re.match(rb'\s*\{\s*"currentVersion"\s*:\s*[0-9.]+\s*,', head) else None
    if "error" in document:
        return None
    if "currentVersion" in document or ("layers" in document and "spatialReference" in document):
        return "ArcGIS REST"
    if "boolean" in document and "head" in document:
        return "SPARQL"
    links = document.get("links")
    if "conformsTo" in document or (isinstance(links, list) and _RELATIONS & _relations(links)):
        return "OGC API"
    return None


#: by which the front page of an OGC API leads on; each of them would do
_RELATIONS = frozenset(
    {
        "conformance",
        "data",
        "service-desc",
        "service-doc",
        "http://www.opengis.net/def/rel/ogc/1.0/conformance",
        "http://www.opengis.net/def/rel/ogc/1.0/data",
        "http://www.opengis.net/def/rel/ogc/1.0/processes",
    }
)


def _relations(links: list[object]) -> set[str]:
    return {str(link.get("rel")) for link in links if isinstance(link, dict)}
