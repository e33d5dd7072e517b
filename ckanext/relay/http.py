"""The one door through which this portal fetches from, and sends to, other machines.

``guarded_session`` makes a ``requests.Session`` that third-party code may use as any other one. It

* connects only to addresses that the policy admits, judged at the moment of connecting, on each redirect anew;
* ends each request, with its redirects, retries and body, at one deadline, even if the server sends a byte now and then
  (only the look-up of a name is left to the time limits of the system's resolver);
* takes no more than a set number of bytes, as sent or unpacked (``response.raw`` is limited as sent only);
* tries GET and HEAD again when the connection fails or the server is busy, and does as ``Retry-After`` says;
* keeps secret headers and cookies from other servers that it is redirected to, and uses no proxy.

It raises errors of ``requests``, as its users expect. ``relay_errors`` turns them into those of ``relay.errors``. Files
from many servers are downloaded by ``relay.download``.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from email.message import Message
from typing import Any

import requests
import requests.exceptions as session_errors
import urllib3.exceptions as pool_errors
from requests.cookies import RequestsCookieJar

from .errors import (
    AddressBlocked,
    AnswerInvalid,
    AnswerTooLarge,
    ConfigurationError,
    RelayError,
    RemoteError,
    RemoteStatus,
    RemoteTimeout,
    RemoteUnavailable,
    TooManyRedirects,
    is_secret_key,
    redact,
)
from .headers import printable
from .ssrf import AddressPolicy, check_url
from .transport import (
    BlockedUrl,
    BodyTooLarge,
    DeadlineExceeded,
    GuardedAdapter,
    GuardedResponse,
    Limits,
    ca_bundle,
    exchange_begun,
    unpacked,
)

__all__ = [
    "BlockedUrl",
    "BodyTooLarge",
    "DeadlineExceeded",
    "GuardedResponse",
    "GuardedSession",
    "Limits",
    "get_json",
    "get_text",
    "guarded_session",
    "relay_errors",
]


class GuardedSession(requests.Session):
    """A ``requests.Session`` that goes only where it may and stops when it should.

    A ``timeout`` given to a request can only shorten the limits. Settings of the environment do not count, but for
    ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` and ``SSL_CERT_FILE``.
    """

    def __init__(self, policy: AddressPolicy, limits: Limits) -> None:
        super().__init__()
        self.policy = policy
        self.limits = limits
        self.max_redirects = limits.redirects
        self.trust_env = False
        self.verify = ca_bundle() or True
        self.headers["Accept-Encoding"] = "gzip, deflate"
        adapter = GuardedAdapter(limits)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request, or the next one of a redirect.

        :raises BlockedUrl: the policy does not admit it
        :raises DeadlineExceeded: it took too long
        :raises BodyTooLarge: the answer has more bytes than the limit
        """
        url = request.url or ""
        reason = check_url(self.policy, url)
        if reason:
            raise BlockedUrl(url, reason)
        timeout = kwargs.get("timeout")
        connect, read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        kwargs["timeout"] = (_shorter(connect, self.limits.connect), _shorter(read, self.limits.read))
        with _chain_begun(url), exchange_begun(self.policy, self.limits), unpacked(request):
            return super().send(request, **kwargs)

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Take away from a redirected request what only the first server may see."""
        url = str(prepared_request.url)
        if not any(self.should_strip_auth(sender, url) for sender in (_first_url.get(), response.request.url)):
            return
        for name in [name for name in prepared_request.headers if is_secret_key(name)]:
            del prepared_request.headers[name]
        # Cookies set by hand name no domain and would go anywhere; those set by a server know where they belong.
        cookies = RequestsCookieJar()
        for cookie in prepared_request._cookies or ():  # type: ignore[attr-defined]  # requests has no other way to it
            if cookie.domain:
                cookies.set_cookie(cookie)
        prepared_request.prepare_cookies(cookies)


#: the URL with which a chain of redirects began; older releases of requests do not say it
_first_url: ContextVar[str] = ContextVar("first URL of a chain of redirects", default="")


@contextlib.contextmanager
def _chain_begun(url: str) -> Iterator[None]:
    """Remember the URL, unless this is a redirect of one that is remembered."""
    if _first_url.get():
        yield
        return
    begun = _first_url.set(url)
    try:
        yield
    finally:
        _first_url.reset(begun)


def _shorter(seconds: float | None, limit: float) -> float:
    return limit if seconds is None else min(seconds, limit)


def guarded_session(
    policy: AddressPolicy,
    limits: Limits = Limits(),  # noqa: B008  # it is frozen
    headers: Mapping[str, str] | None = None,
    user_agent: str | None = None,
) -> GuardedSession:
    """Return a session for one peer or one unit of work; close it, or use it as a context manager.

    :param policy: which addresses it may connect to
    :param limits: how much each request may take
    :param headers: sent with each request, to whichever server it goes
    :param user_agent: how the portal presents itself
    """
    session = GuardedSession(policy, limits)
    session.headers.update({"User-Agent": user_agent or "ckanext-relay", **(headers or {})})
    return session


# What the errors of requests and urllib3 mean; the nearest base class in this table counts. A test holds it complete.
_MEANINGS: dict[type[BaseException], type[RelayError]] = {
    kind: meaning
    for meaning, kinds in {
        RemoteUnavailable: (
            session_errors.ConnectionError,
            session_errors.ChunkedEncodingError,
            session_errors.RetryError,
            pool_errors.PoolError,
            pool_errors.ProtocolError,
            pool_errors.IncompleteRead,
            pool_errors.InvalidChunkLength,
            pool_errors.NewConnectionError,
            pool_errors.ResponseError,
            pool_errors.SSLError,
        ),
        RemoteTimeout: (session_errors.Timeout, session_errors.ConnectTimeout, pool_errors.TimeoutError),
        TooManyRedirects: (session_errors.TooManyRedirects,),
        AnswerInvalid: (
            session_errors.ContentDecodingError,
            session_errors.InvalidJSONError,
            pool_errors.DecodeError,
            pool_errors.HeaderParsingError,
            pool_errors.InvalidHeader,
        ),
        AddressBlocked: (
            session_errors.InvalidSchema,
            session_errors.InvalidURL,
            session_errors.MissingSchema,
            session_errors.URLRequired,
            pool_errors.LocationValueError,
        ),
        ConfigurationError: (
            session_errors.InvalidHeader,
            session_errors.InvalidProxyURL,
            session_errors.ProxyError,
            pool_errors.ProxyError,
            pool_errors.ProxySchemeUnknown,
        ),
    }.items()
    for kind in kinds
}
# Mistakes in our own code, which nobody should take for trouble with the other side.
_BUGS = (
    session_errors.StreamConsumedError,
    session_errors.UnrewindableBodyError,
    pool_errors.BodyNotHttplibCompatible,
    pool_errors.HostChangedError,
    pool_errors.ResponseNotChunked,
    pool_errors.TimeoutStateError,
    pool_errors.UnrewindableBodyError,
)


@contextlib.contextmanager
def relay_errors(url: str) -> Iterator[None]:
    """Turn what ``requests`` and ``urllib3`` raise inside the block into a ``RelayError``.

    :param url: what is asked for, to be named in the error
    """
    try:
        with unpacked(None):  # for those who read ``response.raw``
            yield
    except _BUGS:
        raise
    except (session_errors.RequestException, pool_errors.HTTPError) as error:
        # "from None": the original quotes the URL with its secrets
        raise _translated(url, error) from None


def _translated(url: str, error: BaseException) -> RelayError:
    if isinstance(error, BodyTooLarge):
        return AnswerTooLarge(url, error.limit)
    if isinstance(error, session_errors.HTTPError) and error.response is not None:
        return RemoteStatus(url, error.response.status_code)
    if isinstance(error, session_errors.InvalidHeader):
        # what requests says quotes the value
        message = f"A header value holds characters that are not allowed ({redact(url)})"
        return ConfigurationError(message, hint="Check the token for line ends.")
    inner = error.reason if isinstance(error, pool_errors.MaxRetryError) else next(iter(error.args), None)
    if isinstance(inner, (session_errors.RequestException, pool_errors.HTTPError)):
        return _translated(url, inner)
    meaning = next((_MEANINGS[kind] for kind in type(error).__mro__ if kind in _MEANINGS), RemoteUnavailable)
    first, *others = error.args or (type(error).__name__,)
    message = " ".join([str(first), *(str(other) for other in others if repr(other) not in str(first))])
    # urllib3 begins with the connection or the pool, which says nothing to a person
    message = re.sub(r"^_?Guarded\w+\(.*?\): ", "", message)
    return meaning(url, message) if issubclass(meaning, RemoteError) else meaning(f"{message} ({redact(url)})")


def get_text(
    session: requests.Session,
    url: str,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    """Return the text at a URL, by the charset it declares, else UTF-8, else Latin 1.

    :raises RemoteStatus: the answer is an error
    :raises RelayError: there is no answer, or no acceptable one; see ``relay.errors``
    """
    return _decoded(_get(session, url, params, headers))


def get_json(
    session: requests.Session,
    url: str,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Any:
    """Return the parsed JSON at a URL.

    :raises AnswerInvalid: the answer is no JSON
    :raises RemoteStatus: the answer is an error
    :raises RelayError: there is no answer, or no acceptable one; see ``relay.errors``
    """
    response = _get(session, url, params, headers)
    text = _decoded(response)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        kind = response.headers.get("Content-Type", "no content type")
        start = printable(" ".join(text[:400].split()))[:80]
        raise AnswerInvalid(url, f"Expected JSON, but got {kind}: {start!r}") from error


def _get(
    session: requests.Session, url: str, params: Mapping[str, Any] | None, headers: Mapping[str, str] | None
) -> requests.Response:
    with relay_errors(url):
        response = session.get(url, params=params, headers=headers)
    if response.status_code >= 400:
        raise RemoteStatus(url, response.status_code)
    return response


def _decoded(response: requests.Response) -> str:
    declared = Message()
    declared["Content-Type"] = response.headers.get("Content-Type", "")
    charset = declared.get_content_charset() or "utf-8"
    content = response.content
    # the two text codecs of Python that take quadratic time
    if charset in ("punycode", "idna"):
        charset = "utf-8"
    try:
        return content.decode(charset).removeprefix("\ufeff")
    except (UnicodeDecodeError, LookupError):
        return content.decode("latin-1")
