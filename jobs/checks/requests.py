"""An HTTP target as the request to send. Called by http.py; redirects.py makes the next one of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx

from jobs.auth import ApiKeyAuth, BasicAuth, BearerAuth, ManagedIdentityAuth, OAuth2Auth
from jobs.checks.bodies import ACCEPTED
from jobs.checks.credentials import Credentials, basic
from jobs.checks.tunnels import Proxy
from jobs.errors import SecretUnavailable
from jobs.model import SecretRef
from jobs.problems import looks_secret
from jobs.redaction.holding import CurrentValues
from jobs.targets import FormBody, HttpTarget, JsonBody, TextBody, unfit_for_header
from jobs.trace_ids import HEADER as TRACE_PARENT
from jobs.urls import host_and_port

_KEY_HEADER = re.compile(r"(^|[-_])(key|session|sid)$")
_NO_CREDENTIALS = frozenset({"idempotency-key"})


def _may_be_credentials(name: str) -> bool:
    """Whether a header (lower case) is one that other origins must not see, also where its value is no secret."""
    return name not in _NO_CREDENTIALS and (looks_secret(name) or _KEY_HEADER.search(name) is not None)


@dataclass(slots=True)
class Outgoing:
    """A request before it becomes httpx's. Header names in lower case as keys, as written as the first of a value."""

    method: str
    url: httpx.URL
    headers: dict[str, tuple[bytes, bytes]]
    content: bytes = b""
    private: set[str] = field(default_factory=set)
    """Headers that only the target's own origin may see."""
    private_content: bool = False

    @property
    def place(self) -> httpx.URL:
        """Whose scheme, host and port are asked."""
        return self.url

    def set(self, name: str, value: str, *, private: bool = False) -> None:
        """Replace a header, or add it."""
        key = name.lower()
        self.headers[key] = (name.encode("ascii"), value.encode())
        if private or _may_be_credentials(key):
            self.private.add(key)

    def set_default(self, name: str, value: str) -> None:
        """Add a header unless it is there."""
        if name.lower() not in self.headers:
            self.set(name, value)

    def request(self, _run_id: str, _trace_parent: str, extensions: dict[str, Any]) -> httpx.Request:
        return httpx.Request(
            self.method, self.url, headers=list(self.headers.values()), content=self.content, extensions=extensions
        )


def build(
    target: HttpTarget,
    credentials: Credentials,
    run_id: str,
    user_agent: str,
    derived: CurrentValues,
    trace_parent: str = "",
    *,
    carried: Sequence[str] = (),
) -> Outgoing:
    """The target's request.

    `derived`: registers what is made of a secret. `trace_parent`: the header, if it is to be sent; other origins do
    not see it. `carried`: values that were got with a secret; other origins see no header and no body with them.

    The job's query follows the one that its URL has. A header of the job replaces the one that would be sent of
    itself; `auth` wins over both.

    Raises:
        httpx.InvalidURL: the URL names no host that there could be.
        SecretUnavailable: a secret's value cannot stand in a header.
    """
    outgoing = Outgoing(target.method, _url(target, credentials), {})
    # Of a connection of its own for each request, the target is the first to close its end, and keeps it as it must.
    outgoing.set("User-Agent", user_agent)
    outgoing.set("Accept", "*/*")
    outgoing.set("Accept-Encoding", ACCEPTED)
    if not (may_be_kept(target) or target.http2):
        outgoing.set("Connection", "close")
    outgoing.set("Idempotency-Key", run_id)
    if trace_parent:
        outgoing.set(TRACE_PARENT, trace_parent, private=True)
    for name, value in target.headers.items():
        outgoing.set(name, _header_text(value, credentials), private=_is_private(value, carried))
    _add_body(outgoing, target, credentials)
    outgoing.private_content |= bool(carried and outgoing.content)
    _add_auth(outgoing, target, credentials, derived)
    return outgoing


def _is_private(value: str | SecretRef, carried: Sequence[str]) -> bool:
    return isinstance(value, SecretRef) or any(text in value for text in carried)


def proxy_of(target: HttpTarget, credentials: Credentials, derived: CurrentValues) -> Proxy | None:
    """The proxy that this target is asked by way of."""
    if target.proxy is None:
        return None
    auth = target.proxy_auth
    proof = "" if auth is None else basic(credentials.text(auth.username), credentials.text(auth.password), derived)
    return Proxy(*host_and_port(target.proxy), proof)


def may_be_kept(target: HttpTarget) -> bool:
    """Whether a request of it may go over a kept connection: one that breaks before the answer is asked once more."""
    return target.connection == "kept" and target.idempotent


def _add_body(outgoing: Outgoing, target: HttpTarget, credentials: Credentials) -> None:
    match target.body:
        case TextBody(text=text, content_type=content_type):
            outgoing.content = credentials.text(text).encode()
            outgoing.private_content = isinstance(text, SecretRef)
            outgoing.set_default("Content-Type", content_type)
        case JsonBody(json_=document):
            outgoing.content = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
            outgoing.set_default("Content-Type", "application/json")
        case FormBody(form=form):
            outgoing.content = urlencode([(name, credentials.text(value)) for name, value in form.items()]).encode()
            outgoing.private_content = any(isinstance(value, SecretRef) for value in form.values())
            outgoing.set_default("Content-Type", "application/x-www-form-urlencoded")


def _add_auth(outgoing: Outgoing, target: HttpTarget, credentials: Credentials, derived: CurrentValues) -> None:
    match target.auth:
        case BasicAuth(username=username, password=password):
            value = basic(credentials.text(username), credentials.text(password), derived)
            outgoing.set("Authorization", value)
        case BearerAuth(token=token):
            outgoing.set("Authorization", f"Bearer {_header_text(token, credentials)}")
        case ManagedIdentityAuth() | OAuth2Auth():
            outgoing.set("Authorization", f"Bearer {credentials.token}")
        case ApiKeyAuth(key=key, name=name, place="header"):
            outgoing.set(name, _header_text(key, credentials), private=True)


def _header_text(value: str | SecretRef, credentials: Credentials) -> str:
    text = credentials.text(value)
    if isinstance(value, SecretRef) and unfit_for_header(text):
        raise SecretUnavailable(
            f"The secret {value.secret} has a line break, a control character or a blank at an end, "
            "which a header cannot carry: store it without."
        )
    return text


def _url(target: HttpTarget, credentials: Credentials) -> httpx.URL:
    pairs = [(name, credentials.text(value)) for name, value in target.query.items()]
    if isinstance(target.auth, ApiKeyAuth) and target.auth.place == "query":
        pairs.append((target.auth.name, credentials.text(target.auth.key)))
    url = target.url.partition("#")[0]
    if pairs:
        url += f"{'&' if '?' in url else '?'}{urlencode(pairs)}"
    return parsed(url)


def parsed(url: str) -> httpx.URL:
    """Raises httpx.InvalidURL, also for a name that is none by the rules of IDNA, which httpx looks at late."""
    return with_a_name(httpx.URL(url))


def with_a_name(url: httpx.URL) -> httpx.URL:
    """The same URL. Raises httpx.InvalidURL, see `parsed`."""
    try:
        _ = url.host
    except UnicodeError as error:
        raise httpx.InvalidURL(str(error)) from None
    return url
