"""The guarded HTTP session of this process, by the portal's settings."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping

from . import config
from .http import GuardedSession, guarded_session
from .ssrf import AddressPolicy


def session() -> GuardedSession:
    """Return the session that everything in this process shares, so that connections are reused.

    :raises ConfigurationError: ``ckanext.relay.allowed_networks`` is not a list of networks
    """
    return _session(os.getpid(), config.address_policy())


def own_session(headers: Mapping[str, str] | None = None) -> GuardedSession:
    """Return a new session for one source, whose headers and cookies no other source may see; close it after use.

    :param headers: sent with each request, to whichever server it goes
    :raises ConfigurationError: ``ckanext.relay.allowed_networks`` is not a list of networks
    """
    return guarded_session(config.address_policy(), headers=headers)


@functools.lru_cache(maxsize=1)
def _session(_pid: int, policy: AddressPolicy) -> GuardedSession:
    # by process: a fork must not talk over the sockets of its parent
    return guarded_session(policy)
