"""The target of an HTTP check: one request, and its credentials. A job file names secrets, never their values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ByteSize, Discriminator, Field, Tag, model_validator

from jobs.expectations.entry import Feature
from jobs.formats import host_and_port
from jobs.model_base import HEADER_NAME_PATTERN, FrozenModel, SecretRef, TextOrSecret, discriminate_by_key
from jobs.policies import Timeouts
from jobs.targets.endpoints import (
    Destination,
    Host,
    HostPort,
    HttpUrl,
    IpVersion,
    strip_user,
    validate_complete_http_url,
)


class NoAuth(FrozenModel):
    kind: Literal["none"] = "none"


class BasicAuth(FrozenModel):
    """RFC 7617."""

    kind: Literal["basic"]
    username: TextOrSecret
    password: SecretRef


class BearerAuth(FrozenModel):
    """`Authorization: Bearer <token>` (RFC 6750)."""

    kind: Literal["bearer"]
    token: SecretRef


class ApiKeyAuth(FrozenModel):
    """A key, sent in a header or a query parameter."""

    kind: Literal["api_key"]
    key: SecretRef
    name: str = Field(
        default="X-API-Key",
        pattern=HEADER_NAME_PATTERN,
        description="the name of the header or parameter, such as X-API-Key",
    )
    place: Literal["header", "query"] = "header"


class ManagedIdentityAuth(FrozenModel):
    """An access token of the app's managed identity. `scope` as Entra ID names it: `api://checkout/.default`."""

    kind: Literal["managed_identity"]
    scope: str = Field(min_length=1)


