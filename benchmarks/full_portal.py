"""A portal with a million harvest objects and three hundred thousand archivals, made with SQL from one of each kind.

One source and one dataset are made through the API; their rows are copied, and so are their search documents. The
datasets are those of the portal's own user, as harvested ones are. What cannot be had so is left out: the datasets have
no activities and no groups.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg2
import requests
from ckanapi import RemoteCKAN
from psycopg2 import sql

from ckanext.relay.devstack.stack import Stack

#: The target of the syndicate plugin.
PROFILE = "target"
SETTINGS = {
    f"ckanext.syndicate.profile.{PROFILE}.ckan_url": "http://target.example",
    f"ckanext.syndicate.profile.{PROFILE}.organization": "everything",
    f"ckanext.syndicate.profile.{PROFILE}.api_key": "benchmark",
}
ORGANIZATIONS = 40
#: Datasets of each half that CKAN indexes itself; the documents of the others are copies of theirs.
INDEXED = 20
RESOURCES = 3
#: Search documents that are sent at a time.
_DOCUMENTS = 500


@dataclass(frozen=True)
class Sizes:
    """How much there is. Half of the datasets, and a fifth of the objects, are of one large source and its last job."""

    objects: int = 1_000_000
    datasets: int = 100_000
    sources: int = 500
    jobs: int = 20_000

    @property
    def archivals(self) -> int:
        return self.datasets * RESOURCES

    def smaller(self, part: float) -> Sizes:
        """Return a part of it, but some of each kind."""
        least = (ORGANIZATIONS * 50, ORGANIZATIONS * 5, 60, 600)
        sizes = (self.objects, self.datasets, self.sources, self.jobs)
        return Sizes(*(max(few, int(size * part)) for few, size in zip(least, sizes, strict=True)))


_ORGANIZATIONS = """
INSERT INTO "group" (id, name, title, type, is_organization, state, approval_status, created)
SELECT 'organization-' || n, 'organization-' || n, 'Organization ' || n, 'organization', true, 'active', 'approved',
    now()
FROM generate_series(1, %(organizations)s) AS n;
UPDATE package SET owner_org = 'organization-1' WHERE id IN (%(source)s, %(dataset)s);
UPDATE package SET creator_user_id = (SELECT id FROM "user" WHERE name = %(site)s) WHERE id = %(dataset)s;
"""
_SOURCES = """
INSERT INTO package SELECT made.* FROM package AS one, generate_series(1, %(sources)s - 1) AS n,
    jsonb_populate_record(one, jsonb_build_object('id', 'source-' || n, 'name', 'source-' || n,
        'title', 'Source ' || n, 'url', 'http://source-' || n || '.example',
        'owner_org', 'organization-' || (1 + n %% %(organizations)s))) AS made
WHERE one.id = %(source)s;
INSERT INTO harvest_source SELECT made.* FROM harvest_source AS one, generate_series(1, %(sources)s - 1) AS n,
    jsonb_populate_record(one, jsonb_build_object('id', 'source-' || n, 'title', 'Source ' || n,
        'url', 'http://source-' || n || '.example')) AS made
WHERE one.id = %(source)s;
UPDATE harvest_source SET frequency = 'DAILY', next_run = now() + interval '1 hour';
UPDATE harvest_source SET next_run = now() - interval '3 days' WHERE id LIKE 'source-%%7';
"""
_DATASETS = """
INSERT INTO package SELECT made.* FROM package AS one, generate_series(1, %(datasets)s) AS n,
    jsonb_populate_record(one, jsonb_build_object('id', 'dataset-' || lpad(n::text, 7, '0'),
        'name', 'dataset-' || lpad(n::text, 7, '0'), 'title', 'Dataset ' || lpad(n::text, 7, '0'),
        'owner_org', 'organization-' || (1 + n %% %(organizations)s))) AS made
WHERE one.id = %(dataset)s;
INSERT INTO resource SELECT made.* FROM resource AS one, generate_series(1, %(datasets)s) AS n,
    jsonb_populate_record(one, jsonb_build_object('package_id', 'dataset-' || lpad(n::text, 7, '0'),
        'id', 'resource-' || lpad(n::text, 7, '0') || '-' || one.position,
        'url', 'http://host-' || n %% 500 || '.example/' || n || '-' || one.position || '.csv')) AS made
WHERE one.package_id = %(dataset)s;
"""
#: One link in ten is broken: that of the first resource of datasets 3, 7 and 10 of each ten.
_ARCHIVALS = """
INSERT INTO archival (id, package_id, resource_id, status_id, is_broken, verdict, reason, cause, cache_filepath,
    cache_url, size, mimetype, hash, first_failure, last_success, failure_count, created, updated)
