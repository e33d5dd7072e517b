"""Secrets are resolved where they may be, shown to nobody, and survive a round trip through a form."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ckanext.relay.errors import MASK, ConfigurationError
from ckanext.relay.secrets import (
    MAX_FILE_BYTES,
    is_secret_key,
    mask,
    mask_json,
    redact,
    resolve,
    resolve_all,
    unmask_json,
    values,
)

SECRET_NAMES = """
api_key apikey APIKey api-key X-CKAN-API-Key apiToken api_token token access_token refreshToken Authorization
X-CKAN-Authorization password Passwd db_password userPassword passphrase pwd secret client_secret clientSecret
private_key privateKey aws_secret_access_key AccessKeyId auth pass Cookie Set-Cookie credentials sig
X-Amz-Signature
"""
OTHER_NAMES = """
url title key keys keyword username user author authority secretariat owner_org passing compass design signal
monkey api_version default_groups read_only force_all
"""


@pytest.fixture
def secrets_dir(tmp_path: Path) -> str:
    """A folder with secrets in it, and other files around it."""
    folder = tmp_path / "secrets"
    (folder / "..data").mkdir(parents=True)
    (folder / "inner").mkdir()
    (folder / "plain").write_text("s3cret")
    (folder / "line").write_text("s3cret\n")
    (folder / "windows").write_bytes(b"s3cret\r\n")
    (folder / "two-lines").write_text("a\nb\n\n")
    (folder / "limit").write_text("x" * MAX_FILE_BYTES)
    (folder / "large").write_text("x" * (MAX_FILE_BYTES + 1))
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "inner" / "deep").write_text("deep")
    (folder / "..data" / "mounted").write_text("mounted")
    (folder / "mounted").symlink_to(Path("..data") / "mounted")
    (tmp_path / "outside").write_text("outside")
    (folder / "escape").symlink_to(tmp_path / "outside")
    os.mkfifo(folder / "pipe")
    return str(folder)


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        ("plain text", "plain text"),
        ("https://example.org/", "https://example.org/"),
        ("", ""),
        ("env:PORTAL", "from env"),
        ("env:CKANEXT_RELAY_SECRET_PORTAL", "from env"),
        ("env:LINE", "from env"),
        ("file:plain", "s3cret"),
        ("file:line", "s3cret"),
        ("file:windows", "s3cret"),
        ("file:two-lines", "a\nb"),
        ("file:limit", "x" * MAX_FILE_BYTES),
        ("file:mounted", "mounted"),
    ],
)
def test_resolve(value: str, secret: str, secrets_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """References give the secret without blanks and line ends around it, anything else gives itself."""
    monkeypatch.setenv("CKANEXT_RELAY_SECRET_PORTAL", "from env")
    monkeypatch.setenv("CKANEXT_RELAY_SECRET_LINE", "\tfrom env \r\n")
    assert resolve(value, secrets_dir) == secret


@pytest.mark.parametrize(
    "value",
    [
        "env:",
        "env:HOME",
        "env:PATH",
        "env:MISSING",
        "file:",
        "file:missing",
        "file:large",
        "file:binary",
        "file:inner",
        "file:inner/deep",
        "file:../outside",
        "file:..",
        "file:.",
        "file:..data",
        "file:/etc/passwd",
        "file:///etc/passwd",
        "file:\\etc",
        "file:plain\0",
        "file:plain\n",
        "file:escape",
        "file:pipe",
    ],
)
def test_references_that_lead_nowhere_or_too_far(value: str, secrets_dir: str) -> None:
    """A reference reaches neither the environment nor the files of the machine."""
    with pytest.raises(ConfigurationError) as caught:
        resolve(value, secrets_dir)
    assert "outside" not in str(caught.value).replace(value, "")


def test_without_a_folder_there_are_no_file_references(secrets_dir: str) -> None:
    """The sysadmin has to name the folder; the error says how."""
    with pytest.raises(ConfigurationError) as caught:
        resolve("file:plain", None)
    assert caught.value.hint is not None
    assert "ckanext.relay.secrets_dir" in caught.value.hint


def test_resolve_all_is_a_deep_copy(secrets_dir: str) -> None:
    """References are resolved at any depth, and the configuration stays as it was."""
    config = {"a": "file:plain", "b": [{"c": "file:line"}, 1], "d": {"e": None, "f": "text"}}
    assert resolve_all(config, secrets_dir) == {"a": "s3cret", "b": [{"c": "s3cret"}, 1], "d": {"e": None, "f": "text"}}
    assert config["a"] == "file:plain"


@pytest.mark.parametrize(
    "name",
    SECRET_NAMES.split(),
)
def test_secret_keys(name: str) -> None:
    """Names of secrets are known in all their spellings."""
    assert is_secret_key(name)


@pytest.mark.parametrize(
    "name",
    OTHER_NAMES.split(),
)
def test_other_keys(name: str) -> None:
    """Ordinary settings stay readable."""
    assert not is_secret_key(name)


def test_mask() -> None:
    """Secrets go at any depth; references, and whether anything is set, stay; the argument stays as it is."""
    config = {
        "api_key": "hunter2",
        "token": "env:PORTAL",
        "password": "",
        "secret": None,
        "use_token": True,
        "credentials": {"user": "me", "password": "hunter2"},
        "url": "https://me:hunter2@example.org/?token=hunter2&x=1",
        "profiles": [{"name": "one", "clientSecret": "hunter2"}, "http://me:hunter2@h/", 5],
        "not_a_reference": {"token": "env: hunter2"},
    }
    shown = mask(config)
    assert "hunter2" not in repr(shown)
    assert shown == {
        "api_key": MASK,
        "token": "env:PORTAL",
        "password": "",
        "secret": None,
        "use_token": True,
        "credentials": MASK,
        "url": f"https://{MASK}@example.org/?token={MASK}&x=1",
        "profiles": [{"name": "one", "clientSecret": MASK}, f"http://{MASK}@h/", 5],
        "not_a_reference": {"token": MASK},
    }
    assert config["api_key"] == "hunter2"


def test_redact_is_offered_here_too() -> None:
    """Whoever handles secrets finds everything in one module."""
    assert redact("token=x") == f"token={MASK}"


# --- configurations as JSON text

CONFIG: dict[str, Any] = {
    "api_key": "hunter2",
    "token": "env:PORTAL",
    "password": None,
    "credentials": {"user": "me", "password": "hunter2"},
    "url": "https://me:hunter2@example.org/?token=hunter2&x=1",
    "profiles": [{"name": "one", "clientSecret": "hunter2-1"}, {"name": "two", "clientSecret": "hunter2-2"}],
    "mirrors": [["http://me:hunter2@h/", 5], []],
    "rating": MASK,
    "title": "Stra\u00dfe",
}
ONE, TWO = CONFIG["profiles"]
TEXTS = [
    json.dumps(CONFIG),
    json.dumps(CONFIG, indent=2, ensure_ascii=False),
    json.dumps([CONFIG, CONFIG]),
    json.dumps(json.dumps(CONFIG)),
    '{"api_key": "hunter2",}',
    '{"api_key": "hunter2", "api_key": ""}',
    '{"a": 1, "inner": {"api_key": "hunter2", "api_key": null}}',
    "api_key: hunter2",
    "auth: hunter2",
    "my API key is hunter2",
    "http://me:hunter2@example.org/",
    "x=1&key=hunter2",
    '{"api_key": "hunter2"' + "[" * 100_000,
    '{"api_key": "hunter2", "a": ' + "[" * 700 + "]" * 700 + "}",
]


def unmasked(new: Any, stored: Any) -> Any:
    """Return what is kept of a configuration that comes back."""
    return json.loads(unmask_json(json.dumps(new), json.dumps(stored)))


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_round_trip_changes_nothing(text: str) -> None:
    """What is shown has no secret, JSON or not; what comes back as it was shown is what is stored, to the letter."""
    shown = mask_json(text)
    assert shown is not None
    assert "hunter2" not in shown
    assert unmask_json(shown, text) == text


@pytest.mark.parametrize(
    "text", [None, "", "{}", "null", "5", '{ "a" :  "\u00e9" }', "no JSON", '{"api_key": "env:PORTAL"}', '{"a": NaN}']
)
def test_without_secrets_nothing_is_masked(text: str | None) -> None:
    """Not even the white space changes."""
    assert mask_json(text) == text
    assert unmask_json(text or "", text) == (text or "")


def test_secrets_come_back_when_their_surroundings_change() -> None:
    """At any depth; what is new or changed is taken, what is left out is gone."""
    shown = json.loads(mask_json(json.dumps(CONFIG)) or "")
    del shown["mirrors"]
    shown["profiles"][0]["name"] = "renamed"
    new = {**shown, "title": "New", "limit": 5}
    kept = {name: value for name, value in CONFIG.items() if name != "mirrors"}
    profiles = [{"name": "renamed", "clientSecret": "hunter2-1"}, TWO]
    assert unmasked(new, CONFIG) == {**kept, "profiles": profiles, "title": "New", "limit": 5}


def test_a_secret_newly_set_is_taken() -> None:
    """A value, a reference or nothing in place of a mask; the other masks still get their values."""
    stored = {"api_key": "old", "token": "old", "password": "old", "secret": "kept"}
    new = {"api_key": "new", "token": "env:PORTAL", "password": "", "secret": MASK}
    assert unmasked(new, stored) == {**new, "secret": "kept"}


@pytest.mark.parametrize(
    "stored", [None, "", "null", "no JSON", "[]", "{}", '{"a": {}}', '{"a": ["x"], "b": "y"}', "[" * 100_000]
)
def test_a_mask_without_a_stored_value_is_dropped(stored: str | None) -> None:
    """It becomes neither a secret of asterisks nor null."""
    new = {"api_key": MASK, "a": {"token": MASK, "x": 1}, "b": [{"token": MASK, "y": 2}]}
    assert json.loads(unmask_json(json.dumps(new), stored)) == {"a": {"x": 1}, "b": [{"y": 2}]}


def test_a_mask_is_what_is_stored_now() -> None:
    """Even if that was made a reference, or emptied, since it was shown."""
    stored = {"api_key": "env:PORTAL", "token": None, "password": ""}
    assert unmasked({"api_key": MASK, "token": MASK, "password": MASK}, stored) == stored


def test_masks_within_a_secret_find_their_values() -> None:
    """A secret with parts is shown as one mask; whoever writes the parts out may still mask each."""
    new = {"credentials": {"user": "you", "password": MASK, "token": MASK}}
    assert unmasked(new, CONFIG) == {"credentials": {"user": "you", "password": "hunter2"}}


@pytest.mark.parametrize(
    ("new", "kept"),
    [
        (f"https://{MASK}@example.org/?token={MASK}&x=1", CONFIG["url"]),
        (f"https://{MASK}@elsewhere.org/?token={MASK}&x=1", "https://elsewhere.org/?token=&x=1"),
        (f"https://example.org/?rating={MASK}&api%5Fkey={MASK}#x", f"https://example.org/?rating={MASK}&api%5Fkey=#x"),
        (f"token={MASK}x", f"token={MASK}x"),
        (MASK, MASK),
        (f"{MASK} excellent", f"{MASK} excellent"),
        (f"me {MASK}@home", f"me {MASK}@home"),
    ],
)
def test_masks_in_addresses(new: str, kept: str) -> None:
    """An address gets its secrets back if it is still the same; asterisks that hide nothing stay."""
    assert unmasked({"url": new}, CONFIG) == {"url": kept}


def test_where_nothing_is_unmasked_the_text_stays() -> None:
    """White space and all, as somebody wrote it."""
    text = f'{{ "rating" :  "{MASK}" }}'
    assert unmask_json(text, json.dumps(CONFIG)) == text


SHOWN_ONE, SHOWN_TWO = mask([ONE, TWO])
NEW = {"name": "new", "clientSecret": MASK}


@pytest.mark.parametrize(
    ("new", "kept"),
    [
        ([SHOWN_ONE, SHOWN_TWO], [ONE, TWO]),
        ([SHOWN_TWO, SHOWN_ONE], [TWO, ONE]),
        ([SHOWN_TWO], [TWO]),
        ([], []),
        ([{"name": "first"}, SHOWN_ONE, SHOWN_TWO], [{"name": "first"}, ONE, TWO]),
        ([SHOWN_ONE, SHOWN_ONE, SHOWN_TWO], [ONE, ONE, TWO]),
        ([SHOWN_ONE, SHOWN_TWO, NEW], [ONE, TWO, {"name": "new"}]),
        ([SHOWN_ONE, NEW], [ONE, {**TWO, "name": "new"}]),
        ([NEW, SHOWN_ONE], [{"name": "new"}, ONE]),
        ([NEW], [{"name": "new"}]),
    ],
    ids=["same", "swapped", "removed", "emptied", "put in", "copied", "added", "edited", "moved and edited", "unclear"],
)
def test_items_of_a_list_find_their_own_secrets(new: list[Any], kept: list[Any]) -> None:
    """Wherever they are now, however many there are; no item gets the secret of another one."""
    assert unmasked({"profiles": new}, {"profiles": [ONE, TWO]}) == {"profiles": kept}


def test_items_that_look_the_same() -> None:
    """They keep their order while all are there; if one is gone, nobody knows which."""
    stored = [{"token": "a"}, {"token": "b"}]
    assert unmasked([{"token": MASK}, 5, {"token": MASK}], stored) == [{"token": "a"}, 5, {"token": "b"}]
    assert unmasked([{"token": MASK}], stored) == [{}]
    assert unmasked([{"token": MASK}], [{"token": "a"}, {"token": "a"}]) == [{"token": "a"}]


@pytest.mark.parametrize("text", [f'{{"api_key": "{MASK}",}}', f"http://{MASK}@h/ and {MASK}", "[" * 100_000 + MASK])
def test_text_that_is_no_json_comes_back(text: str) -> None:
    """It is for the validator to refuse it; masks that ``redact`` has made are taken out here too."""
    without = text.replace(f"{MASK}@", "").replace(f'"{MASK}"', '""')
    assert unmask_json(text, json.dumps(CONFIG)) == without


@pytest.mark.parametrize(
    "config",
    [
        [{"token": MASK, "n": n} for n in range(10_000)],
        ["a" * 50_000 + f" {MASK}", f"{MASK}=" * 30_000, f"token={MASK}" * 30_000, "://" * 100_000 + MASK],
    ],
    ids=["many items", "long texts"],
)
def test_hostile_configurations_take_linear_time(config: Any) -> None:
    """Far more than a second would be needed otherwise."""
    text = json.dumps(config)
    began = time.process_time()
    unmask_json(text, mask_json(json.dumps([*config, 1])))
    unmask_json(text, None)
    assert time.process_time() - began < 3


# --- secrets that stand beside their name, and credentials

SHAPES: list[tuple[Any, Any]] = [
    ({"name": "Authorization", "value": "Bearer hunter2"}, {"name": "Authorization", "value": MASK}),
    ({"Header": "X-API-Key", "Content": "hunter2"}, {"Header": "X-API-Key", "Content": MASK}),
    ({"key": "token", "value": "env:PORTAL"}, {"key": "token", "value": "env:PORTAL"}),
    ({"name": "Accept", "value": "text/html"}, {"name": "Accept", "value": "text/html"}),
    ({"name": "password", "title": "Set it here"}, {"name": "password", "title": "Set it here"}),
    (["Authorization", "hunter2"], ["Authorization", MASK]),
    ([["X-Token", "hunter2"], ["Accept", "*/*"]], [["X-Token", MASK], ["Accept", "*/*"]]),
    ("Authorization: Basic hunter2", f"Authorization: {MASK}"),
    ("-H 'X-API-Key: hunter2'", f"-H 'X-API-Key: {MASK}'"),
    ("Bearer hunter", f"Bearer {MASK}"),
    ("token hunter2==", f"token {MASK}"),
    ('{"password": "hunter2"}', f'{{"password": "{MASK}"}}'),
    ("Basic statistics of the harvest", "Basic statistics of the harvest"),
    ("ftp://u:hunter2@h/", f"ftp://{MASK}@h/"),
]


@pytest.mark.parametrize(("config", "shown"), SHAPES, ids=range(len(SHAPES)))
def test_secrets_beside_their_names(config: Any, shown: Any) -> None:
    """Headers are written in many ways; each is known, and comes back unmasked when the rest changes."""
    assert mask({"a": config, "b": [config]}) == {"a": shown, "b": [shown]}
    stored = {"a": config, "b": 1}
    assert unmasked({"a": shown, "b": 2}, stored) == {"a": config, "b": 2}


@pytest.mark.parametrize(("config", "shown"), SHAPES, ids=range(len(SHAPES)))
def test_masks_of_such_secrets_are_never_kept(config: Any, shown: Any) -> None:
    """Where nothing is stored, or it belongs to another name, asterisks are not taken for a secret."""
    assert MASK not in json.dumps(unmasked({"a": shown}, {"a": ["Cookie", "hunter2"]}))
    assert MASK not in json.dumps(unmasked({"a": shown}, {}))


def test_secrets_by_their_value() -> None:
    """All that ``mask`` hides, and the parts of it that may appear alone; nothing else."""
    config = {
        "api_key": "hunter2-a",
        "pin": 5,
        "token": "env:PORTAL",
        "secret": {"deep": ["hunter2-b", 12345678]},
        "headers": [["X-Token", "hunter2-c"], {"name": "Authorization", "value": "Bearer hunter2-d"}],
        "url": "https://me:hunter2%2De@example.org/?token=hunter2-f&x=1",
        "title": "A title",
    }
    found = set(values(config))
    assert {"hunter2-a", "hunter2-b", "12345678", "hunter2-c", "hunter2-d", "hunter2-e", "hunter2-f"} <= found
    assert {"me:hunter2%2De", "Bearer hunter2-d"} <= found
    assert not found & {"5", "env:PORTAL", "A title", "me", "1", "example.org", MASK}
    assert list(values("http://example.org/")) == []


def test_texts_that_only_begin_like_references(secrets_dir: str) -> None:
    """The configuration of a harvester may hold the URL of a file."""
    config = {"path": "file:///data/all.xml", "environment": "env: test"}
    assert resolve_all(config, secrets_dir) == config
