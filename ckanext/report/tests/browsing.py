"""Asking for pages as somebody, and making what reports are about."""

from __future__ import annotations

import contextvars
import functools
import itertools
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model
from ckan.tests import factories

from ckanext.report import tasks, wanted
from ckanext.report.report_registry import Report, ReportRegistry

_number = itertools.count()


class Browser:
    """Asks for pages, as a visitor or as a user who is named."""

    def __init__(self, flask_app: Any) -> None:
        self.flask_app = flask_app
        self._tokens: dict[str, str] = {}

    def get(self, path: str, user: str = "", **options: Any) -> Any:
        return self._ask("get", path, user, **options)

    def post(self, path: str, user: str = "", **options: Any) -> Any:
        return self._ask("post", path, user, **options)

    def _ask(self, method: str, path: str, user: str, **options: Any) -> Any:
        headers = {}
        if user:
            if user not in self._tokens:
                self._tokens[user] = factories.APIToken(user=user)["token"]
            headers["Authorization"] = self._tokens[user]
        model.Session.commit()
        # the language is said by what CKAN 2.11 has around the application
        call = functools.partial(
            getattr(self.flask_app.test_client(), method),
            headers=headers, environ_overrides={"CKAN_LANG": "en"}, **options,
        )  # fmt: skip
        return contextvars.Context().run(call, path)


def report(name: str) -> Report:
    return ReportRegistry.instance().get_report(name)


def generate(name: str, **options: Any) -> Any:
    """Generate a report now and return its data."""
    return report(name).refresh_cache({**report(name).option_defaults, **options})[0]


def work() -> None:
    """Generate what people asked for, as a worker does."""
    for note_id in wanted.waiting():
        tasks.generate_wanted(note_id)


def act(action: str, user: str = "", **data: Any) -> Any:
    return tk.get_action(action)({"user": user}, data)


def dataset(name: str | None = None, **fields: Any) -> model.Package:
    """Save a dataset, without the search index, which reports do not need."""
    name = name or f"dataset-{next(_number)}"
    package = model.Package(**{"name": name, "title": name.title(), "type": "dataset", **fields})
    model.Session.add(package)
    model.Session.commit()
    return package
