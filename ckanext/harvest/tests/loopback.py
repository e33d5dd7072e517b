"""What the servers of the tests share, whatever they speak."""

from __future__ import annotations

import socketserver
import threading
from typing import Any

from typing_extensions import Self


class Loopback(socketserver.BaseServer):
    """Serves on a free port of the loopback interface while it is used as a context manager.

    Mixed into one of the standard library's threading servers.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, handler: Any) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        #: set when the server stops, for answers that hang
        self.stopping = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()