SELECT 'archival-' || id, package_id, id, CASE WHEN bad THEN 12 ELSE 0 END, bad,
    CASE WHEN bad THEN 'broken' ELSE 'ok' END, CASE WHEN bad THEN 'Server reported status error: 404 Not Found' END,
    CASE WHEN bad THEN 'http_404' END, '/archive/' || id, 'http://cache.example/' || id, 100000, 'text/csv', md5(id),
    CASE WHEN bad THEN now() - interval '9 days' END, now() - interval '10 days', CASE WHEN bad THEN 3 ELSE 0 END,
    now(), now()
FROM (SELECT *, position = 0 AND right(package_id, 1) IN ('3', '7', '0') AS bad FROM resource
    WHERE package_id LIKE 'dataset-%%') AS link;
INSERT INTO archiver_link (resource_id, package_id, url, url_hash, host, fingerprint, tries, checked, recheck_at,
    suspect, succeeded, shows)
SELECT id, package_id, url, md5(url), split_part(url, '/', 3), md5(url), 0, now(), now() + interval '7 days', false,
    true, true
FROM resource WHERE package_id LIKE 'dataset-%%';
INSERT INTO archiver_host (host, failures, last_answer) SELECT DISTINCT host, 0, now() FROM archiver_link;
"""
#: Each source has a job a day; the large one has one more, with a fifth of all objects. One record in 40 failed.
_JOBS = """
INSERT INTO harvest_job (id, source_id, status, created, gather_started, gather_finished, finished, stats)
SELECT 'job-' || n, CASE WHEN n %% %(sources)s = 0 THEN %(source)s ELSE 'source-' || n %% %(sources)s END, 'Finished',
    at, at, at, at + interval '5 minutes', json_build_object('added', n %% 7, 'updated', n %% 40, 'not modified', 200,
        'errored', CASE WHEN n %% 11 = 0 THEN 90 ELSE n %% 3 END, 'deleted', n %% 2)
FROM (SELECT n, now() - interval '1 day' * (1 + (%(jobs)s - n) / %(sources)s) AS at
    FROM generate_series(1, %(jobs)s) AS n) AS job;
INSERT INTO harvest_job (id, source_id, status, created, gather_started, gather_finished, finished, stats)
SELECT 'large-job', %(source)s, 'Finished', now() - interval '3 hours', now() - interval '3 hours',
    now() - interval '2 hours', now(), json_build_object('added', 0, 'updated', %(objects)s / 5 - %(objects)s / 200,
    'not modified', 0, 'errored', %(objects)s / 200, 'deleted', 0);
"""
_OBJECTS = """
INSERT INTO harvest_object (id, guid, current, gathered, state, report_status, harvest_job_id, harvest_source_id,
    package_id, content, retry_times, import_finished)
SELECT 'object-' || n, 'guid-' || n, NOT bad AND dataset IS NOT NULL, now(),
    CASE WHEN bad THEN 'ERROR' ELSE 'COMPLETE' END, CASE WHEN bad THEN 'errored' ELSE 'updated' END, job, source_id,
    CASE WHEN NOT bad THEN dataset END,
    repeat('{"title": "x"} ', 30), 1, now()
FROM (
    SELECT n, n %% 40 = 0 AS bad, CASE WHEN n <= %(objects)s / 5 THEN 'large-job'
            ELSE 'job-' || %(jobs)s - n %% %(jobs)s END AS job,
        CASE WHEN n <= %(datasets)s / 2 OR (n > %(objects)s / 5 AND n <= %(objects)s / 5 + %(datasets)s / 2)
            THEN 'dataset-' || lpad((CASE WHEN n <= %(datasets)s / 2 THEN n ELSE n - %(objects)s / 5 + %(datasets)s / 2
            END)::text, 7, '0') END AS dataset
    FROM generate_series(1, %(objects)s) AS n) AS numbered
JOIN (SELECT id, source_id FROM harvest_job) AS of_job ON of_job.id = numbered.job;
INSERT INTO harvest_object_error (id, harvest_object_id, message, stage, created)
SELECT 'error-' || n, 'object-' || n, 'Failed for reason ' || chr(65 + n / 40 %% 12) || ': record ' || n || ' is bad',
    'Import', now()
FROM generate_series(40, %(objects)s, 40) AS n;
INSERT INTO harvest_gather_error (id, harvest_job_id, message, created)
SELECT 'gather-error-' || n, 'job-' || n, 'The source does not answer', now()
FROM generate_series(100, %(jobs)s, 100) AS n;
"""
#: All datasets were pushed; of one in 20 a later push waits, or has failed.
_PUSHES = """
INSERT INTO syndication_copy (local_id, profile_id, name, target_id, target_name, payload_hash, presence, pushed)
SELECT id, %(profile)s, name, 'copy-' || id, name, md5(id), 'active', now() - interval '1 minute'
FROM package WHERE id LIKE 'dataset-%%';
INSERT INTO syndication_log (local_id, profile_id, target_id, state, timestamp)
SELECT id, %(profile)s, 'copy-' || id, 'synced', now() FROM package WHERE id LIKE 'dataset-%%';
INSERT INTO syndication_outbox (local_id, profile_id, version, rank, asked, due, attempts, state, force, cause, error,
    failing_since)
