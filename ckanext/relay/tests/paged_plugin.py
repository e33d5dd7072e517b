"""A plugin that has a page of each kind, made of nothing but the shared parts."""

from __future__ import annotations

import datetime
from typing import Any

import ckan.plugins as p
import ckan.plugins.toolkit as tk
from flask import Blueprint

from ckanext.relay import pages
from ckanext.relay.translation import Translated

#: A name as an attacker chooses it.
NAME = "<script>alert('1')</script>"

paged = Blueprint("relay_tests", __name__, url_prefix="/relay-tests")
pages.guard(paged)

#: What was changed, in the order in which it was.
changes: list[str] = []


def get_blueprints() -> list[Blueprint]:
    """Return the blueprints of the plugin."""
    return [paged]


@paged.route("/parts")
def parts() -> str:
    variables = {
        "name": NAME,
        "moment": datetime.datetime(2026, 5, 6, 7, 8, 9),
        "page": pages.Page(pages.number(), 10, 205),
    }
    return str(tk.render("relay_tests/parts.html", variables))


@paged.route("/change", methods=["GET", "POST"])
def change() -> Any:
    if tk.request.method == "POST":
        changes.append(tk.request.form["name"])
        return tk.redirect_to("relay_tests.parts")
    return pages.confirm(
        title=f"Change {NAME}",
        question="Do you want to change it?",
        consequences=["It is another one.", NAME],
        action="Change it",
        cancel_url=tk.h.url_for("relay_tests.parts"),
        fields={"name": NAME},
    )


@paged.route("/dataset/<id>")
def dataset(id: str) -> str:
    return str(pages.call("package_show", {"id": id})["name"])


@paged.route("/export")
def export() -> Any:
    rows = ({"name": NAME, "number": number} for number in range(1200))
    return pages.export("table", ["number", "name"], rows, tk.request.args.get("format", ""))


@paged.route("/live")
@paged.route("/live/<int:step>")
def live(step: int = 0) -> Any:
    """A page with a part that asks for its next state each second, until that is the third."""
    if "HX-Request" not in tk.request.headers:
        return tk.render("relay_tests/live.html", {"step": step})
    fragment = tk.render("relay_tests/live_part.html", {"step": step})
    return fragment if step < 3 else pages.fragment_done(fragment)


@tk.blanket.blueprints(get_blueprints)
class PagedPlugin(Translated, p.SingletonPlugin):
    """Brings the pages."""

    p.implements(p.IConfigurer)
    p.implements(p.ITranslation)

    def update_config(self, config_: Any) -> None:
        tk.add_template_directory(config_, "templates")
        pages.register(config_)
        pages.register(config_)  # no harm
