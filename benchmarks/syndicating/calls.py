"""Call one action of a CKAN for each line of a file, over so many connections: the floor under every push.

Reads ``{"url", "token", "action", "file", "connections"}`` as JSON from standard input, says ``ready``, begins at the
next line, and ends with the seconds that it took.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests


def main() -> None:
    given = json.loads(sys.stdin.readline())
    payloads = Path(given["file"]).read_bytes().splitlines()
    url = f"{given['url']}/api/action/{given['action']}"
    headers = {"Authorization": given["token"], "Content-Type": "application/json"}
    thread = threading.local()

    def call(payload: bytes) -> None:
        if not hasattr(thread, "session"):
            thread.session = requests.Session()
        answer = thread.session.post(url, data=payload, headers=headers, timeout=120)
        if not answer.ok:
            sys.exit(f"{answer.status_code}: {answer.text[:500]}")

    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.perf_counter()
    with ThreadPoolExecutor(given["connections"]) as pool:
        list(pool.map(call, payloads))
    print(time.perf_counter() - begun)


if __name__ == "__main__":
    main()
