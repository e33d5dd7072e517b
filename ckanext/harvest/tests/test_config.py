"""The settings: what they are when nobody sets them, strings or not, and what is said of wrong ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kombu.utils.url import parse_url

from ckanext.harvest import config, runner
from ckanext.relay import config as relay_config
from ckanext.relay.errors import ConfigurationError

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.usefixtures("loaded_plugins")
PREFIX = "ckan.harvest.mq."


def test_defaults() -> None:
    """Those of the contract, and of the documentation."""
    assert (config.log_scope(), config.log_level(), config.log_days()) == (-1, 10, 30)
    assert (config.mails_all(), config.mails_errors(), config.timeout_minutes()) == (False, False, None)
    assert (config.source_limit(), config.not_overwrite_fields(), config.user_name()) == (100, [], None)
    assert config.default_dataset_name_append() == "number-sequence"
    assert (config.mq_type(), config.mq_hostname(), config.broker_url()) == ("redis", None, None)
    config.check()


@pytest.mark.parametrize(("given", "read"), [(3, 3), ("3", 3), (" 3 ", 3), ("", None), (None, None), (0, None)])
def test_numbers_are_strings_or_not(given: Any, read: int | None, ckan_config: Any) -> None:
    """Tests of third parties set plain numbers at run time, configuration files strings."""
    ckan_config["ckan.harvest.timeout"] = given
    assert config.timeout_minutes() == read


@pytest.mark.parametrize(("given", "read"), [(True, True), ("true", True), ("False", False), ("", False)])
def test_switches_are_strings_or_not(given: Any, read: bool, ckan_config: Any) -> None:
    """To be told of everything includes errors."""
    ckan_config["ckan.harvest.status_mail.all"] = given
    assert (config.mails_all(), config.mails_errors()) == (read, read)


def test_when_work_is_taken_for_hung(ckan_config: Any) -> None:
    """``gather_seconds`` and ``object_seconds`` say how long a lease is renewed; then another worker takes the work."""
    ckan_config["ckan.harvest.gather_seconds"], ckan_config["ckan.harvest.object_seconds"] = "90", 40
    assert runner.longest("gather") == 90
    assert runner.longest("process") == runner.BATCH_SECONDS + 40


BROKERS = [
    ({"hostname": "h"}, "redis://h:6379/0"),
    ({"hostname": "h", "port": "7000", "redis_db": 2, "password": "p@ss/:"}, "redis://:p%40ss%2F%3A@h:7000/2"),
    ({"hostname": "::1"}, "redis://[::1]:6379/0"),
    ({"type": "amqp"}, "amqp://guest:guest@localhost:5672/%2F"),
    ({"type": "ampq", "hostname": "h", "virtual_host": "ckan"}, "amqp://guest:guest@h:5672/ckan"),
    ({"type": "amqp", "user_id": "a b", "password": "p@/", "port": 1}, "amqp://a%20b:p%40%2F@localhost:1/%2F"),
    ({"port": "7000", "redis_db": "2"}, None),
]


@pytest.mark.parametrize(("settings", "url"), BROKERS, ids=range(len(BROKERS)))
def test_the_broker_of_a_portal_that_comes_from_elsewhere(
    settings: dict[str, Any], url: str | None, ckan_config: Any
) -> None:
    """What its settings name is what Celery connects to, unless the new setting names another one."""
    for name, value in settings.items():
        ckan_config[PREFIX + name] = value
    assert config.broker_url() == url
    assert relay_config.broker_url() == (url or ckan_config["ckan.redis.url"])
    if url:
        parts = parse_url(url)
        assert parts["password"] == (settings.get("password") or ("guest" if url.startswith("amqp") else None))
        assert parts["hostname"] == settings.get("hostname", "localhost")
    ckan_config["ckanext.relay.broker_url"] = "redis://other:6379/5"
    assert relay_config.broker_url() == "redis://other:6379/5"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ckan.harvest.timeout", "soon"),
        ("ckan.harvest.batch_size", "1.5"),
        ("ckan.harvest.log_scope", 8),
        ("ckan.harvest.log_level", "loud"),
        ("ckan.harvest.mq.type", "zeromq"),
        ("ckanext.harvest.default_dataset_name_append", "roman"),
    ],
)
def test_a_wrong_value_at_run_time_is_named(key: str, value: Any, ckan_config: Any) -> None:
    """The error says which setting it is, and what is in it."""
    ckan_config[key] = value
    with pytest.raises(ConfigurationError, match=key) as caught:
        config.check()
    assert str(value) in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "command"),
    [
        ("ckan.harvest.batch_size = many", ["ckan", "relay", "worker"]),
        ("ckan.harvest.mq.type = zeromq", ["-m", "celery", "-A", "ckanext.relay.celery_app", "worker"]),
        ("ckanext.relay.allowed_networks = 10.0.0.1/8", ["-m", "celery", "-A", "ckanext.relay.celery_app", "beat"]),
    ],
)
def test_nothing_starts_with_a_wrong_setting(setting: str, command: list[str], tmp_path: Path) -> None:
    """Commands, worker and beat end at once, with a message and no traceback."""
    ini = tmp_path / "wrong.ini"
    text = (ROOT / "test.ini").read_text().replace("ckanext.relay.allowed_networks", "#")
    ini.write_text(text.replace("%(here)s", str(tmp_path)).replace("[loggers]", f"{setting}\n\n[loggers]"))
    if command[0] == "ckan":
        command = ["-c", "from ckan.cli.cli import ckan; ckan()", "-c", str(ini), *command[1:]]
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=120, env=os.environ | {"CKAN_INI": str(ini)}
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert setting.partition(" ")[0] in said or setting.rpartition(" ")[2] in said
    assert "Traceback" not in said
