"""What CKAN itself needs for ``package_create``, with no harvester: the floor under every harvester."""

from __future__ import annotations

from dataclasses import dataclass

from . import data
from .sites import PLUGINS_OF_FLOOR, Bench, Site, create

#: No more datasets than this for each variant: it is a figure a dataset, and takes long.
MOST = 200


@dataclass(frozen=True)
class Variant:
    title: str
    processes: int = 1
    solr_commit: bool = False
    plugins: str = PLUGINS_OF_FLOOR


VARIANTS = (
    Variant("one process, a Solr commit each", solr_commit=True),
    Variant("one process, no Solr commit"),
    Variant("two processes, no Solr commit", processes=2),
    Variant("two processes, no Solr commit, no activity plugin", processes=2, plugins=""),
)


def measure(bench: Bench, datasets: list[bytes]) -> dict[str, dict[str, float]]:
    """Wall and CPU milliseconds a dataset for each variant."""
    bench.start_site("floor", serve=False)
    site = Site(bench, "floor")
    site.save("empty")
    file = data.write(site.portal.folder / "datasets.jsonl", datasets[:MOST])
    found = {}
    for variant in VARIANTS:
        site.put_back("empty")
        site.portal.plugins = variant.plugins
        assert site.portal.services
        site.portal.configure(site.portal.services)
        told = create(site, file, variant.processes, variant.solr_commit)
        count = sum(each["datasets"] for each in told)
        wall = max(each["seconds"] for each in told) * 1000 / count
        found[variant.title] = {"wall_ms": wall, "cpu_ms": sum(each["cpu"] for each in told) * 1000 / count}
        bench.say(f"floor, {variant.title}: {wall:.0f} ms a dataset")
    return found
