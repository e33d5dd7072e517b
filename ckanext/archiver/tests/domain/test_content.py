"""What the beginning of a body shows, and what it does not."""

from __future__ import annotations

import time

import pytest

from ckanext.archiver.domain import content

PAGE = b"<!DOCTYPE html>\n<html><head><title>%s</title></head><body>x</body></html>"


@pytest.mark.parametrize(
    "head",
    [
        b"<!DOCTYPE html><html>",
        b"<!doctype HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>",
        b"\r\n\t <html lang='de'>",
        b"\xef\xbb\xbf<html>",
        b"<!-- a --><!-- b --> <html>",
        b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">',
        b"<head><title>x",
    ],
)
def test_web_pages(head: bytes) -> None:
    """However they begin."""
    assert content.is_html(head)


@pytest.mark.parametrize(
    "head", [b"", b"a,b\n", b"<htmlish>", b'<?xml version="1.0"?><feed>', b"<kml>", b"<!-- html", b"\x00\xff"]
)
def test_no_web_pages(head: bytes) -> None:
    """Whatever else they are."""
    assert not content.is_html(head)


@pytest.mark.parametrize(
    ("declared", "headers", "found"),
    [
        ("CSV", {"content-type": "text/html; charset=utf-8"}, True),
        (" .xlsx ", {"content-type": "TEXT/HTML"}, True),
        ("JSON", {"content-type": "application/xhtml+xml"}, True),
        ("zip", {}, True),
        # pages may be linked
        ("HTML", {"content-type": "text/html"}, False),
        ("", {"content-type": "text/html"}, False),
        (None, {"content-type": "text/html"}, False),
        ("Website", {"content-type": "text/html"}, False),
        ("TXT", {"content-type": "text/html"}, False),
        ("API", {"content-type": "text/html"}, False),
        # tables that are HTML inside
        ("XLS", {"content-type": "application/vnd.ms-excel"}, False),
        ("XLS", {"content-type": "text/html", "content-disposition": "Attachment; filename=x.xls"}, False),
    ],
)
def test_a_page_instead_of_data(declared: str | None, headers: dict[str, str], found: bool) -> None:
    """Only where data is declared, and only if the server calls it a page, too."""
    assert content.is_page_instead_of_data(PAGE % b"x", headers, declared) is found
    assert not content.is_page_instead_of_data(b"a,b\n1,2\n", headers, declared)


@pytest.mark.parametrize(
    "title",
    [
        "404",
        "Not Found",
        "404 Not Found",
        "404 - Page not found",
        "Error 404 (Not Found)",
        "Page not found | Open data of Somewhere",
        "Open data of Somewhere – Page Not Found",
        "HTTP Status 404 – Not Found",
        "  The page\n cannot be   found ",
        "Seite nicht gefunden - Stadt",
        "P&aacute;gina no encontrada",
        "Strona nie istnieje | Portal",
        "страница не найдена",
        "404 Not Found · GitHub",
    ],
)
def test_pages_that_say_there_is_nothing(title: str) -> None:
    """In several languages, with the name of the site before or behind."""
    assert content.is_not_found_page(PAGE % title.encode())


@pytest.mark.parametrize(
    "title",
    [
        "",
        "Open data",
        "404 bicycle counters in Vienna",
        "Lost and not found: objects in the metro",
        "Species not found in the wild | Open data",
        "Room 404 | Occupancy",
        "Documents found",
        "How to handle error 404 pages",
    ],
)
def test_pages_that_are_about_something(title: str) -> None:
    """Though there are the same words in their title."""
    assert not content.is_not_found_page(PAGE % title.encode())


def test_only_pages_can_say_it() -> None:
    """A drawing has a title, too."""
    assert not content.is_not_found_page(b"<svg><title>404 Not Found</title></svg>")
    assert not content.is_not_found_page(b"<html><body>404 Not Found</body></html>")


