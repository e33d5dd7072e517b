"""Which datasets are to be at which target, and why not."""

from __future__ import annotations

from ckan import model
from ckan.plugins import PluginImplementations

from .interfaces import ISyndicate
from .rules import is_flagged, reason_to_skip
from .types import Profile

__all__ = ["is_flagged", "needs_code", "reason_to_skip", "skips"]


def skips(package: model.Package, profile: Profile) -> str | None:
    """Return why a dataset is not to be at a target, or None if it is to be there.

    :raises ConfigurationError: the predicate of the profile cannot be imported
    :raises Exception: whatever a plugin or predicate raises; that must not be taken for a no, which retracts the copy
    """
    if str(package.state).startswith("draft"):
        return "package is a draft"
    if (package.type or "dataset") not in profile.types:  # an old database may have datasets without a type
        return f"datasets of the type {package.type} are not syndicated to {profile.id}"
    plugin = _first()
    answer = plugin.skip_syndication(package, profile) if plugin else reason_to_skip(package, profile)
    if isinstance(answer, str):
        return answer or None
    return f"the plugin {plugin.name} skips it" if plugin and answer else None


def needs_code(profile: Profile) -> bool:
    """Return whether only a plugin or predicate of somebody else knows what is selected, and not the flag alone."""
    plugin = _first()
    return bool(profile.predicate) or (
        plugin is not None and type(plugin).skip_syndication is not ISyndicate.skip_syndication
    )


def _first() -> ISyndicate | None:
    """Return the plugin that is asked: the one that ``ckan.plugins`` names first."""
    return next(iter(PluginImplementations(ISyndicate)), None)
