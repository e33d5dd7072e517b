"""The settings: what they are when nobody sets them, strings or not, and what is said of wrong ones."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from ckanext.archiver import config, default_settings
from ckanext.archiver.domain.history import Confirm
from ckanext.archiver.domain.host import Manners
from ckanext.archiver.domain.plan import Policy
from ckanext.relay.errors import ConfigurationError

pytestmark = pytest.mark.usefixtures("archiver_plugins", "ckan_config")


def test_defaults() -> None:
    """Those of the contract, and of the documentation."""
    assert (config.archive_dir(), config.cache_url_root()) == ("/tmp/archive", None)
    assert (config.max_content_length(), config.verify_https(), config.archive_cloud()) == (50_000_000, True, False)
    assert config.user_agent() == "Test portal http://test.ckan.example ckanext-archiver"
    assert config.site_url_internally() == config.site_url() == "http://test.ckan.example"
    assert (config.connect_seconds(), config.read_seconds(), config.total_seconds()) == (10, 30, 300)
    assert (config.threads(), config.manners()) == (64, Manners(2, 0.1, 5, 300))
    assert (config.recheck_age(), config.recheck_budget()) == (datetime.timedelta(days=30), 10_000)
    assert config.confirm() == Confirm(tries=3, hours=24)
    assert (config.policies(), config.private_copies(), config.quota_bytes()) == ((), False, None)
    assert (config.removal_grace(), config.x_accel_prefix()) == (datetime.timedelta(hours=24), None)
    assert (config.show_broken_status(), config.show_cached_url()) == (True, True)
    config.check()


def test_what_older_extensions_read(ckan_config: Any) -> None:
    """The module of defaults says what is set now."""
    assert (default_settings.ARCHIVE_DIR, default_settings.MAX_CONTENT_LENGTH) == ("/tmp/archive", 50_000_000)
    ckan_config["ckanext-archiver.user_agent_string"] = "me"
    assert default_settings.USER_AGENT_STRING == "me"
    with pytest.raises(AttributeError):
        default_settings.OTHER  # noqa: B018


@pytest.mark.parametrize(
    ("key", "given", "getter", "read"),
    [
        ("ckanext-archiver.max_content_length", "100", config.max_content_length, 100),
        ("ckanext-archiver.max_content_length", "", config.max_content_length, 50_000_000),
        ("ckanext-archiver.archive_cloud", "false", config.archive_cloud, False),
        ("ckanext-archiver.archive_cloud", "True", config.archive_cloud, True),
        ("ckanext-archiver.verify_https", "no", config.verify_https, False),
        ("ckanext-archiver.archive_dir", "/a/b/", config.archive_dir, "/a/b"),
        ("ckanext-archiver.cache_url_root", " http://a/cache ", config.cache_url_root, "http://a/cache"),
        ("ckan.site_url_internally", "http://localhost:5000/", config.site_url_internally, "http://localhost:5000"),
        ("ckan.download_proxy", "http://u:p@proxy:3128", config.download_proxy, "http://u:p@proxy:3128"),
        ("ckan.site_title", "Портал données", config.user_agent, "donnes http://test.ckan.example ckanext-archiver"),
        ("ckanext.archiver.host_delay", "0", lambda: config.manners().delay, 0),
        ("ckanext.archiver.recheck_days", "0.5", config.recheck_age, datetime.timedelta(hours=12)),
        ("ckanext.archiver.recheck_budget", "0", config.recheck_budget, 0),
        ("ckanext.archiver.private_datasets", "archive", config.private_copies, True),
        ("ckanext.archiver.quota_bytes", "7000000000", config.quota_bytes, 7_000_000_000),
        ("ckanext.archiver.x_accel_prefix", "/internal", config.x_accel_prefix, "/internal/"),
        (
            "ckanext.archiver.policies",
            "org:office=archive format:ZIP=check-only *=check-only",
            config.policies,
            (Policy("org", "office", True), Policy("format", "zip", False), Policy("*", "", False)),
        ),
    ],
)
def test_what_is_set(key: str, given: Any, getter: Any, read: Any, ckan_config: Any) -> None:
    """Configuration files hold strings, some of them empty."""
    ckan_config[key] = given
    assert getter() == read
    config.check()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ckanext-archiver.archive_dir", "archive"),
        ("ckanext-archiver.archive_dir", "/"),
        ("ckanext-archiver.archive_dir", "//"),
        ("ckanext-archiver.cache_url_root", "archive.example.org/cache"),
        ("ckanext-archiver.cache_url_root", "javascript:alert(1)"),
        ("ckanext-archiver.cache_url_root", "http://[::1/"),
        ("ckanext-archiver.cache_url_root", "http://a:port/"),
        ("ckanext-archiver.max_content_length", "50MB"),
        ("ckanext-archiver.max_content_length", "0"),
        ("ckanext-archiver.max_content_length", "1.5"),
        ("ckanext-archiver.user_agent_string", "a\nX-Injected: b"),
        ("ckanext-archiver.user_agent_string", "Портал"),
        ("ckanext-archiver.verify_https", "perhaps"),
        ("ckanext-archiver.archive_cloud", "s3"),
        ("ckan.site_url_internally", "localhost"),
        ("ckan.download_proxy", "proxy:3128"),
        ("ckanext.archiver.connect_seconds", "0"),
        ("ckanext.archiver.read_seconds", "nan"),
        ("ckanext.archiver.total_seconds", "inf"),
        ("ckanext.archiver.threads", "0"),
        ("ckanext.archiver.host_concurrency", "-1"),
        ("ckanext.archiver.host_delay", "-0.1"),
        ("ckanext.archiver.breaker_failures", "0"),
        ("ckanext.archiver.recheck_days", "0"),
        ("ckanext.archiver.recheck_budget", "-1"),
        ("ckanext.archiver.confirm_tries", "many"),
        ("ckanext.archiver.confirm_hours", "-1"),
        ("ckanext.archiver.policies", "office=archive"),
        ("ckanext.archiver.policies", "org:office=keep"),
        ("ckanext.archiver.private_datasets", "yes"),
        ("ckanext.archiver.removal_grace_hours", "-1"),
        ("ckanext.archiver.quota_bytes", "1e400"),
        ("ckanext.archiver.x_accel_prefix", "internal"),
    ],
)
def test_a_wrong_value_is_named(key: str, value: str, ckan_config: Any) -> None:
    """The error says which setting it is, and keeps the portal from starting."""
    ckan_config[key] = value
    with pytest.raises(ConfigurationError, match=key.replace(".", r"\.")):
        config.check()


def test_no_password_of_a_proxy_is_shown(ckan_config: Any) -> None:
    """An error may be read by many."""
    ckan_config["ckan.download_proxy"] = "socks://u:geheim@proxy:1080"
    with pytest.raises(ConfigurationError) as caught:
        config.check()
    assert "geheim" not in str(caught.value)