@pytest.mark.parametrize(
    "body",
    [
        b'<?xml version="1.0"?>\n<ServiceExceptionReport version="1.3.0">no</ServiceExceptionReport>',
        b'<?xml version="1.0"?><ows:ExceptionReport xmlns:ows="http://www.opengis.net/ows">no',
        b'<ExceptionReport xmlns="http://www.opengis.net/ows/1.1"><Exception/></ExceptionReport>',
        b"<!--" + b"x" * 300 + b'--><e:ExceptionReport xmlns:e="http://www.opengis.net/ows/1.1">',
        b'{"error":{"code":400,"message":"Invalid URL","details":[]}}',
        b'{"success": false, "error": {"__type": "Not Found Error", "message": "Not found"}, "help": "x"}',
        b'{"success": false, "error": "no such table"}',
        b'{"timestamp": 1, "status": 404, "error": "Not Found", "path": "/x"}',
        b'{"error": true, "code": 404, "message": "gone"}',
    ],
)
def test_errors_in_disguise(body: bytes) -> None:
    """Of map servers, ArcGIS, CKAN and usual frameworks; what they say is shown as one short line."""
    message = content.api_error(body)
    assert message
    assert len(message) <= 250 and message.isprintable()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"a,b\n1,2\n",
        b'{"error": null, "data": [1]}',
        b'{"error": 0.05, "value": 3}',
        b'{"error": "0.05 mm", "value": 3}',
        b'{"success": true, "error": {}, "result": 1}',
        b'{"type": "FeatureCollection", "features": []}',
        b'{"errors": [], "rows": []}',
        b'[{"error": {"code": 1, "message": "x"}}]',
        b'{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"error":{"code":1,"message":"a column"}}',
        b"<html><body>ServiceExceptionReport</body></html>",
        b'{"error": {"code": 400, "message": "cut of',
        b'{"error": NaN}',
        b"{" * 60_000 + b"}",
    ],
)
def test_no_errors(body: bytes) -> None:
    """Data may well have a column of this name."""
    assert content.api_error(body) is None


def test_the_older_test_for_errors() -> None:
    """As other extensions know it: in the first 250 characters."""
    assert content.is_ogc_exception("<ServiceExceptionReport>")
    assert content.is_ogc_exception(b"<?xml?><ows:ExceptionReport>")
    assert not content.is_ogc_exception(" " * 250 + "<ServiceExceptionReport>")


@pytest.mark.parametrize(("code", "login"), [(499, True), (498, True), (403, True), (400, False), ("499", False)])
def test_some_servers_say_with_200_that_one_must_log_in(code: object, login: bool) -> None:
    """ArcGIS does."""
    quoted = f'"{code}"' if isinstance(code, str) else code
    assert content.wants_login(f'{{"error":{{"code":{quoted},"message":"Token Required"}}}}'.encode()) is login


@pytest.mark.parametrize(
    ("head", "root"),
    [
        (b"<a/>", ("", "a")),
        (b'\r\n <?xml version="1.0"?><!-- x --><a:b xmlns:a="urn:c">', ("urn:c", "b")),
        (b'<?xml version="1.0" encoding="GB2312"?><a>\xb0\xa1</a>', ("", "a")),
        (b'<?xml version="1.0" encoding="nonsense"?><a>', ("", "a")),
        ('<?xml version="1.0" encoding="utf-16"?><a/>'.encode("utf-16"), ("", "a")),
        (b"\xef\xbb\xbf<a>", ("", "a")),
        (b'<!DOCTYPE a SYSTEM "http://169.254.169.254/x.dtd" [<!ELEMENT b EMPTY>]><a>', ("", "a")),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', None),
        (b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;">]><a d="&c;"/>', None),
        (b'<!DOCTYPE a [<!ENTITY % b SYSTEM "http://h/x"> %b;]><a/>', None),
        (b"", None),
        (b"a,b", None),
        (b"<", None),
        (b"<a", None),
        (b"<a b=1>", None),
        (b"<!-- never ends", None),
        (b"\x00\x01", None),
        (b"<a\x00>", None),
    ],
)
def test_the_root_of_xml(head: bytes, root: tuple[str, str] | None) -> None:
    """In any encoding; nothing is loaded, no entity is unfolded."""
    assert content.xml_root(head) == root


@pytest.mark.parametrize(
    "head",
    [
        b"<!---->" * 9_000,
        b"<html>" + b"<title" * 10_000,
        b"<html><title>" + b"| " * 30_000,
        b"<title>" + b" " * 65_000,
        b"<!DOCTYPE a [" + b"<!ELEMENT b (c)>" * 4_000,
        b"<" * 65_536,
        b'{"a":' * 13_000,
    ],
)
def test_hostile_beginnings(head: bytes) -> None:
    """Take no noticeable time."""
    began = time.process_time()
    content.is_html(head)
    content.is_not_found_page(head)
    content.api_error(head)
    assert time.process_time() - began < 0.3
