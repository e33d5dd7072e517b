"""What reports are written with, as third parties import it; each has its own place in this package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .domain.plot import Plot, largest
from .domain.table import Row, csv_lines, ensure_data_is_dicts, percent
from .organizations import all_organizations, dataset_notes, filter_by_organizations, go_down_tree

__all__ = [
    "Plot",
    "all_organizations",
    "anonymise_user_names",
    "dataset_notes",
    "ensure_data_is_dicts",
    "filter_by_organizations",
    "go_down_tree",
    "largest",
    "make_csv_from_dicts",
    "percent",
]


def make_csv_from_dicts(rows: Sequence[Row]) -> str:
    """Return a CSV file of the rows."""
    return "".join(csv_lines(rows))


def anonymise_user_names(data: Any, organization: str | None = None) -> None:
    """Do nothing: data.gov.uk hid names of users here. Third parties call it."""
