"""Rules about secrets over plain http. Used by jobs.warnings; jobs.targets.plain_http decides what counts as such."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urljoin

from jobs.definition import JobDefinition
from jobs.problems import Finding, KeyPath
from jobs.targets import HttpTarget
from jobs.targets.auth import OAuth2Auth
from jobs.targets.plain_http import exposes_secrets, is_plain_http
from jobs.targets.steps import Step
from jobs.warnings.check_requests import iter_requests

_HINT = "write https, or allow_plain_http: true (AllowPlainHttp in the flat form) on a trusted network"


def find_secrets_without_tls(job: JobDefinition) -> Iterator[Finding]:
    """Refuse requests that send secrets over plain http to another machine without allow_plain_http."""
    last_url, saved_secrets = "", frozenset[str]()
    for path, request in iter_requests(job):
        last_url = _url_after(last_url, request)
        if exposes_secrets(request, last_url, saved_secrets):
            yield Finding(
                (*path, "url"), "sends secrets over plain http, where others on the network can read them", _HINT
            )
        yield from _token_endpoint(path, request)
        if isinstance(request, Step):
            saved_secrets |= {name for name in request.save if request.is_secret_value(name)}


def _url_after(last_url: str, request: HttpTarget) -> str:
    """Return the URL of the request; empty if it comes from an earlier answer."""
    if request.url.startswith("https://"):
        return request.url
    if request.url.startswith("${") or (request.url.startswith("/") and not last_url):
        return ""
    try:
        return urljoin(last_url, request.url)
    except ValueError:  # such as //[x: the run reports it
        return ""


def _token_endpoint(path: KeyPath, request: HttpTarget) -> Iterator[Finding]:
    auth = request.auth
    if isinstance(auth, OAuth2Auth) and not request.allow_plain_http and is_plain_http(auth.token_url):
        message = "sends the client secret over plain http, where others on the network can read it"
        yield Finding((*path, "auth", "token_url"), message, _HINT)


def find_proxy_password_without_tls(job: JobDefinition) -> Iterator[Finding]:
    """Warn of a proxy password: the connection to a proxy is plain http, even for https targets."""
    for path, request in iter_requests(job):
        exposed = request.proxy_auth is not None and request.proxy is not None and is_plain_http(request.proxy)
        if exposed and not request.allow_plain_http:
            message = "sends the password to the proxy over plain http, where others on the network can read it"
            hint = "write allow_plain_http: true if the network up to the proxy is trusted"
            yield Finding((*path, "proxy_auth"), message, hint)