def _token_url(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise ValueError("is not an http URL: write it like https://login.example/oauth2/token")
    if "#" in url:
        raise ValueError("the URL of a token endpoint must not have a fragment: remove the # and the text after it")
    return validate_complete_http_url(url)


_SCOPES = r"^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$"
"""RFC 6749, section 3.3."""


class OAuth2Auth(FrozenModel):
    """A token for the client's id and secret, issued by a token endpoint (RFC 6749, section 4.4).

    `style`: the token request sends id and secret in the `header` (Basic) or in the `body`. `audience`: the service
    that the token is for, where the endpoint requires it.
    """

    kind: Literal["oauth2"]
    token_url: Annotated[str, Field(max_length=2048), AfterValidator(_token_url)]
    client_id: TextOrSecret
    client_secret: SecretRef
    scope: str | None = Field(
        default=None, pattern=_SCOPES, max_length=2000, description="scopes, separated by single blanks"
    )
    audience: str | None = Field(default=None, min_length=1, max_length=2000)
    style: Literal["header", "body"] = "header"


Auth = Annotated[NoAuth | BasicAuth | BearerAuth | ApiKeyAuth | ManagedIdentityAuth | OAuth2Auth, Discriminator("kind")]

NO_AUTH = NoAuth()


HttpMethod = Literal["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH", "TRACE"]

IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""RFC 9110, section 9.2.2: a repeated request has the same effect as one."""


_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|^\s|\s$")


def is_invalid_header_value(value: str) -> bool:
    """Whether a header cannot have this value: control characters, line breaks, leading or trailing blanks."""
    return _UNFIT.search(value) is not None


_FRAMING_HEADERS = frozenset(
    {"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)

_PLATFORM_HEADERS = frozenset({"metadata", "x-identity-header", "metadata-flavor", "x-google-metadata-request"})
"""Headers that the token endpoints of cloud platforms require; also those that start with `X-aws-ec2-metadata-`."""

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def _explain_bad_header(name: str, value: str | SecretRef) -> str:
    """Return why a job must not send this header; empty if it can."""
    if name.lower() in _FRAMING_HEADERS:
        return f"{name} controls the connection and is set by the program: remove it"
    if name.lower() in _PLATFORM_HEADERS or name.lower().startswith("x-aws-ec2-metadata-"):
        return f"{name} is for endpoints of the cloud platform, which are not allowed: remove it"
    if isinstance(value, str) and is_invalid_header_value(value):
        return f"the value of {name} has a line break, a control character, or a leading or trailing blank"
    if name.lower() == "host" and not (isinstance(value, str) and _HOST.fullmatch(value)):
        return f"the value of {name} is not a host: write a name, such as checkout.internal or checkout.internal:8443"
    return ""


def _check_headers(headers: dict[str, TextOrSecret]) -> dict[str, TextOrSecret]:
    for name, value in headers.items():
        if not re.fullmatch(HEADER_NAME_PATTERN, name):
            raise ValueError(f"{name[:40]!r} is not a valid header name")
        if reason := _explain_bad_header(name, value):
            raise ValueError(reason)
    return headers


RequestHeaders = Annotated[dict[str, TextOrSecret], AfterValidator(_check_headers)]


def _check_auth(auth: Auth) -> Auth:
    if isinstance(auth, ApiKeyAuth) and auth.place == "header" and (reason := _explain_bad_header(auth.name, auth.key)):
        raise ValueError(reason)
    return auth


class TextBody(FrozenModel):
    text: TextOrSecret
    content_type: str = "text/plain; charset=utf-8"


class JsonBody(FrozenModel):
    json_: Any = Field(alias="json")


class FormBody(FrozenModel):
    form: dict[str, TextOrSecret]


RequestBody = Annotated[
    Annotated[TextBody, Tag("text")] | Annotated[JsonBody, Tag("json")] | Annotated[FormBody, Tag("form")],
    Discriminator(discriminate_by_key("text", "json", "form")),
]


class TlsOptions(FrozenModel):
    """How the certificate of the target is verified. `ca_file`: PEM file with the only trusted authorities."""

    verify: bool = True
    ca_file: str | None = None
    client_certificate: SecretRef | None = None
    """A secret in PEM form: the certificate (with intermediate ones) and its unencrypted key."""


def _proxy_url(url: str) -> str:
    if url == NO_PROXY:
        return url
    parts = urlsplit(validate_complete_http_url(url))
    if parts.scheme != "http" or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must be like http://proxy.internal:3128, without a path; https targets use it, too")
    return url


ProxyUrl = Annotated[str, Field(max_length=2048), AfterValidator(_proxy_url)]
NO_PROXY = "none"


class ProxyAuth(FrozenModel):
    """Basic credentials for a proxy."""

    username: TextOrSecret
    password: SecretRef


class HttpTarget(FrozenModel):
    """One HTTP request.

    `connection`: a kept one is reused by the next request to the same origin, if its method is idempotent.
    `keep_body`: most bytes of the body that history stores with a failed attempt; 0 stores none.
    `http2`: negotiated by TLS; without TLS, used at once.
    `ip_version`: connect only to addresses of this version, also after redirects.
    `server_name`: the name for SNI and the certificate, if it is not the host of the URL.
    `allow_plain_http`: whether secrets can go over plain http, readable for others on the network.
    `redirects`: most redirects that are followed; with 0, a 3xx is the answer.
    `read_limit`: most bytes of the body that are read and judged.
    """

    TIMEOUTS: ClassVar[Timeouts] = Timeouts(attempt=10.0, run=30.0)
    FEATURES: ClassVar = frozenset(
        {
            Feature.FACTS,
            Feature.DURATION,
            Feature.HTTP_RESPONSE,
            Feature.BODY,
            Feature.JSON,
            Feature.CONNECTION,
            Feature.OPTIONAL_TLS,
            Feature.CERTIFICATE,
        }
    )

    kind: Literal["http"] = "http"
    url: HttpUrl
    method: HttpMethod = "GET"
    headers: RequestHeaders = {}
    query: dict[str, TextOrSecret] = {}
    body: RequestBody | None = None
    auth: Annotated[Auth, AfterValidator(_check_auth)] = NO_AUTH
    allow_plain_http: bool = False
    redirects: int = Field(default=10, ge=0, le=30)
    tls: TlsOptions = TlsOptions()
    server_name: Host | None = None
    ip_version: IpVersion | None = None
    connection: Literal["fresh", "kept"] = "fresh"
    http2: bool = False
    proxy: ProxyUrl | None = None
    proxy_auth: ProxyAuth | None = None
    read_limit: ByteSize = ByteSize(1024 * 1024)
    keep_body: ByteSize = Field(default=ByteSize(2048), le=16 * 1024)

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if self.connection == "kept" and (self.http2 or self.own_proxy):
            raise ValueError("connection: kept cannot be combined with http2 or proxy: remove one of them")
        if self.connection == "kept" and self.server_name:
            raise ValueError("connection: kept cannot be combined with server_name: remove one of them")
        if self.ip_version and (self.connection == "kept" or self.own_proxy):
            raise ValueError("ip_version cannot be combined with connection: kept or proxy: remove one of them")
        if self.proxy_auth is not None and self.own_proxy is None:
            raise ValueError("proxy_auth needs proxy: add it")
        return self

    @property
    def own_proxy(self) -> str | None:
        """The URL of the proxy that the job names; None without one."""
        return None if self.proxy == NO_PROXY else self.proxy

    @property
    def endpoint(self) -> str:
        """The name of the target in logs and history: the URL without query and fragment, which can contain secrets."""
        url = self.url
        return url if "?" not in url and "#" not in url else url.split("?", 1)[0].split("#", 1)[0]

    @property
    def label(self) -> str:
        """The target as messages and pages name it: `GET https://checkout.internal/health`."""
        return f"{self.method} {strip_user(self.endpoint)}"

    @property
    def idempotent(self) -> bool:
        """Whether the method is idempotent (RFC 9110), so that a retry is harmless."""
        return self.method in IDEMPOTENT_METHODS

    def destinations(self) -> Iterator[Destination]:
        """Yield what a check connects to, as far as the definition shows: an earlier response may give a step's URL."""
        if "${" not in self.url and not self.url.startswith("/"):
            yield self.url
        if isinstance(self.auth, OAuth2Auth):
            yield self.auth.token_url
        if self.own_proxy is not None:
            yield HostPort(*host_and_port(self.own_proxy))
