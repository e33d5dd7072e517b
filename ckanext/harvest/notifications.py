"""Mails about jobs that have ended.

A mail is sent by a task of its own, after the job's end is committed: a mail server that is down, slow or refuses
changes nothing for the job, nor for the next one. The sweep tries again, at growing distances, for a day; which mails
are due, and who was served, is in :mod:`ckanext.harvest.model.mails`.
"""

from __future__ import annotations

import contextlib
import logging
import smtplib
import socket
import traceback
from collections.abc import Iterator
from typing import Any

import ckan.plugins.toolkit as tk
from ckan.lib import mailer

from ckanext.relay import config as relay_config
from ckanext.relay import lease, redaction, secrets

from . import config
from .domain import job_state
from .model import HarvestJob, errors, mails

log = logging.getLogger(__name__)

#: How many errors of each kind a mail holds.
SHOWN_ERRORS = 20
#: Seconds for which a mail server may say nothing. CKAN's mailer would wait for ever.
PATIENCE = 20.0

#: What CKAN's mailer raises: the server or the way to it is in trouble, or no sender or no password is set.
_TROUBLE = (mailer.MailerException, OSError, AttributeError, AssertionError)
#: The server understood, and said no.
_REFUSALS = (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused)

Status = dict[str, Any]


# -- when


def job_ends(job_id: str) -> bool:
    """Record that a mail about a job is due as soon as it has ended, if this portal sends any; :func:`send` sends it.

    Called before the end of the job is committed: a worker that dies after that has not forgotten the mail.
    """
    if not config.mails_errors():
        return False
    mails.add(job_id)
    return True


def send(job_id: str) -> None:
    """Send the mail about a job to those who have not had it, unless it is not due, or another mail is being sent.

    Returns when it is sent, or when that failed; the sweep tries again then, if that can help.
    """
    # one at a time: a mail server that hangs holds up one worker process, whatever number of jobs end meanwhile
    with lease.only_one("harvest mail") as mine:
        job = HarvestJob.get(job_id)
        if not mine or (job and job.status in job_state.lifecycle.open) or not mails.begin(job_id):
            return
        try:
            sent = job is None or _send(job)
        except Exception:  # the boundary to third-party code: chained recipients, overridden templates, notifiers
            log.exception("The mail about harvest job %s could not be made or sent, it is tried again later", job_id)
            return
        if sent:
            mails.done(job_id)


def _send(job: HarvestJob) -> bool:
    """Send the mail about a job, and return whether everybody has it who can get it."""
    status = {"last_job": tk.get_action("harvest_job_show")(_context(), {"id": job.id})}
    with_errors = bool(status["last_job"]["stats"]["errored"])
    if not with_errors and not config.mails_all():
        return True
    recipients = _recipients(job.source_id)
    if not recipients:
        log.info("Nobody is to be told of harvest job %s", job.id)
        return True
    prepare = prepare_error_mail if with_errors else prepare_summary_mail
    subject, body = prepare(_context(), job.source_id, status)
    all_served = True
    for recipient in recipients:
        if not mails.begin_recipient(job.id, recipient["email"]):
            continue  # has it, or was being served when a worker died
        try:
            _serve(recipient, subject, body)
        except _TROUBLE as error:
            log.warning("The mail about harvest job %s to %s failed: %s", job.id, recipient["email"], error)
            if not _surely_not_taken(error):
                continue  # better none than two
            mails.refused(job.id, recipient["email"])
            all_served = False
            if not any(isinstance(each, _REFUSALS) for each in _chain(error)):
                mails.put_off(job.id)  # the server is away, or hangs: for everybody
                break
    return all_served


def _serve(recipient: dict[str, str], subject: str, body: str) -> None:
    with _patience():
        mailer.mail_recipient(recipient["name"], recipient["email"], subject, body)


