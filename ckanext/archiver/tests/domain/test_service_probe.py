"""Which links may be services, how they are asked, and by what they are known."""

from __future__ import annotations

import json

import pytest

from ckanext.archiver.domain.service_probe import probe, probes, recognized

WMS = ["WMS 1.3", "WMS 1.1.1"]
OGC = [*WMS, "WFS 2.0"]


@pytest.mark.parametrize(
    ("url", "declared", "types", "is_declared"),
    [
        # by what the resource says
        ("http://h/x", "WMS", WMS, True),
        ("http://h/x", "OGC:WMS", WMS, True),
        ("http://h/x", "ogc_wfs", ["WFS 2.0"], True),
        ("http://h/x", "Web Map Service", WMS, True),
        ("http://h/x", "WMTS", ["WMTS 1.0"], True),
        ("http://h/x", "wcs", ["WCS 2.0"], True),
        ("http://h/x", "OGC API - Features", ["OGC API"], True),
        ("http://h/x", "ArcGIS GeoServices REST API", ["ArcGIS REST"], True),
        ("http://h/x", "Esri REST", ["ArcGIS REST"], True),
        ("http://h/x", "SPARQL", ["SPARQL"], True),
        ("http://h/x", "OGC", OGC, True),
        # by the look of the URL
        ("http://h/geoserver/wms", "", WMS, False),
        ("http://h/wms.aspx", "XML", WMS, False),
        ("http://h/geoserver/topp/wfs", None, ["WFS 2.0"], False),
        ("http://h/cgi-bin/mapserv?map=/x.map&service=WFS", "", ["WFS 2.0"], False),
        ("http://h/cgi-bin/mapserv.exe", "", OGC, False),
        ("http://h/geoserver/ows", "", OGC, False),
        ("http://h/arcgis/rest/services/X/MapServer", "", ["ArcGIS REST"], False),
        ("http://h/gis/rest/services/X/MapServer/WMSServer", "", ["ArcGIS REST"], False),
        ("http://h/arcgis/services/X/MapServer/WMSServer", "", WMS, False),
        ("http://h/sparql", "", ["SPARQL"], False),
        # files
        ("http://h/data.csv", "CSV", [], False),
        ("http://h/download?id=999", "CSV", [], False),
        ("http://h/news/", "", [], False),
        ("http://h/wmsdata.csv", "CSV", [], False),
        ("http://h/sparql-results.csv", "CSV", [], False),
        ("http://h/?service=delivery", "", [], False),
        ("ftp://h/wms", "WMS", [], False),
        ("http://h/x", "REST API", [], False),
    ],
)
def test_what_is_tried(url: str, declared: str | None, types: list[str], is_declared: bool) -> None:
    """Nothing unless the format or the URL suggests it, and then as few requests as will tell."""
    found = probes(url, declared)
    assert [each.request_type for each in found] == types
    assert all(each.declared is is_declared for each in found)


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://h/wms", "http://h/wms?service=WMS&request=GetCapabilities&version=1.3"),
        (
            "http://h/wms?SERVICE=WMS&Request=GetMap&LAYERS=a&bbox=1,2",
            "http://h/wms?service=WMS&request=GetCapabilities&version=1.3",
        ),
        (
            "http://h/mapserv?map=/a%20b.map&key=1&&flag&service=WMS",
            "http://h/mapserv?map=/a%20b.map&key=1&flag&service=WMS&request=GetCapabilities&version=1.3",
        ),
    ],
)
def test_how_it_is_asked(url: str, asked: str) -> None:
    """What the server itself needs, such as ``map``, stays; what the standards define is replaced."""
    assert probe(url, "WMS 1.3", "WMS").url == asked


def test_the_other_questions() -> None:
    """As the documentation of each service has them."""
    assert probe("http://h/x?f=html", "OGC API", "OGC API").url == "http://h/x?f=json"
    assert probe("http://h/sparql?query=SELECT", "SPARQL", "SPARQL").url == "http://h/sparql?query=ASK%20%7B%7D"


def arcgis(**more: object) -> bytes:
    return json.dumps({"currentVersion": 10.9, "services": [], **more}).encode()


@pytest.mark.parametrize(
    ("head", "service"),
    [
        (b'<WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms">', "WMS"),
        (b'<!DOCTYPE WMT_MS_Capabilities SYSTEM "http://h/x.dtd" []><WMT_MS_Capabilities version="1.1.1">', "WMS"),
        (b'<wfs:WFS_Capabilities xmlns:wfs="http://www.opengis.net/wfs/2.0">', "WFS"),
        (b'<WFS_Capabilities version="9.9">', "WFS"),
        (b'<Capabilities xmlns="http://www.opengis.net/wmts/1.0">', "WMTS"),
        (b'<wcs:Capabilities xmlns:wcs="http://www.opengis.net/wcs/2.0">', "WCS"),
        (b"<WCS_Capabilities>", "WCS"),
        (b'<csw:Capabilities xmlns:csw="http://www.opengis.net/cat/csw/2.0.2">', None),
        (b"<Capabilities>", None),
        (b"<html><body>WMS_Capabilities</body></html>", None),
        (b"<ServiceExceptionReport/>", None),
        (b'<sparql xmlns="http://www.w3.org/2005/sparql-results#"><boolean>true</boolean></sparql>', "SPARQL"),
        (b'{"head": {}, "boolean": true}', "SPARQL"),
        (arcgis(), "ArcGIS REST"),
        (arcgis(description="x" * 99_999)[:65_536], "ArcGIS REST"),
        (b'{"layers": [], "spatialReference": {}}', "ArcGIS REST"),
        (b'{"error": {"code": 404, "message": "no"}}', None),
        (b'{"currentVersion": 10.9, "error": {"code": 500}}', None),
        (b'{"links": [{"rel": "conformance", "href": "x"}]}', "OGC API"),
        (b'{"conformsTo": []}', "OGC API"),
        (b'{"links": ["x", {"rel": ["next"]}]}', None),
        (b'{"links": {"rel": "data"}}', None),
        (b'{"type": "FeatureCollection"}', None),
        (b"ok", None),
        (b"", None),
    ],
)
def test_a_service_is_known_by_its_answer(head: bytes, service: str | None) -> None:
    """By local name whatever the version; an error report or a page is none."""
    assert recognized(head) == service
