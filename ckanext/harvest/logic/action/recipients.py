"""Who is told how a job went."""

from __future__ import annotations

from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model

from ckanext.harvest.logic.auth import get_source_object

__all__ = ["harvest_get_notifications_recipients"]


def harvest_get_notifications_recipients(context: Any, data_dict: dict[str, Any]) -> list[dict[str, str]]:
    """Return who gets the mails about a source: the sysadmins and the admins of its organization, each address once.

    An extension adds recipients, or takes some away, by chaining this action (``toolkit.chained_action``).

    :param source_id: id or name of the source
    :returns: a list of ``{name, email}``, the sysadmins first
    """
    tk.check_access("harvest_get_notifications_recipients", context, data_dict)
    source = get_source_object(context, {"id": tk.get_or_bust(data_dict, "source_id")})
    user = model.User
    reachable = model.Session.query(user).filter(user.state == "active", user.email.isnot(None), user.email != "")
    found = reachable.filter(user.sysadmin).order_by(user.name).all()
    package = model.Package.get(source.id)
    if package is not None and package.owner_org:
        member = model.Member
        admins = reachable.join(member, member.table_id == user.id).filter(
            member.group_id == package.owner_org,
            member.table_name == "user",
            member.capacity == "admin",
            member.state == "active",
        )
        found += admins.order_by(user.name).all()
    recipients: dict[str, dict[str, str]] = {}
    for each in found:
        recipients.setdefault(each.email.lower(), {"name": each.name, "email": each.email})
    return list(recipients.values())
