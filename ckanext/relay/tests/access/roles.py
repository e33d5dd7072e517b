"""Who comes to a portal, as seen by the organization that owns what they come for."""

from __future__ import annotations

ROLES = (
    "anonymous",
    "member elsewhere",
    "editor elsewhere",
    "admin elsewhere",
    "member",
    "editor",
    "admin",
    "sysadmin",
)

ANYBODY = frozenset(ROLES)
LOGGED_IN = ANYBODY - {"anonymous"}
CREATORS = frozenset({"editor elsewhere", "admin elsewhere", "editor", "admin", "sysadmin"})
MEMBERS = frozenset({"member", "editor", "admin", "sysadmin"})
EDITORS = MEMBERS - {"member"}
ADMINS = EDITORS - {"editor"}
SYSADMINS = frozenset({"sysadmin"})
NOBODY: frozenset[str] = frozenset()


def wrong(said: dict[str, int], allowed: frozenset[str], may: int, refused: int = 403) -> dict[str, int]:
    """Return what was answered to those who were not answered as they should have been.

    :param said: by role the status of the answer
    :param may: what those who are allowed are answered
    """
    return {role: status for role, status in said.items() if status != (may if role in allowed else refused)}
