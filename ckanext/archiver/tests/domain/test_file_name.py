"""The name of a copy is harmless, whatever the URL says."""

from __future__ import annotations

import pytest

from ckanext.archiver.domain.file_name import LONGEST, file_name, safe


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://host/a/data.csv", "data.csv"),
        ("http://host/a/data.csv?x=/y#z", "data.csv"),
        ("http://host/a%20b.csv", "a%20b.csv"),
        ("http://host/a/", "resource"),
        ("http://host", "resource"),
        ("", "resource"),
        ("http://host/a b.csv ", "a b.csv"),
        ("http://host/żółć.csv", "żółć.csv"),
        ("ftp://host/a/b.zip", "b.zip"),
        ("http://host/..", "_."),
        ("http://host/.", "_"),
        ("http://host/.htaccess", "_htaccess"),
        ("http://host/a\\b", "a_b"),
        ("http://host/a\0b", "a_b"),
        ("http://host/\u202egnp.exe", "_gnp.exe"),
        ("http://host/\ud800", "_"),
        ("http://[half/data.csv?x=1", "data.csv"),
        ("http://host/ ", "resource"),
    ],
)
def test_the_last_part_of_the_path_without_what_does_harm(url: str, name: str) -> None:
    """Contract 7.14, but no path, no hidden file and no sign that turns text around comes of it."""
    assert file_name(url) == name


@pytest.mark.parametrize("name", ["x" * 300 + ".csv", "ż" * 300 + ".csv", "x" * 300, "x." + "y" * 300, "." * 300])
def test_a_long_name_is_cut_to_what_file_systems_take(name: str) -> None:
    """It stays UTF-8, and keeps its extension if that is one."""
    short = safe(name)
    assert LONGEST - 4 < len(short.encode()) <= LONGEST
    assert short.endswith(".csv") == name.endswith(".csv")


@pytest.mark.parametrize("name", ["a.csv", "..", "a/b", "\0", "x" * 300, " . ", "ż" * 300 + ".csv"])
def test_a_safe_name_stays_as_it_is(name: str) -> None:
    """The store takes what this made, so it must not change again."""
    assert safe(safe(name)) == safe(name)
