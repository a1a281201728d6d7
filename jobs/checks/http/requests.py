"""Build the request of an HTTP target with its secrets and tokens, and read the body of its response up to a limit."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx

from jobs.checks.body_memory import UNCOUNTED_BYTES
from jobs.checks.errors import BadContentEncoding, TooManyGzipMembers
from jobs.checks.http_transport.options import ProxyEndpoint, RequestOptions
from jobs.errors import SecretUnavailable
from jobs.fast_frozen import fast_frozen
from jobs.formats import host_and_port
from jobs.model_base import SecretRef
from jobs.problems import looks_secret
from jobs.redaction.value_holders import CurrentSecrets
from jobs.responses import MAX_GZIP_MEMBERS, BoundedBody, NotInEncoding, TooManyMembers
from jobs.targets import FormBody, HttpTarget, JsonBody, TextBody, is_invalid_header_value
from jobs.targets.http import ApiKeyAuth, BasicAuth, BearerAuth, ManagedIdentityAuth, OAuth2Auth
from jobs.trace_ids import TRACE_HEADER as TRACE_PARENT
from jobs.turns import wait_for_turn

ACCEPTED_ENCODINGS = "gzip, deflate"
"""Value of Accept-Encoding. A body in any other encoding is not decoded."""


@fast_frozen(frozen=True, slots=True)
class ResponseBody:
    """`truncated`: there was more than the limit."""

    content: bytes
    truncated: bool


async def _no_reservation() -> None:
    """Reserve nothing: the limit is so small that the body is not counted."""


async def read_body(
    parts: AsyncIterable[bytes],
    encoding: str,
    limit: int,
    reserve_memory: Callable[[], Awaitable[None]] = _no_reservation,
) -> ResponseBody:
    """Return the body, at most `limit` bytes of it. `encoding`: the Content-Encoding, or empty.

    `reserve_memory`: called once before more than UNCOUNTED_BYTES are held, see jobs.checks.body_memory.

    Raises:
        BadContentEncoding: it cannot be decompressed, or is incomplete.
        TooManyGzipMembers
        Exception: what reading the parts raises.
    """
    body, has_room = BoundedBody(encoding, limit), False
    try:
        async for part in parts:
            for _ in body.add(part):
                await wait_for_turn()
            if body.is_truncated:
                return ResponseBody(body.content, truncated=True)
            if not has_room and len(body) > UNCOUNTED_BYTES:
                await reserve_memory()
                has_room = True
        body.end()
    except NotInEncoding:
        raise BadContentEncoding(encoding.strip().lower()) from None
    except TooManyMembers:
        raise TooManyGzipMembers(MAX_GZIP_MEMBERS) from None
    return ResponseBody(body.content, truncated=False)


@dataclass(frozen=True, slots=True)
class ResolvedCredentials:
    """Everything that one request needs from outside its definition."""

    secrets: Mapping[str, str]
    token: str = ""

    def resolve(self, value: str | SecretRef) -> str:
        """Return a text of the definition, or the secret that it refers to."""
        return self.secrets[value.secret] if isinstance(value, SecretRef) else value


NO_CREDENTIALS = ResolvedCredentials({})


def basic_authorization(user: str, password: str, derived: CurrentSecrets) -> str:
    """Return the value of a Basic Authorization header, registered with the redactor: it decodes to the password."""
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    derived.set_unnamed(encoded)
    return f"Basic {encoded}"


_KEY_HEADER = re.compile(r"(^|[-_])(key|session|sid)$")
_HARMLESS_HEADERS = frozenset({"idempotency-key"})


def _may_be_credentials(name: str) -> bool:
    """Return whether a header (lower case) must not go to other origins, also if its value is not a secret."""
    return name not in _HARMLESS_HEADERS and (looks_secret(name) or _KEY_HEADER.search(name) is not None)


@dataclass(slots=True)
class RequestDraft:
    """A request before it becomes httpx's. Headers: by lower-case name, the name as written and the value."""

    method: str
    url: httpx.URL
    headers: dict[str, tuple[bytes, bytes]]
    content: bytes = b""
    private_headers: set[str] = field(default_factory=set)
    """Headers that only the target's own origin may receive."""
    has_private_content: bool = False

    @property
    def base_url(self) -> httpx.URL:
        """A URL with the scheme, host and port to connect to."""
        return self.url

    def set_header(self, name: str, value: str, *, private: bool = False) -> None:
        """Replace a header, or add it."""
        key = name.lower()
        self.headers[key] = (name.encode("ascii"), value.encode())
        if private or _may_be_credentials(key):
            self.private_headers.add(key)

    def set_default_header(self, name: str, value: str) -> None:
        """Add a header unless it exists."""
        if name.lower() not in self.headers:
            self.set_header(name, value)

    def build(self, _run_id: str, _trace_parent: str, options: RequestOptions | None) -> httpx.Request:
        """Return httpx's request; without options, for the cache."""
        extensions = None if options is None else options.as_extensions()
        return httpx.Request(
            self.method, self.url, headers=list(self.headers.values()), content=self.content, extensions=extensions
        )


