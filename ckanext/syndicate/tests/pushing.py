"""A portal that pushes to a real second CKAN, in the process of the test: no worker but the one that a test calls."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model
from ckan.tests import factories

from ckanext.relay import lease
from ckanext.syndicate import runner
from ckanext.syndicate.model import SyndicationLog, copies, outbox
from ckanext.syndicate.model.copies import Copy
from ckanext.syndicate.tests.portals import Target

Dataset = dict[str, Any]


def act(action: str, **data: Any) -> Any:
    """Call an action as the site itself, with all rights."""
    site = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    return tk.get_action(action)({"user": site, "ignore_auth": True}, data)


def make_dataset(flag: str | None = "true", **fields: Any) -> Dataset:
    """A dataset with a resource, which is to be at the target unless the flag says otherwise."""
    extras = [*fields.pop("extras", []), *([{"key": "syndicate", "value": flag}] if flag else [])]
    resources = [{"url": "http://data.example/data.csv", "format": "CSV", "name": "Data"}]
    return dict(factories.Dataset(**{"resources": resources, "extras": extras, **fields}))


def change(dataset: Dataset, **fields: Any) -> Dataset:
    """Change fields of a dataset."""
    return dict(act("package_patch", id=dataset["id"], **fields))


def set_flag(dataset: Dataset, value: str | None) -> None:
    """Set the flag of a dataset, or take it away."""
    change(dataset, extras=[{"key": "syndicate", "value": value}] if value else [])


def work(profile_id: str = "plain") -> None:
    """Push until nothing more is due."""
    model.Session.commit()
    while list(runner.push(profile_id)):
        pass
    model.Session.expire_all()


def left(profile_id: str = "plain") -> dict[str, outbox.Entry]:
    """Return what still waits, is held or has failed, by dataset."""
    return {entry.local_id: entry for entry in outbox.entries(profile_id)}


def hurry() -> None:
    """Let what waits for another try be due, and ask the targets again."""
    from ckanext.syndicate.model.tables import outbox_table, target_table

    lease.execute(outbox_table.update().values(due=lease.now))
    lease.execute(target_table.update().values(not_before=None))


def copy_of(dataset: Dataset, profile_id: str = "plain") -> Copy:
    """Return what is recorded of a copy."""
    copy = copies.get(dataset["id"], profile_id)
    assert copy is not None
    return copy


def log_of(dataset: Dataset, profile_id: str = "plain") -> Any:
    """Return the row of the log of a dataset."""
    model.Session.expire_all()
    return SyndicationLog.get(dataset["id"], profile_id)


def there(target: Target, dataset: Dataset, profile_id: str = "plain") -> Dataset:
    """Return the copy as the target shows it."""
    return dict(target.call("package_show", id=copy_of(dataset, profile_id).target_id))
