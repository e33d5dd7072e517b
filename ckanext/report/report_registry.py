"""The reports that there are."""

from __future__ import annotations

import datetime
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk

from ckanext.relay.clock import now

from . import runner, stored
from .domain.options import extract_entity_name, key_of
from .domain.plot import Plot
from .domain.schedule import FRESH
from .interfaces import IReport
from .model import DataCache
from .visibility import UNSAID, Viewer, visible_rows

__all__ = ["Report", "ReportRegistry", "extract_entity_name"]

_REQUIRED = ("name", "generate", "template", "option_defaults", "option_combinations")
_PAGE_SIZE = 100

Options = dict[str, Any]


class Report:
    """A report that a plugin brings.

    :param info: as :meth:`IReport.register_reports` describes it
    :param plugin: a text that says which plugin
    :raises AssertionError: the info is not what it must be
    """

    def __init__(self, info: Mapping[str, Any], plugin: str) -> None:
        if missing := [key for key in _REQUIRED if key not in info]:
            raise AssertionError(f"A report of {plugin} lacks {', '.join(missing)}: {dict(info)!r}")
        if info["option_defaults"] and not isinstance(info["option_defaults"], Mapping):
            raise AssertionError(f"option_defaults of the report {info['name']} of {plugin} is no OrderedDict")
        self.info = dict(info)
        self.plugin = plugin
        self.name: str = info["name"]
        self.title: str = info.get("title") or self.name.replace("-", " ").replace("_", " ").capitalize()
        self.description: str = info.get("description") or ""
        self.template: str = info["template"]
        self.generate: Callable[..., Any] = info["generate"]
        self.option_defaults: OrderedDict[str, Any] = OrderedDict(info["option_defaults"] or {})
        self.option_combinations: Callable[[], Iterable[Options]] | None = info["option_combinations"]
        self.authorize: Callable[[Any, Options], bool] | None = info.get("authorize")
        self.plot: Callable[[Any, Options], Plot | None] | None = info.get("plot")
        self.page_size: int = info.get("page_size", _PAGE_SIZE)

    def generate_key(self, options: Mapping[str, Any], defaults_for_missing_keys: bool = True) -> str:
        """Return the key that the data with these options are stored under.

        :raises KeyError: an option is missing and defaults are not wanted
        """
        defaults = self.option_defaults if defaults_for_missing_keys else {}
        return key_of(self.name, {**defaults, **options}, self.option_defaults)

    def combinations(self) -> list[Options]:
        """Return the combinations of options that are generated beforehand, all options in each."""
        given = self.option_combinations() if self.option_combinations else [{}]
        return [{**self.option_defaults, **options} for options in given]

    def refresh_cache(self, option_dict: Options) -> tuple[Any, datetime.datetime]:
        """Generate, store and commit; return the data and when that was (UTC).

        :param option_dict: a value for each option
        :raises KeyError: an option is missing
        """
        return runner.refresh(self, option_dict)

    def refresh_cache_for_all_options(self) -> None:
        """Generate all combinations."""
        for options in self.combinations():
            self.refresh_cache(options)

    def get_fresh_report(self, **option_dict: Any) -> tuple[Any, datetime.datetime]:
        """Return data that are younger than two days and when they were made (UTC); generates them if need be. They
        hold all rows, whoever may see them."""
        options = {**self.option_defaults, **option_dict}
        data, created = DataCache.get_if_fresh(extract_entity_name(options), self.generate_key(options), True)
        return self.refresh_cache(options) if data is None or created is None else (data, created)

    def get_stored(self, options: Options, viewer: Viewer) -> tuple[Any, datetime.datetime | None]:
        """Return what of the stored data this viewer may see and when they were made, or ``(None, None)``. Nothing is
        generated."""
        data, created = stored.read(extract_entity_name(options), self.generate_key(options))
        if data is None:
            return None, None
        return self.visible_to(data, viewer), created

    def visible_to(self, data: Any, viewer: Viewer) -> Any:
        """Return what of the data this viewer may see."""
        if visible := self.info.get("visible"):
            return visible(data, viewer)
        return visible_rows(data, viewer, self.info.get("dataset_column", UNSAID))

    def get_cached_date(self, **option_dict: Any) -> datetime.datetime | None:
        """Return when the data with these options were made (UTC), or None."""
        options = {**self.option_defaults, **option_dict}
        version = DataCache.version(extract_entity_name(options), self.generate_key(options))
        return version[1] if version else None

    @staticmethod
    def add_defaults_to_options(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> Options:
        """Return the options with defaults for those that are missing, but False for one that is True by default:
        that is what a browser leaves out when the box is not ticked. Options that have no default are kept."""
        found = dict(options)
        for name, default in defaults.items():
            if not isinstance(default, bool):
                found.setdefault(name, default)
            elif name not in found:
                found[name] = False
            else:
                try:
                    found[name] = tk.asbool(found[name])
                except ValueError:
                    found[name] = default
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return what people are told of the report."""
        names = ("name", "title", "description", "option_defaults", "template")
        return {name: getattr(self, name) for name in names}

    def is_visible_to_user(self, user: Any) -> bool:
        """Tell whether a user (None for a visitor) may see the report."""
        return bool(self.authorize(user, self.option_defaults)) if self.authorize else True

    def get_template(self) -> str:
        """Return the path of the template."""
        return self.template

    def is_stale(self, created: datetime.datetime) -> bool:
        """Tell whether data are so old that somebody should know."""
        return now() - created > FRESH


class ReportRegistry:
    """The reports of all plugins."""

    _made: tuple[list[Any], ReportRegistry] | None = None

    def __init__(self) -> None:
        self._reports: dict[str, Report] = {}
        for plugin in p.PluginImplementations(IReport):
            label = f"{type(plugin).__name__} ({plugin.name})"
            for info in plugin.register_reports():
                report = Report(info, label)
                if report.name in self._reports:
                    other = self._reports[report.name].plugin
                    raise AssertionError(f"Two reports are called {report.name}, of {other} and of {label}")
                self._reports[report.name] = report

    @classmethod
    def instance(cls) -> ReportRegistry:
        """Return the registry of the plugins that are loaded now."""
        plugins = list(p.PluginImplementations(IReport))
        if cls._made is None or cls._made[0] != plugins:
            cls._made = plugins, cls()
        return cls._made[1]

    def get_names(self) -> list[tuple[str, str, str]]:
        """Return ``(plugin, name, title)`` of each report, by plugin."""
        return sorted((report.plugin, report.name, report.title) for report in self._reports.values())

    def get_reports(self) -> list[Report]:
        """Return the reports by title."""
        return sorted(self._reports.values(), key=lambda report: report.title)

    def get_report(self, report_name: str) -> Report:
        """Return a report.

        :raises KeyError: there is none of that name
        """
        return self._reports[report_name]

    def refresh_cache_for_all_reports(self) -> None:
        """Generate all combinations of all reports."""
        for report in self.get_reports():
            report.refresh_cache_for_all_options()