def build_request(
    target: HttpTarget,
    credentials: ResolvedCredentials,
    run_id: str,
    user_agent: str,
    derived: CurrentSecrets,
    trace_parent: str = "",
    *,
    inherited_texts: Sequence[str] = (),
) -> RequestDraft:
    """Return the target's request.

    `derived`: registers values computed from a secret. `trace_parent`: a header or empty; other origins do not receive
    it. `inherited_texts`: values obtained with a secret; other origins receive no header and no body that contains one.

    The job's query follows that of its URL. A header of the job replaces a default one; `auth` wins over both.

    Raises:
        httpx.InvalidURL: the URL names an impossible host.
        SecretUnavailable: a secret's value cannot stand in a header.
    """
    outgoing = RequestDraft(target.method, _build_url(target, credentials), {})
    # With a fresh connection for each request, the target closes it first, and holds the TIME_WAIT state.
    outgoing.set_header("User-Agent", user_agent)
    outgoing.set_header("Accept", "*/*")
    outgoing.set_header("Accept-Encoding", ACCEPTED_ENCODINGS)
    if not (may_reuse_connection(target) or target.http2):
        outgoing.set_header("Connection", "close")
    outgoing.set_header("Idempotency-Key", run_id)
    if trace_parent:
        outgoing.set_header(TRACE_PARENT, trace_parent, private=True)
    for name, value in target.headers.items():
        outgoing.set_header(name, _resolve_header(value, credentials), private=_is_private(value, inherited_texts))
    _add_body(outgoing, target, credentials)
    outgoing.has_private_content |= bool(inherited_texts and outgoing.content)
    _add_auth(outgoing, target, credentials, derived)
    return outgoing


def _is_private(value: str | SecretRef, carried: Sequence[str]) -> bool:
    return isinstance(value, SecretRef) or any(text in value for text in carried)


def resolve_proxy(
    target: HttpTarget, credentials: ResolvedCredentials, derived: CurrentSecrets
) -> ProxyEndpoint | None:
    """Return the proxy of this target."""
    if target.proxy is None:
        return None
    auth = target.proxy_auth
    proof = (
        ""
        if auth is None
        else basic_authorization(credentials.resolve(auth.username), credentials.resolve(auth.password), derived)
    )
    return ProxyEndpoint(*host_and_port(target.proxy), proof)


def may_reuse_connection(target: HttpTarget) -> bool:
    """Return whether its requests may use a pooled connection: one that breaks before the response is sent again."""
    return target.connection == "kept" and target.idempotent


def _add_body(outgoing: RequestDraft, target: HttpTarget, credentials: ResolvedCredentials) -> None:
    match target.body:
        case TextBody(text=text, content_type=content_type):
            outgoing.content = credentials.resolve(text).encode()
            outgoing.has_private_content = isinstance(text, SecretRef)
            outgoing.set_default_header("Content-Type", content_type)
        case JsonBody(json_=document):
            outgoing.content = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
            outgoing.set_default_header("Content-Type", "application/json")
        case FormBody(form=form):
            outgoing.content = urlencode([(name, credentials.resolve(value)) for name, value in form.items()]).encode()
            outgoing.has_private_content = any(isinstance(value, SecretRef) for value in form.values())
            outgoing.set_default_header("Content-Type", "application/x-www-form-urlencoded")


def _add_auth(
    outgoing: RequestDraft, target: HttpTarget, credentials: ResolvedCredentials, derived: CurrentSecrets
) -> None:
    match target.auth:
        case BasicAuth(username=username, password=password):
            value = basic_authorization(credentials.resolve(username), credentials.resolve(password), derived)
            outgoing.set_header("Authorization", value)
        case BearerAuth(token=token):
            outgoing.set_header("Authorization", f"Bearer {_resolve_header(token, credentials)}")
        case ManagedIdentityAuth() | OAuth2Auth():
            outgoing.set_header("Authorization", f"Bearer {credentials.token}")
        case ApiKeyAuth(key=key, name=name, place="header"):
            outgoing.set_header(name, _resolve_header(key, credentials), private=True)


def _resolve_header(value: str | SecretRef, credentials: ResolvedCredentials) -> str:
    text = credentials.resolve(value)
    if isinstance(value, SecretRef) and is_invalid_header_value(text):
        raise SecretUnavailable(
            f"The secret {value.secret} has a line break, a control character or a blank at an end, "
            "which a header cannot contain: store it without."
        )
    return text


def _build_url(target: HttpTarget, credentials: ResolvedCredentials) -> httpx.URL:
    pairs = [(name, credentials.resolve(value)) for name, value in target.query.items()]
    if isinstance(target.auth, ApiKeyAuth) and target.auth.place == "query":
        pairs.append((target.auth.name, credentials.resolve(target.auth.key)))
    url = target.url.partition("#")[0]
    if pairs:
        url += f"{'&' if '?' in url else '?'}{urlencode(pairs)}"
    return parse_url(url)


def parse_url(url: str) -> httpx.URL:
    """Parse a URL. Raises httpx.InvalidURL, also for a name that IDNA forbids, which httpx checks late."""
    return check_host_name(httpx.URL(url))


def check_host_name(url: httpx.URL) -> httpx.URL:
    """Return the same URL. Raises httpx.InvalidURL, see `parse_url`."""
    try:
        _ = url.host
    except UnicodeError as error:
        raise httpx.InvalidURL(str(error)) from None
    return url
