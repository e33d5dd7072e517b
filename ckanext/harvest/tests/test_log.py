"""The log in the database: what is kept, and that it is in nobody's way."""

from __future__ import annotations

import datetime
import logging
import logging.config
import multiprocessing
import time
from collections.abc import Iterator
from typing import Any

import ckan.plugins as p
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.exceptions import CkanConfigurationException
from ckan.model import meta

from ckanext.harvest import plugin
from ckanext.harvest.log import DBLogHandler
from ckanext.harvest.model import HarvestLog, clean_harvest_log, db_log
from ckanext.relay import lease, redaction


@pytest.fixture(autouse=True)
def quiet(portal: None) -> Iterator[None]:
    """No message of another test, and no handler left behind; all loggers take everything."""
    logger = logging.getLogger("ckanext.harvest")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    lease.execute(sa.delete(HarvestLog.__table__))
    yield
    db_log.configure(-1, logging.DEBUG)
    logger.setLevel(before)


def log(name: str, message: str = "something", level: int = logging.INFO) -> None:
    logger = logging.getLogger(f"ckanext.harvest.{name}" if name else "ckanext.harvest")
    logger.disabled = False  # migrations silence loggers
    logger.log(level, message)


def rows() -> list[tuple[str, str]]:
    """Return (level, content) of all that is kept, oldest first."""
    db_log.flush()
    columns = HarvestLog.__table__.c
    return [(r.level, r.content) for r in lease.rows(sa.select(columns.level, columns.content).order_by("created"))]


LOGGERS = ("", "runner", "plugin", "model.tables", "logic.action.job", "logic.validators", "harvesters.base")


@pytest.mark.parametrize(
    ("scope", "kept"),
    [
        (-1, ""),
        (0, "|runner|plugin|model.tables|logic.action.job|logic.validators|harvesters.base"),
        (1, "model.tables|logic.action.job|logic.validators|harvesters.base"),
        ("2", "model.tables|logic.action.job|logic.validators"),
        (3, "model.tables|logic.action.job"),
        (4, "logic.action.job"),
        (5, "model.tables"),
        ("6", "plugin"),
        (7, "harvesters.base"),
    ],
)
def test_scopes(scope: int | str, kept: str, ckan_config: Any) -> None:
    """Each scope keeps what the contract says, each message once."""
    ckan_config["ckan.harvest.log_scope"] = scope
    plugin._configure_db_logger(ckan_config)
    for name in LOGGERS:
        log(name, name)
    assert [content for _, content in rows()] == ([] if scope == -1 else kept.split("|"))


def test_levels(ckan_config: Any) -> None:
    """Only what is as grave as the setting says is kept; levels that the table does not know become known ones."""
    ckan_config["ckan.harvest.log_scope"], ckan_config["ckan.harvest.log_level"] = "0", "Warning"
    plugin._configure_db_logger(ckan_config)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, 35, logging.ERROR, logging.CRITICAL, 60):
        log("runner", str(level), level)
    assert rows() == [
        ("WARNING", "30"),
        ("WARNING", "35"),
        ("ERROR", "40"),
        ("CRITICAL", "50"),
        ("CRITICAL", "60"),
    ]


def test_a_wrong_setting_is_named(ckan_config: Any) -> None:
    """Whoever starts the portal reads which option is wrong, and not a traceback."""
    for key, value in {
        "ckan.harvest.log_scope": "8",
        "ckan.harvest.log_level": "loud",
        "ckan.harvest.timeout": "soon",
        "ckan.harvest.batch_size": "many",
        "ckan.harvest.mq.type": "zeromq",
        "ckan.harvest.mq.port": "http",
        "ckanext.harvest.default_dataset_name_append": "at-will",
        "ckanext.relay.allowed_networks": ["10.0.0.1/8"],
    }.items():
        before = ckan_config.get(key)
        ckan_config[key] = value
        if key == "ckan.harvest.mq.port":
            ckan_config["ckan.harvest.mq.hostname"] = "queue"
        with pytest.raises(CkanConfigurationException, match=key if "networks" not in key else "10.0.0.1/8"):
            p.get_plugin("harvest").configure(ckan_config)
        ckan_config[key] = before


def test_the_transaction_of_who_logs_is_not_touched() -> None:
    """A message stays when the caller rolls back, and what the caller has not committed stays uncommitted."""
    db_log.configure(0, logging.DEBUG)
    model.Session.add(HarvestLog(content="of the caller", level="INFO"))
    model.Session.flush()
    log("runner", "of the handler")
    assert [content for _, content in rows()] == ["of the handler"]
    model.Session.rollback()
    assert [content for _, content in rows()] == ["of the handler"]


