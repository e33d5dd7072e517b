"""Modules that are there for third parties alone: what they import works, and is the same as inside."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from ckanext.harvest.tests.scripted_harvester import Script, ScriptedHarvester, save_by_hand

PLUGINS = {"scripted_harvester": ScriptedHarvester}

ACTIONS = {
    "get": [
        "harvest_get_notifications_recipients", "harvest_job_list", "harvest_job_report", "harvest_job_show",
        "harvest_log_list", "harvest_object_list", "harvest_object_show", "harvest_source_list", "harvest_source_show",
        "harvest_source_show_status", "harvesters_info_show",
    ],
    "create": ["harvest_job_create", "harvest_job_create_all", "harvest_object_create", "harvest_source_create"],
    "update": [
        "harvest_abort_failed_jobs", "harvest_job_abort", "harvest_job_retry", "harvest_jobs_run",
        "harvest_objects_import",
        "harvest_send_job_to_gather_queue", "harvest_source_clear", "harvest_source_index_clear",
        "harvest_source_job_history_clear", "harvest_source_reindex", "harvest_source_update",
        "harvest_sources_job_history_clear", "harvest_sources_reindex",
    ],
    "patch": ["harvest_source_patch"],
    "delete": ["harvest_source_delete"],
}  # fmt: skip
MAILS = [
    "get_mail_extra_vars", "prepare_summary_mail", "prepare_error_mail", "send_summary_email", "send_error_email",
    "send_mail",
]  # fmt: skip
COMMANDS = [
    "create_harvest_source", "show_harvest_source", "remove_harvest_source", "clear_harvest_source",
    "clear_harvest_source_history", "abort_failed_jobs", "purge_queues", "list_sources", "create_job", "list_jobs",
    "abort_job", "gather_consumer", "fetch_consumer", "run_harvester", "run_test_harvester", "import_stage", "job_all",
    "reindex", "clean_harvest_log", "harvesters_info",
]  # fmt: skip


def test_the_actions_by_verb() -> None:
    """Each action is where third parties import it from, and it is the one of the API."""
    import importlib

    from ckanext.harvest.logic.action import get_actions

    ours = get_actions()
    for verb, names in ACTIONS.items():
        module = importlib.import_module(f"ckanext.harvest.logic.action.{verb}")
        assert {name: getattr(module, name) for name in names} == {name: ours[name] for name in names}
    from ckanext.harvest.logic.action import update

    assert all(callable(getattr(update, name)) for name in MAILS)
    from ckanext.harvest.logic.action.create import InactiveSource

    assert issubclass(InactiveSource, Exception)


def test_they_are_imported_without_an_application() -> None:
    """Third parties import at the head of their modules, when no portal runs yet."""
    modules = [f"ckanext.harvest.logic.{part}.{verb}" for part in ("action", "auth") for verb in ACTIONS]
    modules += ["ckanext.harvest.utils", "ckanext.harvest.helpers", "ckanext.harvest.views", "ckanext.harvest.cli"]
    subprocess.run([sys.executable, "-c", f"import {', '.join(modules)}"], check=True)


@pytest.mark.usefixtures("portal")
def test_what_the_commands_do() -> None:
    """The functions of the commands, with the arguments that third parties give, return what there is to say."""
    from ckanext.harvest import utils

    ScriptedHarvester.script = Script(imports=save_by_hand)
    assert all(callable(getattr(utils, name)) for name in COMMANDS)
    assert utils.DATASET_TYPE_NAME == "harvest"
    said: list[Any] = [
        utils.create_harvest_source("city", "http://city.example", "scripted", "The city", True, None, "MANUAL", None),
        utils.show_harvest_source("city"),
        utils.list_sources(True),
        utils.create_job("city"),
        utils.list_jobs(),
        utils.abort_job("city"),
        utils.abort_failed_jobs(7, None, None),
        utils.job_all(),
        utils.import_stage("city", True, None, None, None, None),
        utils.reindex(),
        utils.clear_harvest_source_history("city", True),
        utils.clear_harvest_source("city"),
        utils.purge_queues(),
        utils.clean_harvest_log(),
        utils.harvesters_info(),
        utils.remove_harvest_source("city"),
    ]
    assert all(isinstance(text, str) and text for text in said)


@pytest.mark.usefixtures("portal")
def test_wrong_input_is_an_error_of_the_action() -> None:
    """Called from Python, what is wrong is raised as actions raise it."""
    import ckan.plugins.toolkit as tk

    from ckanext.harvest import utils

    with pytest.raises(tk.ValidationError):
        utils.create_harvest_source("No Name", "http://city.example", "scripted")
    with pytest.raises(tk.ObjectNotFound):
        utils.create_job("no-such-source")


@pytest.mark.usefixtures("portal")
def test_the_sources_for_a_user() -> None:
    """The helper behind the list of sources, which third parties call."""
    from ckanext.harvest.logic.action.get import _get_sources_for_user
    from ckanext.harvest.tests.harvesting import make_source

    first, second = make_source("scripted"), make_source("scripted")

    def ids(*arguments: Any, **options: Any) -> list[str]:
        return [source.id for source in _get_sources_for_user({"user": ""}, *arguments, **options)]

    assert ids({}) == [second["id"], first["id"]]
    assert ids({}, limit=1) == [second["id"]]
    assert ids({"only_active": True}, first["owner_org"]) == [first["id"]]


@pytest.mark.usefixtures("portal")
def test_dictization_that_third_parties_call() -> None:
    """Of a source, of its status, of a log entry and of an error."""
    from ckanext.harvest.logic import dictization
    from ckanext.harvest.model import HarvestLog, HarvestObjectError, HarvestSource
    from ckanext.harvest.tests.harvesting import make_source

    source = HarvestSource.get(make_source("scripted")["id"])
    shown = dictization.harvest_source_dictize(source, {}, last_job_status=True)
    assert shown["status"] == dictization._get_source_status(source, {}) == {
        "job_count": 0, "next_harvest": "", "last_harvest_request": "", "msg": "No jobs yet",
    }  # fmt: skip
    assert (shown["publisher_title"], shown["last_job_status"]) == ("", "Not yet harvested")
    entry = HarvestLog(content="Hello", level="INFO")
    entry.save()
    assert set(dictization.harvest_log_dictize(entry, {})) == {"content", "level", "created"}
    error = HarvestObjectError(message="No title", line=3, stage="Import")
    assert dictization.harvest_error_dictize(error, {}) == {"message": "No title", "line": 3, "type": "Import"}


def test_the_views(loaded_plugins: None) -> None:
    """What answers the requests, under the names of ckanext-harvest."""
    from ckanext.harvest import utils
    from ckanext.harvest.views import jobs, sources

    for name in ("admin", "about", "refresh", "clear", "delete"):
        assert getattr(utils, f"{name}_view") is getattr(sources, name)
    for name in ("job_list", "job_show_last", "job_abort"):
        assert getattr(utils, f"{name}_view") is getattr(jobs, name)
    assert callable(utils.job_show_view) and callable(utils.object_show_view)
