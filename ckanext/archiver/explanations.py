"""What a cause means, in words for people, and what they can do about it."""

from __future__ import annotations

from dataclasses import dataclass

import ckan.plugins.toolkit as tk


@dataclass(frozen=True)
class Explanation:
    """One sentence on what was found, for everybody, and one on what to do, for those who may edit the resource."""

    summary: str
    advice: str = ""


def explain(cause: str | None) -> Explanation | None:
    """Return what a cause means in the language of the reader, or None for a cause that says nothing.

    :param cause: as the archival has it: ``dns``, ``http_404`` …
    """
    if cause and cause.startswith("http_") and cause[5:].isdigit():
        return _of_status(int(cause[5:]))
    return _texts().get(cause or "")


def _of_status(status: int) -> Explanation:
    address = _moved()
    if status in (404, 410):
        return Explanation(tk._("The server says that there is nothing at this address."), address)
    if status in (401, 407):
        return Explanation(
            tk._("The server asks for a login."), tk._("Link to an address that everybody may use, if there is one.")
        )
    if status == 403:
        return Explanation(
            tk._("The server refuses to answer programs like this one; people may well get through."),
            tk._("Try the address in a browser. If it works, ask the publisher to let this portal's checks through."),
        )
    if status == 429:
        return Explanation(tk._("The server asks for fewer requests. It is asked again later."))
    if status == 451:
        return Explanation(tk._("The server may not show this for legal reasons."))
    passes = tk._("It often passes. If it stays, tell the publisher.")
    if status >= 500:
        return Explanation(tk._("The server has a fault (status {status}).").format(status=status), passes)
    if status in (202, 408, 425):
        summary = tk._("The server does not send the file yet (status {status}).").format(status=status)
        return Explanation(summary, passes)
    return Explanation(tk._("The server refuses this address (status {status}).").format(status=status), address)


def _texts() -> dict[str, Explanation]:
    moved = _moved()
    tell = tk._("It often passes. If it stays, tell the publisher.")
    certificate = tk._("Tell the publisher: browsers warn their visitors, too.")
    content = tk._("Open the address in a browser, look where it leads, and link to the file itself.")
    service = tk._("Check the parameters of the address, and that it is the one of the service.")
    return {
        "dns": Explanation(
            tk._("The name of the server is not known."),
            tk._("Check the address for typing errors. The publisher may have moved to another name."),
        ),
        "connect": Explanation(tk._("The server cannot be reached."), tell),
        "timeout": Explanation(tk._("The server takes too long to answer."), tell),
        "tls": Explanation(tk._("No secure connection to the server is possible."), certificate),
        "tls_expired": Explanation(tk._("The certificate of the server has expired."), certificate),
        "tls_untrusted": Explanation(
            tk._("The certificate of the server is not signed by anybody trusted."), certificate
        ),
        "tls_hostname": Explanation(tk._("The certificate of the server is made out to another name."), certificate),
        "tls_chain": Explanation(
            tk._("The server does not send all of its certificates; browsers may get through."), certificate
        ),
        "incomplete": Explanation(tk._("The connection broke off before the file was complete."), tell),
        "ftp_missing": Explanation(tk._("The FTP server has no such file."), moved),
        "ftp_refused": Explanation(tk._("The FTP server refuses to answer without a login."), tell),
        "unknown_encoding": Explanation(tk._("The server packs its answer in a way that is not known here."), tell),
        "invalid_http": Explanation(tk._("What the server answers cannot be understood."), tell),
        "redirect_loop": Explanation(tk._("The server sends visitors round in a circle."), content),
        "url_invalid": Explanation(
            tk._("This is not an address that can be opened."),
            tk._("Write the whole address: https://, the name of the server, and the path."),
        ),
        "blocked_address": Explanation(
            tk._("The address is not on the public internet, so it is not checked."),
            tk._("A system administrator can open parts of your own network to the checks."),
        ),
        "too_large": Explanation(tk._("The file is too large for a copy to be kept here.")),
        "empty": Explanation(tk._("The file is empty."), content),
        "html_instead_of_data": Explanation(tk._("A web page came in place of the data."), content),
        "soft_404": Explanation(tk._("A page came which says that there is nothing here."), content),
        "api_error": Explanation(tk._("The service answers with an error message."), service),
        "service_invalid": Explanation(tk._("The service does not describe itself as such services do."), service),
        "upload_missing": Explanation(
            tk._("The uploaded file is missing."), tk._("Upload it again, or ask a system administrator.")
        ),
        "external_upload": Explanation(tk._("The uploaded file is kept on another server and is not checked.")),
        "own_fault": Explanation(tk._("The check failed on this portal; that says nothing about the link.")),
        "disk": Explanation(
            tk._("There is no room for a copy on this portal."), tk._("Tell a system administrator of this portal.")
        ),
    }


def _moved() -> str:
    return str(tk._("Look up where the publisher keeps the file now, and change the address of the resource."))