def test_messages_are_whole_rows_of_text() -> None:
    """Tracebacks are kept, secrets are not; long messages are cut, and no character is too strange."""
    db_log.configure(0, logging.DEBUG)
    redaction.remember(["hunter2-known"])
    try:
        raise ValueError("http://me:hunter2@example.org/?token=hunter2")
    except ValueError:
        logging.getLogger("ckanext.harvest.runner").exception("failed with hunter2-known")
    log("runner", "x" * 50_000)
    log("runner", "NUL \x00 and half a character \ud83d")
    [(level, failed), (_, long), (_, strange)] = rows()
    assert level == "ERROR" and "Traceback" in failed and "ValueError" in failed
    assert "hunter2" not in failed
    assert len(long) == db_log.LONGEST
    assert strange.startswith("NUL") and "\x00" not in strange


def test_times_are_utc() -> None:
    """As in all tables, without saying so."""
    db_log.configure(0, logging.DEBUG)
    log("runner")
    rows()
    created = HarvestLog.filter().one().created
    assert abs(created - datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)).total_seconds() < 5


def test_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Who logs neither notices nor waits; there is one warning, and messages are kept again when it is back."""
    db_log.configure(0, logging.DEBUG)
    away = sa.create_engine("postgresql://nobody:hunter2@127.0.0.1:9/none")
    with monkeypatch.context() as patch:
        patch.setattr(meta, "engine", away)
        begun = time.monotonic()
        for number in range(3 * db_log.WAITING):
            log("runner", str(number))
        assert time.monotonic() - begun < 5
        db_log.flush()
    warnings = capfd.readouterr().err
    assert warnings.count("Log messages are not kept in the database") == 1
    assert "hunter2" not in warnings
    log("runner", "back")
    assert ("INFO", "back") in rows()


def test_before_there_is_a_table_or_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler of the logging configuration is there long before CKAN has a database."""
    db_log.configure(0, logging.DEBUG)
    with monkeypatch.context() as patch:
        patch.setattr(meta, "engine", None)
        log("runner")
    assert rows() == []


def test_no_recursion() -> None:
    """Not even for a handler of all loggers, while the database logs its statements."""
    handler = DBLogHandler()
    root, engine = logging.getLogger(), logging.getLogger("sqlalchemy.engine")
    before = engine.level
    root.addHandler(handler)
    engine.setLevel(logging.INFO)
    try:
        log("runner", "once")
        handler.flush()
        time.sleep(0.2)
        handler.flush()
    finally:
        engine.setLevel(before)
        root.removeHandler(handler)
    assert [content for _, content in rows() if content == "once"] == ["once"]
    assert not any("INSERT INTO harvest_log" in content for _, content in rows())


def test_a_fork_keeps_its_own_messages() -> None:
    """Workers are forked from a process that has logged already."""
    db_log.configure(0, logging.DEBUG)
    log("runner", "parent")
    db_log.flush()

    def in_fork() -> None:
        meta.engine.dispose(close=False)
        log("runner", "child")
        db_log.flush()

    process = multiprocessing.get_context("fork").Process(target=in_fork)
    process.start()
    process.join(20)
    assert process.exitcode == 0
    log("runner", "parent again")
    assert [content for _, content in rows()] == ["parent", "child", "parent again"]


def test_an_ini_file_may_name_the_handler() -> None:
    """As the documentation of ckanext-harvest said."""
    logging.config.dictConfig(
        {
            "version": 1,
            "incremental": False,
            "disable_existing_loggers": False,
            "handlers": {"db": {"class": "ckanext.harvest.log.DBLogHandler", "level": "WARNING"}},
            "loggers": {"ckanext.harvest.example": {"handlers": ["db"]}},
        }
    )
    log("example", "quiet")
    log("example", "loud", logging.ERROR)
    assert rows() == [("ERROR", "loud")]
    logging.getLogger("ckanext.harvest.example").handlers.clear()


def test_old_messages_are_thrown_away() -> None:
    """What is older than the condition, and nothing else."""
    now = datetime.datetime.utcnow()
    for days in (40, 31, 29, 0):
        model.Session.add(HarvestLog(content=str(days), level="INFO", created=now - datetime.timedelta(days=days)))
    model.Session.commit()
    clean_harvest_log(condition=now - datetime.timedelta(days=30))
    assert [content for _, content in rows()] == ["29", "0"]
