"""What an HTTP check asks. The check itself is jobs/checks/kinds/http.py."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ByteSize, Discriminator, Field, Tag, model_validator

from jobs.model_base import HEADER_NAME_PATTERN, FrozenModel, SecretRef, TextOrSecret, discriminate_by_key
from jobs.policies import Timeouts
from jobs.targets.auth import NO_AUTH, ApiKeyAuth, Auth
from jobs.targets.endpoint_types import Host, IpVersion
from jobs.targets.urls import HttpUrl, validate_complete_http_url

HttpMethod = Literal["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH", "TRACE"]

IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""RFC 9110, section 9.2.2: a repeated request has the same effect as one."""


_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|^\s|\s$")


def is_invalid_header_value(value: str) -> bool:
    """Whether a header cannot carry this value: control characters, line breaks, blanks at its ends."""
    return _UNFIT.search(value) is not None


_FRAMING_HEADERS = frozenset(
    {"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)

_PLATFORM_HEADERS = frozenset({"metadata", "x-identity-header", "metadata-flavor", "x-google-metadata-request"})
"""Headers that only a cloud's own endpoints want, before they hand out tokens; and `X-aws-ec2-metadata-token...`."""

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def _explain_bad_header(name: str, value: str | SecretRef) -> str:
    """Why a job must not send this header; empty if it may."""
    if name.lower() in _FRAMING_HEADERS:
        return f"{name} is set by the program itself, so that the connection works: leave it out"
    if name.lower() in _PLATFORM_HEADERS or name.lower().startswith("x-aws-ec2-metadata-"):
        return f"{name} is for the platform's own endpoints, which no check may ask: leave it out"
    if isinstance(value, str) and is_invalid_header_value(value):
        return f"the value of {name} has a line break, a control character or a blank at an end"
    if name.lower() == "host" and not (isinstance(value, str) and _HOST.fullmatch(value)):
        return f"the value of {name} is no host: write a name, such as checkout.internal or checkout.internal:8443"
    return ""


def _check_headers(headers: dict[str, TextOrSecret]) -> dict[str, TextOrSecret]:
    for name, value in headers.items():
        if not re.fullmatch(HEADER_NAME_PATTERN, name):
            raise ValueError(f"{name[:40]!r} cannot be the name of a header")
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
    """How the target's certificate is checked. `ca_file`: PEM file with the authorities to trust, alone."""

    verify: bool = True
    ca_file: str | None = None
    client_certificate: SecretRef | None = None
    """A secret in PEM form: the certificate (and those between it and its authority) with its key, not encrypted."""


def _proxy_url(url: str) -> str:
    parts = urlsplit(validate_complete_http_url(url))
    if parts.scheme != "http" or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(
            "a proxy is written as http://proxy.internal:3128, without a path; https targets go through it, too"
        )
    return url


ProxyUrl = Annotated[str, Field(max_length=2048), AfterValidator(_proxy_url)]


class ProxyAuth(FrozenModel):
    """How the program proves to a proxy who it is: Basic."""

    username: TextOrSecret
    password: SecretRef


class HttpTarget(FrozenModel):
    """One HTTP request.

    `connection`: kept ones are used again by the next request to the same origin, if its method is idempotent.
    `keep_body`: bytes of an answer that are kept with an attempt that it failed; 0 keeps nothing.
    `http2`: where TLS agrees to it; without TLS, at once.

    `ip_version`: addresses of it alone are asked, also where redirects lead.

    `server_name`: what TLS asks for, and the certificate must be for, if it is not the host of the URL.

    `allow_plain_http`: whether secrets may go over plain http, where everybody on the way can read them.

    `redirects`: how many are followed; 0 takes a 3xx as the answer. `read_limit`: bytes of the body that are read
    and judged at most; the rest is not fetched.
    """

    TIMEOUTS: ClassVar[Timeouts] = Timeouts(attempt=10.0, run=30.0)

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
        if self.connection == "kept" and (self.http2 or self.proxy):
            raise ValueError("connection: kept goes with neither http2 nor proxy: leave one of them out")
        if self.connection == "kept" and self.server_name:
            raise ValueError("connection: kept does not go with server_name: leave one of them out")
        if self.ip_version and (self.connection == "kept" or self.proxy):
            raise ValueError("ip_version goes with neither connection: kept nor proxy: leave one of them out")
        if self.proxy_auth is not None and self.proxy is None:
            raise ValueError("proxy_auth needs a proxy")
        return self

    @property
    def endpoint(self) -> str:
        """The target for logs and history: without query and fragment, which may hold secrets."""
        return self.url.split("?", 1)[0].split("#", 1)[0]

    @property
    def idempotent(self) -> bool:
        """Whether repeating the request after a failure does no harm by the method's definition."""
        return self.method in IDEMPOTENT_METHODS
