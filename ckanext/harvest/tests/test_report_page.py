"""The page of the report on how harvesting goes."""

from __future__ import annotations

import contextvars
from typing import Any

import pytest
from bs4 import BeautifulSoup

from ckanext.harvest.tests.harvesting import act, make_source
from ckanext.report.report_registry import ReportRegistry

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "activity harvest ckan_harvester report"),
    pytest.mark.usefixtures("with_plugins", "clean_db", "clean_index", "with_request_context"),
]


def test_the_page(app: Any, migrate_db_for: Any) -> None:
    """Each source with its state, in words; one whose dataset was deleted is gone."""
    for plugin in ("activity", "harvest", "report"):
        migrate_db_for(plugin)
    make_source("ckan", title="Trees", frequency="MONTHLY")
    act("harvest_source_delete", id=make_source("ckan", title="Gone")["id"])
    ReportRegistry.instance().get_report("harvest-status").refresh_cache({})
    page = BeautifulSoup(app.get("/report/harvest-status").body, "html.parser")
    cells = [cell.text.strip() for cell in page.select("#report-table td")]
    assert cells[:2] == ["Trees", "Never run"]
    assert "Gone" not in page.text
    assert page.select_one('#report-table a[href^="/harvest/"]')
    assert [cell.text for cell in page.select("#report-plot tbody > tr > *")] == ["Never run", "1"]
    german = {"CKAN_LANG": "de", "CKAN_LANG_IS_DEFAULT": False}
    answer = contextvars.Context().run(app.get, "/report/harvest-status", environ_overrides=german)
    assert BeautifulSoup(answer.body, "html.parser").select("#report-table td")[3].text == "Monatlich"
