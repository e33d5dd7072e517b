"""What the pages of all plugins share: parts, refusals, forms that are checked, confirmations, lists and downloads."""

from __future__ import annotations

import contextvars
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ckan.plugins.toolkit as tk
from ckan import model
from flask import Blueprint, Response, current_app
from flask_wtf.csrf import CSRFError

from . import config
from . import export as tables

#: htmx asks no more when it gets this one.
STOP_POLLING = 286


def register(config_: Any) -> None:
    """Add the shared templates and assets: for ``update_config`` of each plugin, and no harm more than once."""
    tk.add_template_directory(config_, "templates")
    tk.add_resource("assets", "ckanext-relay")


# -- who asks, and whether they may


def guard(blueprint: Blueprint) -> None:
    """Add what each request for a page of the bundle goes through."""
    blueprint.before_request(_refuse_nul)
    blueprint.before_request(protect_forms)
    blueprint.after_request(_end_of_part)


def _refuse_nul() -> None:
    """Nothing has a name with a character in it that no text in the database may hold."""
    if any("\x00" in str(value) for value in (tk.request.view_args or {}).values()):
        tk.abort(404, tk._("This is not here, or not any more."))


def _end_of_part(answer: Response) -> Response:
    """Let a part of a page that may not be seen any more, or is of something gone, say so, and not ask for ever."""
    request = tk.request
    if request.method != "GET" or "HX-Request" not in request.headers or answer.status_code not in (401, 403, 404):
        return answer
    return fragment_done(tk.render("relay/part_gone.html", {}))


def protect_forms() -> None:
    """Refuse a form that does not carry the token that CKAN gave out with it, for ``before_request`` of a blueprint.

    CKAN may have left it out: 2.11 does with all forms of extensions where a setting says so, 2.12 once somebody who
    was not logged in was at the address. A program that sends an API token has no such form, and needs none.
    """
    if not config.checks_forms() or tk.g.get("login_via_auth_header"):
        return
    try:
        current_app.extensions["csrf"].protect()
    except CSRFError:
        tk.abort(400, tk._("This form is too old, or it is not from this site. Load the page again and repeat it."))


def context() -> dict[str, Any]:
    """Return the context for an action that the visitor asks for."""
    return {"user": tk.g.user, "auth_user_obj": getattr(tk.g, "userobj", None)}


def call(action: str, data_dict: Mapping[str, Any] | None = None, **options: Any) -> Any:
    """Let the visitor do something; who may not gets the page that says so, as for something that is not there.

    :param options: more for the context of the action
    :raises ValidationError: what is asked for makes no sense, or not now; the view says it beside the form
    """
    try:
        return tk.get_action(action)({**context(), **options}, {**(data_dict or {})})
    except tk.NotAuthorized as error:
        return tk.abort(403, _said(error) or tk._("You are not allowed to do or see this."))
    except tk.ObjectNotFound as error:
        return tk.abort(404, _said(error) or tk._("This is not here, or not any more."))


def require(action: str, data_dict: Mapping[str, Any]) -> None:
    """Show who may not do something the page that says so, before anything is asked."""
    try:
        tk.check_access(action, context(), dict(data_dict))
    except tk.NotAuthorized as error:
        tk.abort(403, _said(error) or tk._("You are not allowed to do this."))


def _said(error: Any) -> str:
    return str(getattr(error, "message", None) or "")


def in_words(error: tk.ValidationError) -> str:
    """Return what was wrong with a request, for a message on a page."""
    return " ".join(str(message) for messages in error.error_dict.values() for message in messages)


# -- pages


def confirm(
    title: str,
    question: str,
    action: str,
    cancel_url: str,
    consequences: Sequence[str] = (),
    danger: bool = True,
    fields: Mapping[str, Any] | None = None,
    action_url: str | None = None,
) -> str:
    """Return a page that asks before something is changed; its form is a POST.

    :param action: what the button says
    :param consequences: what will be as it was not before
    :param fields: values that are sent along, by name
    :param action_url: where the form is sent; to the address of this page unless given
    """
    variables = {
        "title": title,
        "question": question,
        "consequences": consequences,
        "action": action,
        "cancel_url": cancel_url,
        "danger": danger,
        "fields": fields or {},
        "action_url": action_url or "",
    }
    return tk.render("relay/confirm.html", variables)


def fragment_done(html: str, reloads: bool = False) -> Response:
    """Return the last state of a part that a page keeps asking for: it is shown, and not asked for again.

    :param reloads: whether the whole page is loaded anew, since more of it is other now
    """
    headers = {"HX-Refresh": "true"} if reloads else {}
    return Response(html, STOP_POLLING, headers, mimetype="text/html")


# -- lists


def number() -> int:
    """Return which page of a list is asked for, at least 1; what is no number means the first."""
    asked = tk.request.args.get("page", "")
    return max(1, int(asked)) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 1


@dataclass(frozen=True)
class Page:
    """A page of a list, for the template part ``pager``. A number beyond the last page means the last."""

    number: int
    per_page: int
    total: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "number", min(max(self.number, 1), self.last))

    @property
    def last(self) -> int:
        """The number of the last page; 1 if there is nothing."""
        return max(1, -(-self.total // self.per_page))

    @property
    def offset(self) -> int:
        """How many items are on the pages before this one."""
        return (self.number - 1) * self.per_page

    @property
    def first_item(self) -> int:
        """The number of the first item, from 1; 0 if there is none."""
        return min(self.offset + 1, self.total)

    @property
    def last_item(self) -> int:
        """The number of the last item on this page."""
        return min(self.offset + self.per_page, self.total)

    def near(self) -> list[int | None]:
        """Return the pages to link to: the first, the last, and those around this one; None where some are left out."""
        found: list[int | None] = []
        for each in sorted({1, self.last, *range(max(1, self.number - 2), min(self.last, self.number + 2) + 1)}):
            if found and each != (found[-1] or 0) + 1:
                found.append(None)
            found.append(each)
        return found


# -- downloads


def export(name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], format: str) -> Response:
    """Answer with a table as a file to save, while it is read.

    :param name: of the file, without ``.csv``
    :param columns: the keys of the rows that are written, in this order
    :param rows: may be a generator that reads the database; CKAN's session is given back when it ends
    :param format: ``csv`` or ``json``; others are answered with the page for a request that makes no sense
    """
    if format == "csv":
        pieces, kind = tables.csv_lines(columns, rows), "text/csv"
    elif format == "json":
        chosen = ({column: row.get(column) for column in columns} for row in rows)
        pieces, kind = tables.json_rows(chosen), "application/json"
    else:
        return tk.abort(400, tk._("Format not known - try csv or json"))
    answer = Response(_encoded(iter(pieces), contextvars.copy_context()), content_type=f"{kind}; charset=utf-8")
    answer.headers.set("Content-Disposition", "attachment", filename=f"{name}.{format}")
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def _encoded(pieces: Iterator[str], request: contextvars.Context) -> Iterator[bytes]:
    """Yield the pieces, made as if the request were still going on: their texts are in the visitor's language."""
    try:
        while (piece := request.run(next, pieces, None)) is not None:
            yield piece.encode("utf-8", "replace")
    finally:
        # CKAN gave the session back before the first piece was read
        model.Session.remove()
