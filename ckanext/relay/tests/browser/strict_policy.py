"""A plugin of the tests that lets browsers run and load nothing but what this site itself answers with."""

from __future__ import annotations

from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
from flask import Blueprint, Response

#: What docs/operations.rst tells portals to send.
POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; frame-ancestors 'self'"

strict_policy = Blueprint("strict_policy", __name__)


def get_blueprints() -> list[Blueprint]:
    """Return the blueprint, which has no page."""
    return [strict_policy]


@strict_policy.after_app_request
def restrict(response: Response) -> Response:
    """Send the policy with each answer that has none of its own."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    return response


@tk.blanket.blueprints(get_blueprints)
class StrictPolicy(p.SingletonPlugin):
    """Brings the policy, and the meta tag by which CKAN's pages keep to it."""

    p.implements(p.IConfigurer)

    def update_config(self, config_: Any) -> None:
        tk.add_template_directory(config_, "templates")
