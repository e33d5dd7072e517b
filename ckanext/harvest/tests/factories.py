"""Sources, jobs and objects for tests, third-party ones too. Needs factory-boy: ``pip install ckanext-relay[testing]``.

The factories whose names end in ``Obj`` return rows, the others dictionaries as the actions return them::

    source = factories.HarvestSourceObj(url="http://example.org/", source_type="mine")
    job = factories.HarvestJobObj(source=source)
    obj = factories.HarvestObjectObj(job=job, guid="one", content="{}")
"""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
import factory

from ckanext.harvest.model import HarvestJob as Job
from ckanext.harvest.model import HarvestObject as Object
from ckanext.harvest.model import HarvestSource as Source


def _act(action: str, data: dict[str, Any]) -> dict[str, Any]:
    user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    return tk.get_action(action)({"ignore_auth": True, "user": user}, data)


def _id(given: Any) -> str:
    """Return the id of a row or a dictionary."""
    return str(given["id"] if isinstance(given, dict) else given.id)


class HarvestSource(factory.Factory):
    """A source as a dictionary. One that has the same URL is returned instead of a new one.

    ``source_type`` must name a harvester of the plugins that are loaded; a test's own is often called ``test``.
    """

    class Meta:
        model = Source

    name = factory.Sequence(lambda number: f"test_source_{number}")
    title = factory.Sequence(lambda number: f"Test source {number}")
    url = factory.Sequence(lambda number: f"http://{number}.test.com")
    source_type = "test"

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> Any:
        same = Source.filter(url=fields["url"]).first()
        if same is not None:
            return _act("harvest_source_show", {"id": same.id})
        return _act("harvest_source_create", fields)


class HarvestSourceObj(HarvestSource):
    """A source as a row."""

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> Any:
        return Source.get(super()._create(model_class, *args, **fields)["id"])


class HarvestJob(factory.Factory):
    """A job as a dictionary. It is not run unless ``run=True``.

    ``source`` is a row or a dictionary, or ``source_id`` its id; without either, a new source is made.
    """

    class Meta:
        model = Job

    run = False

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> Any:
        source = fields.pop("source", None)
        if "source_id" not in fields:
            fields["source_id"] = _id(source or HarvestSource())
        return _act("harvest_job_create", fields)


class HarvestJobObj(HarvestJob):
    """A job as a row."""

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> Any:
        return Job.get(super()._create(model_class, *args, **fields)["id"])


class HarvestObject(factory.Factory):
    """An object as a dictionary.

    ``job`` is a row or a dictionary, or ``job_id`` its id; without either, a new job is made. ``extras`` is a
    dictionary of strings.
    """

    class Meta:
        model = Object

    guid = factory.Sequence(lambda number: f"guid-{number}")

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> Any:
        job = fields.pop("job", None)
        if "job_id" not in fields:
            fields["job_id"] = _id(job or HarvestJob())
        fields.setdefault("source_id", Job.get(fields["job_id"]).source_id)
        return _act("harvest_object_create", fields)


class HarvestObjectObj(HarvestObject):
    """An object as a row."""

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> Any:
        return Object.get(super()._create(model_class, *args, **fields)["id"])
