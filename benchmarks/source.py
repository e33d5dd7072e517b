"""The source portal: filled once for a set of datasets, then changed and put back."""

from __future__ import annotations

from . import data
from .scenarios import EVERY
from .sites import Bench, Site, create

#: How old everything at the source is. Incremental harvests ask for what changed since an hour before the last one.
AGE = "2 days"


class Source:
    def __init__(self, bench: Bench, datasets: list[bytes]) -> None:
        self.bench, self.site, self.datasets = bench, Site(bench, "source"), datasets
        self.label = f"base-{data.fingerprint(datasets)[:12]}"

    def prepare(self) -> None:
        """Bring the portal to the base state; filled once, it is kept for later runs."""
        self.bench.start_site("source", anew=False)
        if self.site.has(self.label):
            self.put_back()
            return
        if not self.site.has("empty"):
            self.site.save("empty")
        self.site.put_back("empty")
        self.bench.say(f"filling the source portal with {len(self.datasets)} datasets …")
        file = data.write(self.site.portal.folder / "datasets.jsonl", self.datasets)
        create(self.site, file, processes=2, solr_commit=False)
        for table, created in {"package": "metadata_created", "resource": "created"}.items():
            for column in (created, "metadata_modified"):
                self.site.query(f"UPDATE {table} SET {column} = {column} - interval '{AGE}'")
        self.site.run("search-index", "rebuild", "--quiet")
        self.site.save(self.label)

    def put_back(self) -> None:
        self.site.put_back(self.label)

    def change(self) -> None:
        """Give one dataset of ``EVERY`` another title."""
        for name in self._chosen():
            title = self.site.call("package_show", id=name)["title"]
            self.site.call("package_patch", id=name, title=f"{title} (revised)")

    def delete(self) -> None:
        """Delete one dataset of ``EVERY``."""
        for name in self._chosen():
            self.site.call("package_delete", id=name)

    def _chosen(self) -> list[str]:
        rows = self.site.query("SELECT name FROM package WHERE type = 'dataset' AND state = 'active' ORDER BY name")
        return [row[0] for row in rows][::EVERY]
