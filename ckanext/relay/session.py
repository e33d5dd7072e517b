"""The guarded HTTP session of this process, by the portal's settings."""

from __future__ import annotations

import functools
import os

from . import config
from .http import GuardedSession, guarded_session
from .ssrf import AddressPolicy


def session() -> GuardedSession:
    """Return the session that everything in this process shares, so that connections are reused.

    :raises ConfigurationError: ``ckanext.relay.allowed_networks`` is not a list of networks
    """
    return _session(os.getpid(), config.address_policy())


@functools.lru_cache(maxsize=1)
def _session(_pid: int, policy: AddressPolicy) -> GuardedSession:
    # by process: a fork must not talk over the sockets of its parent
    return guarded_session(policy)
