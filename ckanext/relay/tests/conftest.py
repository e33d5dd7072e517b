"""What the tests of whatever fetches share."""

from __future__ import annotations

from ckanext.relay.tests.fixtures import certificates, connected, ftp, names, other, server  # noqa: F401