def _surely_not_taken(error: BaseException) -> bool:
    """Tell whether a mail did not reach the server: it said so, or the connection broke before the text was sent."""
    chain = _chain(error)
    if any(isinstance(each, _REFUSALS) for each in chain):
        return True
    for each in reversed(chain):
        frames = [frame for frame, _ in traceback.walk_tb(each.__traceback__)]
        if any(frame.f_globals.get("__name__") == mailer.__name__ for frame in frames):
            # the first that smtplib did not catch itself; later ones say only that taking leave of a broken connection
            # fails as well. The last name is the hook of CKAN 2.12 for plugins that tell people in another way.
            steps = {frame.f_code.co_name for frame in frames}
            return not steps & {smtplib.SMTP.data.__name__, smtplib.SMTP.quit.__name__, "notify_recipient"}
    return False


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and those that it was raised upon: CKAN's mailer hides what the server said in its own error."""
    chain = [error]
    while chain[-1].__context__ is not None:
        chain.append(chain[-1].__context__)
    return chain


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Limit how long CKAN's mailer, which says nothing about that, waits for an answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _context() -> dict[str, Any]:
    return {"ignore_auth": True, "user": tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]}


def _recipients(source_id: str) -> list[dict[str, str]]:
    return tk.get_action("harvest_get_notifications_recipients")(_context(), {"source_id": source_id})


# -- what, and to whom: kept for third parties, which find these in ``logic.action.update``


def get_mail_extra_vars(context: Any, source_id: str, status: Status) -> dict[str, Any]:
    """Return what the mail templates are given; no value holds a secret.

    :param status: as ``harvest_source_show_status`` answers: the mail is about its ``last_job``
    """
    job = status["last_job"]
    source = tk.get_action("harvest_source_show")(_acting(context), {"id": source_id})
    tk.check_access("harvest_job_report", _acting(context), {"id": job["id"]})
    # the report itself may have hundreds of thousands
    messages = errors.first_messages(job["id"], SHOWN_ERRORS)
    job_errors, obj_errors = ([redaction.scrub(message) for message in each] for each in messages)
    unset = tk._("Not specified")
    configuration = secrets.mask_json(source.get("config"))
    counts = {key: str(job["stats"].get(count, 0)) for key, count in _COUNTS.items()}
    return counts | {
        "organization": (source.get("organization") or {}).get("name") or unset,
        "site_title": config.site_title(),
        "site_url": relay_config.site_url(),
        "job_url": f"{relay_config.site_url()}/harvest/{source['name']}/job/{job['id']}",
        "harvest_source_title": source["title"],
        "harvest_configuration": unset if configuration in (None, "", "{}") else configuration,
        "job_finished": job["finished"],
        "job_id": job["id"],
        "job_created": job["created"],
        "error_summary_title": tk._("Error Summary"),
        "obj_errors_title": tk._("Document Error"),
        "job_errors_title": tk._("Job Errors"),
        "obj_errors": obj_errors,
        "job_errors": job_errors,
        "errors": job_errors + obj_errors,
    }


_COUNTS = {
    "records_in_error": "errored",
    "records_added": "added",
    "records_deleted": "deleted",
    "records_updated": "updated",
}


def _acting(context: Any) -> dict[str, Any]:
    """Return a context of its own for an action that is called: actions leave things in theirs."""
    return {key: context[key] for key in ("user", "ignore_auth") if key in context}


def prepare_summary_mail(context: Any, source_id: str, status: Status) -> tuple[str, str]:
    """Return subject and body of the mail about a job that went well."""
    body = tk.render("emails/summary_email.txt", get_mail_extra_vars(context, source_id, status))
    return f"{config.site_title()} - Harvesting Job Successful - Summary Notification", body


def prepare_error_mail(context: Any, source_id: str, status: Status) -> tuple[str, str]:
    """Return subject and body of the mail about a job with errors."""
    body = tk.render("emails/error_email.txt", get_mail_extra_vars(context, source_id, status))
    return f"{config.site_title()} - Harvesting Job - Error Notification", body


def send_summary_email(context: Any, source_id: str, status: Status) -> None:
    """Mail the recipients of a source that a job went well."""
    send_mail(_recipients(source_id), *prepare_summary_mail(context, source_id, status))


def send_error_email(context: Any, source_id: str, status: Status) -> None:
    """Mail the recipients of a source that a job had errors."""
    send_mail(_recipients(source_id), *prepare_error_mail(context, source_id, status))


def send_mail(recipients: list[dict[str, str]], subject: str, body: str) -> None:
    """Send a mail to each recipient, once; one who cannot be served is logged, and does not keep it from the others.

    :param recipients: ``{name, email}`` of each
    """
    for recipient in recipients:
        try:
            _serve(recipient, subject, body)
        except _TROUBLE as error:
            log.error("The mail %r to %s was not sent: %s", subject, recipient["email"], error)
