"""Who may want something of a source, and who may be refused it."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan.tests import factories

from ckanext.harvest.tests.harvesting import make_source

#: From the least rights to the most, as seen by the source's organization.
KINDS = ("anonymous", "editor elsewhere", "member", "editor", "admin", "sysadmin")


class People:
    """An organization with a source, and somebody of each kind.

    :param fields: of the source
    """

    def __init__(self, source_type: str = "ckan", **fields: Any) -> None:
        names = {kind: factories.User()["name"] for kind in KINDS[1:-1]}
        roles = ("member", "editor", "admin")
        capacities = [{"name": names[role], "capacity": role} for role in roles]
        self.organization = factories.Organization(users=capacities)
        other = [{"name": names["editor elsewhere"], "capacity": "editor"}]
        self.elsewhere = factories.Organization(users=other)
        self.source = make_source(source_type, owner_org=self.organization["id"], **fields)
        self.names = {"anonymous": "", **names, "sysadmin": factories.Sysadmin()["name"]}

    def call(self, kind: str, action: str, **data: Any) -> Any:
        """Call an action as somebody."""
        return tk.get_action(action)({"user": self.names[kind]}, data)

    def may(self, kind: str, action: str, **data: Any) -> bool:
        """Tell whether somebody may call an action, without calling it."""
        try:
            tk.check_access(action, {"user": self.names[kind]}, data)
        except tk.NotAuthorized:
            return False
        return True
