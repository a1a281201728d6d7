"""Build the request of an HTTP target with its secrets and tokens.

Requests of targets without secrets are cached: from run to run only the run's id changes. There may be ten thousand of
them, so equal parts are shared: the base URL, and all of the head except its first line.

perf: the cache is worth 15 % of a run (`run-cost`), as its requests are sent without httpx's objects (decision 27).
"""

from __future__ import annotations

import base64
import json
import re
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern
from urllib.parse import urlencode

import httpx

from jobs.checks.clock import Peer, peer_of_url
from jobs.checks.http_transport.messages import RequestOptions
from jobs.checks.http_transport.transport import encode_head
from jobs.checks.outbound import NO_PROXY, ProxyEndpoint
from jobs.errors import SecretUnavailable
from jobs.formats import effective_port, host_and_port
from jobs.model_base import SecretRef
from jobs.problems import looks_secret
from jobs.redaction.value_holders import CurrentSecrets
from jobs.targets import FormBody, HttpTarget, JsonBody, TextBody, is_invalid_header_value
from jobs.targets.http import ApiKeyAuth, BasicAuth, BearerAuth, ManagedIdentityAuth, OAuth2Auth
from jobs.trace_ids import TRACE_HEADER as TRACE_PARENT

ACCEPTED_ENCODINGS = "gzip, deflate"
"""Value of Accept-Encoding. A body in any other encoding is not decoded."""


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
    def shown_url(self) -> str:
        """The URL without query and fragment, which can contain secrets."""
        return format_shown_url(_origin_text(self.url), self.url.raw_path)

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

    def build(self, options: RequestOptions | None = None) -> httpx.Request:
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
    """Return the proxy that this target names; NO_PROXY if it uses none, None if it names none."""
    if target.proxy is None:
        return None
    if target.own_proxy is None:
        return NO_PROXY
    auth = target.proxy_auth
    proof = (
        ""
        if auth is None
        else basic_authorization(credentials.resolve(auth.username), credentials.resolve(auth.password), derived)
    )
    return ProxyEndpoint(*host_and_port(target.own_proxy), proof)


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


RUN_ID_PLACEHOLDER = "7c9e6679f7c84b2aa2d4e35f0c1b8d60"
"""In the head of a cached request, in place of the run's id."""


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class SharedHead:
    """What the requests to many targets share.

    `origin`: scheme, host and port as text, `base_url`: the same as a URL. `host`: to connect to. `before`, `after`:
    the head below its first line, around the run's id; `before` is whole if the head has no run id.
    """

    base_url: httpx.URL
    origin: str
    scheme: str
    host: str
    peer: Peer
    before: bytes
    after: bytes
    has_trace_parent: bool


@dataclass(frozen=True, slots=True)
class CachedRequest:
    """A request over HTTP/1 without the run's id. `path`: with the query."""

    method: str
    path: bytes
    content: bytes
    shared: SharedHead

    @property
    def shown_url(self) -> str:
        """The URL without query and fragment, which can contain secrets."""
        return format_shown_url(self.shared.origin, self.path)

    def encode(self, run_id: str, trace_parent: str) -> bytes:
        """Return the request for one attempt of a run. `trace_parent`: a header, or empty."""
        shared = self.shared
        head = b"%s %s HTTP/1.1\r\n%s" % (self.method.encode("ascii"), self.path, shared.before)
        if shared.after:
            head = b"%s%s%s" % (head, run_id.encode(), shared.after)
        if trace_parent:
            # Insert it before the empty line at the end.
            head = b"%straceparent: %s\r\n\r\n" % (head[:-2], trace_parent.encode("ascii"))
        return head + self.content if self.content else head


def format_shown_url(origin: str, path: bytes) -> str:
    """Return a URL without its query."""
    return origin + path.partition(b"?")[0].decode("ascii")


def _origin_text(url: httpx.URL) -> str:
    """Return scheme, host and port, such as `https://checkout.internal`."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def peer_at(target: HttpTarget, host: str, port: int) -> Peer:
    """Return the peer. The job's TLS server name belongs to its own host, not to that of a redirect."""
    peer, name = Peer(host, port), target.server_name
    return Peer(host, port, name) if name and peer == peer_of_url(target.url) else peer


class _TargetRef(weakref.ref[HttpTarget]):
    """A weak reference to a target, with its cached request."""

    __slots__ = ("key", "request")
    key: int
    request: CachedRequest


_HeadKey = tuple[bytes, bytes, Peer, bytes, bytes]


class RequestCache:
    """Requests by target, for the life of the target object: a changed job has a new one."""

    def __init__(self) -> None:
        self._by_id: dict[int, _TargetRef] = {}
        self._forget = _forget_callback(self._by_id)
        self._shared_heads: weakref.WeakValueDictionary[_HeadKey, SharedHead] = weakref.WeakValueDictionary()

    def find(self, target: HttpTarget) -> CachedRequest | None:
        """Return the cached request of this target object."""
        found = self._by_id.get(id(target))
        return found.request if found is not None and found() is target else None

    def store(self, target: HttpTarget, request: httpx.Request) -> CachedRequest:
        """Cache the request of this target, which has RUN_ID_PLACEHOLDER for the run's id."""
        reference = _TargetRef(target, self._forget)
        reference.key = id(target)
        reference.request = self._make(target, request)
        self._by_id[reference.key] = reference
        return reference.request

    def _make(self, target: HttpTarget, request: httpx.Request) -> CachedRequest:
        url = request.url
        head = encode_head(request.method, url.raw_path, request.headers.raw)
        before, _, after = head.partition(b"\r\n")[2].partition(RUN_ID_PLACEHOLDER.encode())
        peer = peer_at(target, url.host, effective_port(url.scheme, url.port))
        key = (url.raw_scheme, url.netloc, peer, before, after)
        shared = self._shared_heads.get(key)
        if shared is None:
            shared = self._shared_heads[key] = SharedHead(
                url.copy_with(raw_path=b"/"),
                _origin_text(url),
                url.scheme,
                url.raw_host.decode("ascii"),
                peer,
                before,
                after,
                TRACE_PARENT in request.headers,
            )
        return CachedRequest(intern(request.method), url.raw_path, request.content, shared)


def _forget_callback(by_id: dict[int, _TargetRef]) -> Callable[[weakref.ref[HttpTarget]], None]:
    def forget(reference: weakref.ref[HttpTarget]) -> None:
        assert isinstance(reference, _TargetRef)
        by_id.pop(reference.key, None)

    return forget