SELECT id, %(profile)s, 1, 1, now(), now() + interval '1 day', 3, CASE WHEN right(id, 2) >= '50' THEN 'failed' ELSE
    'waiting' END, false, 'refused', 'The target says: 409 CONFLICT', now()
FROM package WHERE id LIKE 'dataset-%%' AND right(id, 1) = '0' AND left(right(id, 2), 1) IN ('1', '3', '5', '7', '9');
INSERT INTO syndication_target (profile_id, ckan_url, site_url, checked, failures)
VALUES (%(profile)s, 'http://target.example', 'http://target.example', now(), 0);
"""


class FullPortal:
    """Fills the portal of a stack that runs."""

    def __init__(self, stack: Stack, sizes: Sizes) -> None:
        self.stack, self.sizes = stack, sizes

    def fill(self) -> Iterator[str]:
        """Make the rows; yields what was made."""
        with RemoteCKAN(self.stack.this.url, apikey=self.stack.this.api_token) as api:
            given = {
                "name": "large-source",
                "title": "Large source",
                "url": "http://large.example",
                "notes": "Of it all.",
            }
            source = api.call_action("harvest_source_create", {**given, "source_type": "ckan"})
            parts = [{"url": f"http://one.example/{number}", "format": "CSV"} for number in range(RESOURCES)]
            one = {"name": "one", "title": "One", "notes": "A dataset.", "resources": parts, "tags": [{"name": "one"}]}
            dataset = api.call_action("package_create", one)
        sizes = {name: getattr(self.sizes, name) for name in ("objects", "datasets", "sources", "jobs")}
        named = {
            "source": source["id"],
            "dataset": dataset["id"],
            "organizations": ORGANIZATIONS,
            "profile": PROFILE,
            "site": self.stack.this.portal,
        }
        for what, statement in (
            ("organizations", _ORGANIZATIONS),
            ("sources", _SOURCES),
            ("datasets", _DATASETS),
            ("archivals", _ARCHIVALS),
            ("jobs", _JOBS),
            ("objects", _OBJECTS),
            ("pushes", _PUSHES),
        ):
            self._execute(statement, sizes | named)
            yield what
        self._execute("VACUUM ANALYZE")

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        [[number]] = self._execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
        return int(number)

    def _execute(self, statement: str | sql.Composed, given: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(self.stack.postgres.database("this"))
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, given)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def dataset(self, number: int) -> str:
        """Return the id, which is also the name, of a dataset from 1 on."""
        return f"dataset-{number:07}"

    def indexed_first(self) -> list[int]:
        """Return the numbers of the datasets whose search documents are copied: the first of each half."""
        return [number + half for half in (0, self.sizes.datasets // 2) for number in range(1, INDEXED + 1)]

    def index(self) -> None:
        """Copy the search documents of the first datasets for all others."""
        core = self.stack.solr.core("this")
        originals = [self._document(core, number) for number in self.indexed_first()]
        for first in range(1, self.sizes.datasets + 1, _DOCUMENTS):
            numbers = range(first, min(first + _DOCUMENTS, self.sizes.datasets + 1))
            copies = [self._copy(originals[self._original(number)], number) for number in numbers]
            self._send(core, f"[{','.join(copies)}]")
        requests.get(f"{core}/update", {"commit": "true"}, timeout=600).raise_for_status()

    def _original(self, number: int) -> int:
        return (number - 1) % INDEXED + (INDEXED if number > self.sizes.datasets // 2 else 0)

    def _document(self, core: str, number: int) -> tuple[str, str]:
        """Return a search document as text, with the number that it holds wherever it names the dataset."""
        asked = {"q": f'id:"{self.dataset(number)}"', "wt": "json"}
        answer = requests.get(f"{core}/select", asked, timeout=60)
        answer.raise_for_status()
        [document] = answer.json()["response"]["docs"]
        del document["_version_"]
        return f"{number:07}", json.dumps(document)

    def _copy(self, original: tuple[str, str], number: int) -> str:
        before, text = original
        index_id, copied = (
            hashlib.md5(f"{self.dataset(each)}{self.stack.this.portal}".encode()).hexdigest()
            for each in (int(before), number)
        )
        return text.replace(index_id, copied).replace(before, f"{number:07}")

    def _send(self, core: str, documents: str) -> None:
        headers = {"Content-Type": "application/json"}
        requests.post(f"{core}/update", documents.encode(), headers=headers, timeout=600).raise_for_status()
