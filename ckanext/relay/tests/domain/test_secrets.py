from __future__ import annotations

import os
from pathlib import Path

import pytest

from ckanext.relay.errors import MASK, ConfigurationError
from ckanext.relay.secrets import MAX_FILE_BYTES, is_secret_key, mask, redact, resolve, resolve_all

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
        ("file:plain", "s3cret"),
        ("file:line", "s3cret"),
        ("file:windows", "s3cret"),
        ("file:two-lines", "a\nb\n"),
        ("file:limit", "x" * MAX_FILE_BYTES),
        ("file:mounted", "mounted"),
    ],
)
def test_resolve(value: str, secret: str, secrets_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """References give the secret without its last line end, anything else gives itself."""
    monkeypatch.setenv("CKANEXT_RELAY_SECRET_PORTAL", "from env")
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
