"""What the beginning of a body shows: a web page, an error dressed as an answer, the root of an XML document.

Everything here works on the first 64 KiB and errs on the side of "nothing wrong": a portal may well link a web page.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

#: how much of a body is looked at
HEAD_BYTES = 64 * 1024
_LEGACY_CHARACTERS = 250
_MOST_KEYS = 8

#: declared formats that no web page can be
_DATA_FORMATS = """
    csv tsv xls xlsx xlsm ods json geojson jsonl ndjson jsonld json-ld topojson xml gml gpx kml kmz rdf rdf/xml ttl
    turtle n3 nt n-triples nquads trig zip 7z rar gz tar tgz shp shapefile gpkg geopackage gdb dxf dwg parquet avro
    feather netcdf nc hdf hdf5 grib tif tiff geotiff png jpg jpeg gif pdf doc docx odt ppt pptx odp mdb accdb sqlite
    sav dta px sdmx gtfs ics epub mp3 mp4 las laz"""
DATA_FORMATS = frozenset(_DATA_FORMATS.split())
_HTML_START = re.compile(rb"<(?:!doctype\s+html|html|head|title|body)[\s>/]", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]{0,200}>(.{1,300}?)</title>", re.I | re.S)
_NOT_FOUND = frozenset(
    """not found|page not found|404 not found|404 page not found|404 file not found|error 404|404 error|404|
    http 404|http error 404|http status 404|http status 404 not found|error 404 not found|404 error page not found|
    file not found|file or directory not found|the page cannot be found|page cannot be found|page doesn't exist|
    page does not exist|dataset not found|resource not found|object not found|document not found|
    this page could not be found|404 this page could not be found|the resource cannot be found|
    seite nicht gefunden|404 seite nicht gefunden|nicht gefunden|fehler 404|datei nicht gefunden|
    page introuvable|page non trouvée|erreur 404|404 page introuvable|pagina non trovata|errore 404|
    página no encontrada|error 404 página no encontrada|página não encontrada|erro 404|pagina niet gevonden|
    siden blev ikke fundet|siden ble ikke funnet|sidan kunde inte hittas|sidan hittades inte|sivua ei löydy|
    sivua ei löytynyt|lehekülge ei leitud|puslapis nerastas|lapa nav atrasta|strona nie istnieje|
    nie znaleziono strony|strona nie została znaleziona|stránka nenalezena|stránka sa nenašla|az oldal nem található|
    pagina nu a fost găsită|stranica nije pronađena|stran ni bila najdena|страница не найдена|
    страницата не е намерена|сторінку не знайдено|η σελίδα δεν βρέθηκε|sayfa bulunamadı|
    找不到页面|ページが見つかりません""".replace("\n    ", "").split("|")
)  # fmt: skip


def is_html(head: bytes) -> bool:
    """Return whether a body begins as a web page."""
    text = head[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    while text.startswith((b"<!--", b"<?")):  # comments, or the XML declaration of an XHTML page
        text = text.partition(b"-->" if text.startswith(b"<!--") else b"?>")[2].lstrip()
    return _HTML_START.match(text) is not None


def is_page_instead_of_data(head: bytes, headers: Mapping[str, str], declared: str | None) -> bool:
    """Return whether a web page came although the resource says that it is data.

    Spreadsheets that are HTML inside are data: they do not come as ``text/html``, or come as an attachment.
    """
    if (declared or "").strip().lower().removeprefix(".") not in DATA_FORMATS or not is_html(head):
        return False
    kind = headers.get("content-type", "").lower()
    attached = headers.get("content-disposition", "").strip().lower().startswith("attachment")
    return not attached and (not kind or "html" in kind)


def is_not_found_page(head: bytes) -> bool:
    """Return whether a web page says in its title that there is nothing, and nothing else but the name of the site."""
    if not is_html(head):
        return False
    title = _TITLE.search(head.decode("utf-8", "replace"))
    if not title:
        return False
    text = " ".join(html.unescape(title[1]).split()).casefold()
    # "Page not found | Our portal", "404 - Not found", "Error 404 (Not Found)!!1"
    parts = [re.sub(r"[^\w' ]+", " ", part).strip() for part in re.split(r"\s[|–—·•»«:-]\s|[|»«]", text)]
    whole = re.sub(r"[^\w']+", " ", text).strip()
    return whole in _NOT_FOUND or any(part in _NOT_FOUND for part in (parts[0], parts[-1]))


def is_ogc_exception(text: str | bytes) -> bool:
    """Return whether a body begins as the error report of a map service."""
    start = text[:_LEGACY_CHARACTERS]
    if isinstance(start, bytes):
        start = start.decode("latin-1")
    return "<ServiceExceptionReport" in start or "<ows:ExceptionReport" in start


def api_error(head: bytes) -> str | None:
    """Return the beginning of an error report that came as if all were well, or None if a body is none."""
    if is_ogc_exception(head) or (xml_root(head) or ("", ""))[1] in ("ServiceExceptionReport", "ExceptionReport"):
        return _shown(head.decode("utf-8", "replace"))
    document = json_object(head)
    return _shown(head.decode("utf-8", "replace")) if document and _is_error(document) else None


def _is_error(document: dict[str, Any]) -> bool:
    if len(document) > _MOST_KEYS:
        return False
    error = document.get("error")
    if isinstance(error, dict):  # ArcGIS, Google; CKAN beside "success"
        return document.get("success") is False or bool(error.keys() & {"code", "message"})
    code = document.get("status", document.get("code", document.get("statusCode")))
    numbered = isinstance(code, int) and 400 <= code < 600
    return bool(error) and (numbered or document.get("success") is False)


def wants_login(head: bytes) -> bool:
    """Return whether an error report says that one must log in; ArcGIS answers 200 to those who do not."""
    error = (json_object(head) or {}).get("error")
    return isinstance(error, dict) and error.get("code") in (401, 403, 498, 499)


def _shown(text: str) -> str:
    return "".join(c for c in " ".join(text[:1000].split()) if c.isprintable())[:_LEGACY_CHARACTERS]


def json_object(head: bytes) -> dict[str, Any] | None:
    """Return the JSON object that a body is as a whole, or None."""
    text = head.removeprefix(b"\xef\xbb\xbf").strip()
    if not text.startswith(b"{") or not text.endswith(b"}"):
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


class _RootFound(Exception):
    pass


def xml_root(head: bytes) -> tuple[str, str] | None:
    """Return namespace and local name of the root of an XML document, or None if it is none.

    A document type is allowed, but nothing is loaded for it and it may define no entities.
    """
    head = head.lstrip()
    if not head.startswith((b"<", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return None
    # The names are ASCII, so any other encoding than UTF-16 can be read as this one, whatever it calls itself.
    encoding = None if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "iso-8859-1"
    parser = expat.ParserCreate(encoding, namespace_separator=" ")
    root: list[str] = []

    def begin(name: str, _attributes: object) -> None:
        root.append(name)
        raise _RootFound

    def refuse(*_: object) -> None:
        raise _RootFound

    parser.StartElementHandler = begin
    parser.EntityDeclHandler = refuse
    with contextlib.suppress(_RootFound, expat.ExpatError):
        parser.Parse(head.removeprefix(b"\xef\xbb\xbf").lstrip() if encoding else head, False)
    if not root:
        return None
    namespace, _, name = root[0].rpartition(" ")
    return namespace, name
