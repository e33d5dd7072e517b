"""Where the time of one worker goes: gather and process a job in this process, and tell the cost of each part.

The portal is the one of CKAN_INI, the job is the argument. No worker may run. ``--profile`` lists functions; it makes
everything slower, so that the figures above the list are those of a run without it.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import os
import pstats
import sys
import time
from pathlib import Path

from ckan import model
from ckan.cli import load_config
from ckan.config.middleware import make_app


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("job")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--lines", type=int, default=60)
    parser.add_argument("--keep", help="file for the profile, to be read with pstats")
    given = parser.parse_args()
    app = make_app(load_config(os.environ["CKAN_INI"]))
    with app._wsgi_app.test_request_context():
        profile = cProfile.Profile() if given.profile else None
        process(given.job, profile)
        if profile:
            print(listing(profile, given.lines))
            if given.keep:
                profile.dump_stats(given.keep)


def process(job_id: str, profile: cProfile.Profile | None) -> None:
    from ckanext.harvest import runner
    from ckanext.harvest.model import HarvestJob

    begun, cpu = time.perf_counter(), time.process_time()
    list(runner.gather(job_id))
    source_id = model.Session.get(HarvestJob, job_id).source_id
    gathered = time.perf_counter() - begun
    model.Session.remove()
    batches = 0
    if profile:
        profile.enable()
    while any(step.task == "process" for step in runner.process_batch(source_id)):
        model.Session.remove()
        batches += 1
    if profile:
        profile.disable()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    runner.finish(job_id)
    print(f"gather {gathered:.2f} s; all {seconds:.2f} s, {cpu:.2f} s of CPU; {batches} batches")


def listing(profile: cProfile.Profile, lines: int) -> str:
    out = io.StringIO()
    stats = pstats.Stats(profile, stream=out)
    stats.sort_stats("cumulative").print_stats(lines)
    stats.sort_stats("tottime").print_stats(25)
    # where these are is of this machine alone
    return out.getvalue().replace(f"{Path.cwd()}/", "").replace(f"{Path(sys.prefix).parent}/", "")


if __name__ == "__main__":
    main()
