"""The hook for plugins that bring reports."""

from __future__ import annotations

from typing import Any

import ckan.plugins as p


class IReport(p.Interface):
    """A plugin that brings reports."""

    def register_reports(self) -> list[dict[str, Any]]:
        """Return a dict for each report. What may be in it:

        ``name``
            Part of the URL and of the key that data are stored under. No two reports share one.
        ``generate``
            Function that is called with the options as keyword arguments and returns a dict that can be written as
            JSON. ``table`` in it holds the rows: dicts, or lists whose names are in ``columns``.
        ``template``
            Path of the template of the page. It is given ``table`` and ``data`` (whose ``table`` are the rows of this
            page), ``total`` (how many rows there are), ``options`` and ``report_name``.
        ``option_defaults``
            OrderedDict of all options to their default values, or None.
        ``option_combinations``
            Function that returns the combinations of options (dicts) that are generated beforehand, or None for the
            defaults alone.

        These may be left out:

        ``title``, ``description``
            For people. Without a title, the name with a capital.
        ``authorize``
            Function of a user object (None for visitors) and a dict of options: True if they may see the report.
        ``dataset_column``
            Name of the column that holds the id or name of the dataset that a row is about. Rows about datasets that
            the visitor may not see are left out, in all formats and in the API. Without this key, the first of
            ``package_id``, ``dataset_id``, ``package_name`` and ``dataset_name`` that the rows have; None if no row
            tells of a dataset.
        ``visible``
            Function of the data and a :class:`ckanext.report.visibility.Viewer` that returns what of the data this
            viewer may see, in place of the rule above. The data it is given must not be changed.
        ``plot``
            Function of the data (whose ``table`` are the rows that are chosen, of all pages) and a dict of options that
            returns a :class:`ckanext.report.lib.Plot`, or None if there is nothing to draw.
        ``page_size``
            How many rows a page shows (100); 0 for all, and no filter.

        Further keys are kept in ``Report.info``.
        """
        return []
