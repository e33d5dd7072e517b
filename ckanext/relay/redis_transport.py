"""Redis as a broker that may go away while a worker has messages in hand.

Celery 5.7 closes the broken connection at once. With kombu's own transport the worker ends then with an error, because
messages that it received over that connection are put back or acknowledged over it. Here they are forgotten: a message
is a hint, and the next sweep sends another one.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis


class Channel(redis.Channel):
    """A channel that may be told of its messages after it was closed."""

    do_restore = False

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> Any:
        return None if self.closed else super().basic_ack(delivery_tag, multiple)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> Any:
        return None if self.closed else super().basic_reject(delivery_tag, requeue)


class Transport(redis.Transport):
    """Kombu's transport with such channels."""

    Channel = Channel
