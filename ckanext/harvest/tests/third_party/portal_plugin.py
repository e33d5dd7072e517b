"""What a portal adds to harvest with ckanext-spatial 2.3.2 from a CSW: a plugin of its own.

No record of a CSW can be imported with the harvester as it is. It stores each with an XML declaration that names the
encoding, means to cut that off by the pattern ``<xml(.*)>`` (which matches no declaration), and gives the text to
lxml, which takes no declaration of an encoding in a string. On ckanext-harvest 1.6.3 the consumer dies of it.

This is in the test's folder, and found by a portal that has the folder of ``write`` on its path: no package of ours
has a plugin for tests.
"""

from __future__ import annotations

from pathlib import Path

_MODULE = """
from ckanext.spatial.harvesters import CSWHarvester


class BareCSWHarvester(CSWHarvester):
    def info(self):
        return super().info() | {"name": "bare_csw", "title": "CSW Server, records without a declaration"}

    def fetch_stage(self, harvest_object):
        fetched = super().fetch_stage(harvest_object)
        if harvest_object.content:
            harvest_object.content = harvest_object.content.partition("?>")[2]
            harvest_object.save()
        return fetched
"""


def write(folder: Path) -> dict[str, str]:
    """Write the plugin into a folder, and return the variables with which a process finds it."""
    info = folder / "portal_plugin-1.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (folder / "bare_csw_plugin.py").write_text(_MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: portal-plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[ckan.plugins]\nbare_csw_harvester = bare_csw_plugin:BareCSWHarvester\n")
    return {"PYTHONPATH": str(folder), "TZ": "UTC"}
