"""What people write as a URL, and what is sent."""

from __future__ import annotations

import pytest

from ckanext.archiver.domain.urls import UrlInvalid, tidy


@pytest.mark.parametrize(
    ("url", "tidied"),
    [
        # escaped once, and not again
        ("http://h/a%20b", "http://h/a%20b"),
        ("http://h/a b", "http://h/a%20b"),
        ("http://h/a%20b c", "http://h/a%20b%20c"),
        ("http://h/%C5%82", "http://h/%C5%82"),
        ("http://h/ł", "http://h/%C5%82"),
        ("http://h/100%", "http://h/100%25"),
        ("http://h/%zz%2", "http://h/%25zz%252"),
        ("http://h/%c3%bc", "http://h/%c3%bc"),
        ("http://h/?q=a b&r=ü", "http://h/?q=a%20b&r=%C3%BC"),
        ("http://h/?q=%20&r=100%", "http://h/?q=%20&r=100%25"),
        ("http://h/?q=a+b", "http://h/?q=a+b"),
        # what may stand as it is
        ("http://h/a;b=1,2/c:d@e!$'()*~", "http://h/a;b=1,2/c:d@e!$'()*~"),
        ("http://h/?time=12:30:00&u=http://x.y/z", "http://h/?time=12:30:00&u=http://x.y/z"),
        ("http://h/web/2010/http://x.y/z", "http://h/web/2010/http://x.y/z"),
        ("http://h/?a[]=1|2&b={c}", "http://h/?a[]=1|2&b={c}"),
        ('http://h/"<a>"', "http://h/%22%3Ca%3E%22"),
        ("http://h//a//b", "http://h//a//b"),
        # around it
        ("  http://h/x \n", "http://h/x"),
        ("\ufeffhttp://h/x\u200b", "http://h/x"),
        ("http://h/a\nb\tc", "http://h/abc"),
        ("http://h/x#part", "http://h/x"),
        ("http://h", "http://h/"),
        ("http://h?x=1", "http://h/?x=1"),
        ("http://h/a/../b/./c", "http://h/b/c"),
        ("http://h/../../x", "http://h/x"),
        ("http://h/..", "http://h/"),
        ("http://h/a..b/.c", "http://h/a..b/.c"),
        # who is asked
        ("HTTP://Example.ORG/X", "http://example.org/X"),
        ("https://example.org:443/", "https://example.org/"),
        ("http://example.org:443/", "http://example.org:443/"),
        ("http://example.org:/x", "http://example.org/x"),
        ("http://example.org./", "http://example.org/"),
        ("http://müller.de/", "http://xn--mller-kva.de/"),
        ("http://MÜLLER.de/", "http://xn--mller-kva.de/"),
        ("http://例え。jp/", "http://xn--r8jz45g.jp/"),
        ("http://straße.de/", "http://xn--strae-oqa.de/"),
        ("http://xn--mller-kva.de/", "http://xn--mller-kva.de/"),
        ("http://under_score.example.org/", "http://under_score.example.org/"),
        ("http://user:p%40ss@h/", "http://user:p%40ss@h/"),
        ("http://[2001:db8::1]:8080/", "http://[2001:db8::1]:8080/"),
        ("ftp://h:21/a b", "ftp://h/a%20b"),
    ],
)
def test_tidied(url: str, tidied: str) -> None:
    """Nothing changes that could matter to a server, and tidying twice is tidying once."""
    assert tidy(url) == tidied
    assert tidy(tidied) == tidied
    assert tidied.isascii()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "Invalid url scheme. Please use one of: http https ftp"),
        ("example.org/x", "Invalid url scheme"),
        ("//example.org/x", "Invalid url scheme"),
        ("file:///etc/passwd", "Invalid url scheme"),
        ("javascript:alert(1)", "Invalid url scheme"),
        ("http://", "URL parsing failure - did not find a host name"),
        ("http:///x", "did not find a host name"),
        ("http:/example.org/x", "did not find a host name"),
        ("http://[::1", "URL parsing failure: "),
        ("http://h:99999/", "URL parsing failure: "),
        ("http://h:x/", "URL parsing failure: "),
        ("http://a b/", "cannot be a host name"),
        ("http://a..b/", "cannot be a host name"),
        ("http://../", "cannot be a host name"),
        ("http://ex%61mple.org/", "cannot be a host name"),
        (f"http://{'a' * 64}.org/", "cannot be a host name"),
        (f"http://{'a.' * 127}org/", "cannot be a host name"),
        ("http://℀.org/", "URL parsing failure: "),
        ("http://h/\x00", "control character"),
        ("http://h\x00/", "control character"),
        ("http://h/\x1b[31m", "control character"),
        ("http://\ud800/", "URL parsing failure: "),
    ],
)
def test_nobody_could_ask_for_it(url: str, reason: str) -> None:
    """The reason is one of those that other extensions look for."""
    with pytest.raises(UrlInvalid, match=reason.replace(".", r"\.")):
        tidy(url)


@pytest.mark.parametrize("url", ["http://h/" + "%" * 100_000, "http://" + "a." * 50_000, "http://h/" + "/." * 50_000])
def test_hostile_lengths(url: str) -> None:
    """Take no noticeable time."""
    try:
        assert tidy(url)
    except UrlInvalid:
        assert "http://h/" not in url


def test_halves_of_characters_are_no_obstacle() -> None:
    """They cannot be sent; the server will say what it thinks of the question mark."""
    assert tidy("http://h/\ud800") == "http://h/%3F"
