"""Call CKAN's own ``package_create`` in a bare process for the lines of a file, and say how long that took.

This is the floor under every harvester, and fills the source portal. The portal is the one of CKAN_INI. Prints
``ready`` when CKAN is loaded, begins at a line on standard input (so that several processes begin together), and ends
with the figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import ckan.plugins.toolkit as tk
from ckan import model
from ckan.cli import load_config
from ckan.config.middleware import make_app
from ckan.lib.search.common import make_connection
from ckanapi import LocalCKAN

from ckanext.relay.devstack.load import for_portal, make_owners, read


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--user", required=True)
    parser.add_argument("--part", type=int, default=0, help="which part of the lines is ours, from 0 on")
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--solr-commit", action="store_true", help="a commit for each dataset, as CKAN does by default")
    given = parser.parse_args()
    app = make_app(load_config(os.environ["CKAN_INI"]))
    with app._wsgi_app.test_request_context():
        errors: list[str] = []
        datasets = [dataset for _, dataset in read(given.file.read_bytes().split(b"\n"), errors)]
        if given.part == 0:
            errors += make_owners(datasets, LocalCKAN(given.user))
        if errors:
            sys.exit("\n".join(errors))
        tk.config["ckan.search.solr_commit"] = given.solr_commit
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(create(datasets[given.part :: given.parts], given.user)))


def create(datasets: list[dict], user: str) -> dict[str, float]:
    begun, cpu = time.perf_counter(), time.process_time()
    for dataset in datasets:
        context = {"user": user, "ignore_auth": True, "return_id_only": True}
        tk.get_action("package_create")(context, for_portal(dataset))
        model.Session.remove()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    make_connection().commit(waitSearcher=True)  # Not timed: once for all.
    return {"datasets": len(datasets), "seconds": seconds, "cpu": cpu}


if __name__ == "__main__":
    main()
