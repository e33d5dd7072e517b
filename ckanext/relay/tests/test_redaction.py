"""Known secrets are kept out of every log line, whoever writes it."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator

import pytest

from ckanext.relay import redaction
from ckanext.relay.errors import MASK


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """What a test makes known is forgotten after it."""
    redaction.install()
    before = dict(redaction._known)
    yield
    redaction._known.clear()
    redaction._known.update(before)
    redaction._version[0] = next(redaction._changes)


def test_what_is_known_is_masked_wherever_it_is() -> None:
    """Also as URLs and basic auth write it; a part of a word is no secret, and short ones cannot be told from words."""
    redaction.remember(["known secret/1", "user:password1", "short"])
    basic = base64.b64encode(b"user:password1").decode()
    text = f"got known secret/1, known%20secret%2F1 and {basic}; xknown secret/1x is short"
    assert redaction.scrub(text) == f"got {MASK}, {MASK} and {MASK}; xknown secret/1x is short"


def test_secrets_with_line_ends() -> None:
    """Libraries quote them as Python does, and send them without what is around them."""
    redaction.remember(["ends-secret\n", "mid\nsecret"])
    text = f"in {'ends-secret' + chr(10)!r}, {'mid' + chr(10) + 'secret'!r} or plain ends-secret"
    assert redaction.scrub(text) == f"in '{MASK}', '{MASK}' or plain {MASK}"


def test_longer_secrets_first() -> None:
    """Nothing is left of a secret that begins like another one."""
    redaction.remember(["secret", "secret-and-more"])
    assert redaction.scrub("secret-and-more") == MASK


def test_only_the_latest_are_kept() -> None:
    """A process that runs for months does not collect all secrets there ever were."""
    redaction.remember([f"secret-{number}" for number in range(2 * redaction._MOST)])
    assert len(redaction._known) == redaction._MOST
    redaction.remember(["the latest"])
    assert redaction.scrub("the latest") == MASK


def test_configurations_and_urls() -> None:
    """Whatever a source has is understood: JSON, other text, an address."""
    redaction.remember_all('{"headers": [{"name": "Authorization", "value": "json-secret"}]}')
    redaction.remember_all("http://user:url-secret@example.org/")
    redaction.remember_all({"token": "mapping-secret"})
    redaction.remember_all("no JSON {")
    assert redaction.scrub("json-secret url-secret mapping-secret no JSON {") == f"{MASK} {MASK} {MASK} no JSON {{"


def test_a_record_that_cannot_be_formatted() -> None:
    """Who logs is not disturbed: logging says by itself that the arguments do not fit."""
    make = logging.getLogRecordFactory()
    record = make("n", logging.INFO, "file", 1, "too few arguments for %s and %s", ("one",), None)
    assert record.args == ("one",)


def test_what_sqlalchemy_has_cut_off() -> None:
    """Half a secret is no known secret."""
    text = "Row ('http://u:hunter ... (20 characters truncated) ... nter2@h/', 'x')"
    assert redaction.scrub(text) == f"Row {MASK} 'x')"


def test_log_records(caplog: pytest.LogCaptureFixture) -> None:
    """Message, arguments and traceback, of any logger; what has no secret stays as it was."""
    redaction.remember(["known-secret"])
    log = logging.getLogger("somebody.else")
    with caplog.at_level(logging.DEBUG):
        log.debug("plain %s %d", "text", 5)
        log.info("with %s", "known-secret")
        log.info("data: %r", {"url": "http://u:p@h/", "config": '{"headers": [["X-Key", "x"], ["X-Token", "abc"]]}'})
        try:
            raise ValueError("raised with known-secret")
        except ValueError:
            log.exception("failed")
    first = caplog.records[0]
    assert (first.msg, first.args) == ("plain %s %d", ("text", 5))
    assert "plain text 5" in caplog.text and f"with {MASK}" in caplog.text
    assert f"ValueError: raised with {MASK}" in caplog.text
    assert f'["X-Token", "{MASK}"]' in caplog.text and f"http://{MASK}@h/" in caplog.text
    assert "known-secret" not in caplog.text
