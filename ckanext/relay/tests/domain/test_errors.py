from __future__ import annotations

import pickle
import time

import pytest

from ckanext.relay import errors
from ckanext.relay.errors import MASK, RelayError, RemoteStatus, redact

URL = "https://me:hunter2@example.org/api?api_key=hunter2&start=0"
ALL = [
    errors.ConfigurationError("no"),
    errors.InvalidTransition("no"),
    errors.AddressBlocked(f"no {URL}"),
    errors.RemoteUnavailable(URL, "no", hint="wait"),
    errors.RemoteTimeout(URL, "no"),
    errors.RemoteStatus(URL, 404),
    errors.TooManyRedirects(URL, f"to {URL}"),
    errors.AnswerTooLarge(URL, 10),
    errors.AnswerInvalid(URL, "no"),
]


def _leaves(kind: type[RelayError]) -> set[type[RelayError]]:
    # other modules have their own below these
    below = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return set().union(*(_leaves(child) for child in below)) if below else {kind}


def test_the_drawing_is_the_tree() -> None:
    """The docstring names each class, and the tables below use each that can be raised."""
    leaves = _leaves(RelayError)
    assert {type(error) for error in ALL} == leaves
    assert all(leaf.__name__ in (errors.__doc__ or "") for leaf in leaves)


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_no_error_shows_or_keeps_a_secret(error: RelayError) -> None:
    """Neither str, repr, args nor attributes hold a password, but they do hold the rest of the URL."""
    shown = f"{error} {error!r} {error.args} {vars(error)}"
    assert "hunter2" not in shown
    if isinstance(error, errors.RemoteError):
        assert error.url == f"https://{MASK}@example.org/api?api_key={MASK}&start=0"
        assert error.url in str(error)


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_errors_survive_the_way_between_processes(error: RelayError) -> None:
    """Celery's workers pickle what a task raises."""
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), vars(copy), copy.permanent, copy.hint) == (str(error), vars(error), error.permanent, error.hint)


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (errors.ConfigurationError("no"), True),
        (errors.AddressBlocked("no"), True),
        (errors.RemoteUnavailable(URL, "no"), False),
        (errors.RemoteTimeout(URL, "no"), False),
        (errors.TooManyRedirects(URL, "no"), True),
        (errors.AnswerTooLarge(URL, 10), True),
        (errors.AnswerInvalid(URL, "no"), True),
        *((RemoteStatus(URL, status), False) for status in (408, 425, 429, 500, 502, 503, 504)),
        *((RemoteStatus(URL, status), True) for status in (400, 401, 403, 404, 409, 410, 418, 501, 999)),
    ],
    ids=str,
)
def test_permanent_says_whether_to_try_again(error: RelayError, permanent: bool) -> None:
    """Trouble on the way and a busy server pass; everything else stays until somebody acts."""
    assert error.permanent is permanent


def test_messages_name_the_facts() -> None:
    """A status comes with its phrase, a limit with its number, an unknown status does not fail."""
    assert "404 Not Found" in str(RemoteStatus(URL, 404))
    assert "999" in str(RemoteStatus(URL, 999))
    assert "larger than 10 bytes" in str(errors.AnswerTooLarge(URL, 10))
    assert RemoteStatus(URL, 503).status == 503


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("nothing to hide", "nothing to hide"),
        ("see https://example.org/a?b=c&d=e", "see https://example.org/a?b=c&d=e"),
        ("ftp://u:p@h/x and http://tok@h:80/", f"ftp://{MASK}@h/x and http://{MASK}@h:80/"),
        ("https://u:p@ss@h/", f"https://{MASK}@h/"),
        ("mail a@b.c via http://h/", "mail a@b.c via http://h/"),
        ("http://h/p@q", "http://h/p@q"),
        ("/x?token=abc&page=2#top", f"/x?token={MASK}&page=2#top"),
        ("?a=1&X-Amz-Signature=00ff&sig=x%2Fy", f"?a=1&X-Amz-Signature={MASK}&sig={MASK}"),
        ("?client%5Fsecret=abc", f"?client%5Fsecret={MASK}"),
        ("?key=AIza", f"?key={MASK}"),
        ("failed: password=abc, user=me", f"failed: password={MASK}, user=me"),
        ("(apikey='abc')", "(apikey='abc')"),
        ("sent Authorization: Bearer abc, got 403", f"sent Authorization: {MASK}, got 403"),
        ("X-CKAN-API-Key: abc", f"X-CKAN-API-Key: {MASK}"),
        ("{'Authorization': 'abc', 'Accept': 'b'}", f"{{'Authorization': '{MASK}', 'Accept': 'b'}}"),
        (r'"body": "{\"api_key\": \"a\\\"bc\", \"b\": 1}"', rf'"body": "{{\"api_key\": \"{MASK}\", \"b\": 1}}"'),
        ("[('Authorization', 'abc'), ('Accept', 'b')]", f"[('Authorization', '{MASK}'), ('Accept', 'b')]"),
        ("Bad key Bearer abcdef12.x_y-z", f"Bad key Bearer {MASK}"),
        ("Basic authentication, Bearer tokens", "Basic authentication, Bearer tokens"),
        ("token: Missing value", "token: Missing value"),
        ("{'token': ['Missing value']}", "{'token': ['Missing value']}"),
        ("'token': 'env:PORTAL'", "'token': 'env:PORTAL'"),
    ],
)
def test_redact(text: str, redacted: str) -> None:
    """Credentials in addresses and secret=value pairs go, the rest stays."""
    assert redact(text) == redacted


def test_redact_takes_linear_time() -> None:
    """A server may send us a Location of any length."""
    began = time.perf_counter()
    redact("http://h/" + "a" * 200_000 + "?" + "://x" * 50_000)
    for part in ('"a":"', '"token":"', '["', "\\", "x-key", "key", "Bearer ", "cookie ", "['token','"):
        redact("x-" + part * (200_000 // len(part)))
    assert time.perf_counter() - began < 6
