"""The command behind bin/quickstart and bin/test."""

from __future__ import annotations

try:
    import magic  # noqa: F401
except ImportError:
    # No libmagic on this machine: the wheel has one, and its import sets the library path, which our processes inherit.
    import pylibmagic  # noqa: F401

from ckanext.relay.devstack.quickstart import quickstart

quickstart(prog_name="bin/quickstart")
