"""Which hosts receive a secret or a token of a job: each name that its request is addressed to, and each proxy that can
read it.

The one place that decides it, for the checks before a request and for `validate`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from jobs.checks.binding.names import Recipient
from jobs.checks.port import Credential
from jobs.formats import effective_port, host_and_port
from jobs.model_base import SecretRef
from jobs.targets import FormBody, HttpTarget, StepsTarget, Target, TcpTarget, TextBody
from jobs.targets.http import ApiKeyAuth, BasicAuth, BearerAuth, ManagedIdentityAuth, OAuth2Auth
from jobs.targets.tcp import SendLine


@dataclass(frozen=True, slots=True)
class CredentialDelivery:
    """A secret or a token, and all hosts that receive it."""

    credential: Credential
    recipients: tuple[Recipient, ...]


def find_deliveries(target: Target) -> Iterator[CredentialDelivery]:
    """Yield what a check sends, as far as its definition shows: an earlier response may give the URL of a step."""
    match target:
        case HttpTarget():
            yield from _deliveries_to_url(target, target.url)
        case StepsTarget(steps=steps, cleanup=cleanup):
            last_url = ""
            for step in (*steps, *cleanup):
                last_url = _join_url(last_url, step.url)
                yield from _deliveries_to_url(step, last_url)
        case TcpTarget():
            yield from deliveries_of_dialogue(target)


def deliveries_of_dialogue(target: TcpTarget) -> Iterator[CredentialDelivery]:
    """Yield what a TCP dialogue sends."""
    places = [_tcp_recipient(target.host, target.port)]
    if target.server_name is not None:
        places.append(_tcp_recipient(target.server_name, target.port))
    for line in target.dialogue:
        if isinstance(line, SendLine) and isinstance(line.send, SecretRef):
            yield CredentialDelivery(Credential("secret", line.send.secret), tuple(places))


def deliveries_of_request(request: HttpTarget, scheme: str, at: Recipient) -> Iterator[CredentialDelivery]:
    """Yield what one request to this recipient sends. `scheme`: of its URL."""
    seen_by = _seen_by(request, scheme, at)
    for credential in iter_credentials(request):
        yield CredentialDelivery(credential, seen_by)
    if isinstance(request.auth, OAuth2Auth):
        yield from _deliveries_to_token_endpoint(request, request.auth)
    if request.proxy is not None and request.proxy_auth is not None:
        for value in (request.proxy_auth.username, request.proxy_auth.password):
            if isinstance(value, SecretRef):
                yield CredentialDelivery(Credential("secret", value.secret), (_proxy_recipient(request.proxy),))


def recipients_of_request(request: HttpTarget, scheme: str, at: Recipient) -> tuple[Recipient, ...]:
    """Return the host, and the hosts to which a shared gateway may forward the request by another name."""
    return _seen_by(request, scheme, at)


def _seen_by(request: HttpTarget, scheme: str, at: Recipient) -> tuple[Recipient, ...]:
    """The host, and those whom a shared entrance (a gateway, a front door) may hand the request to by other names."""
    places = [at]
    for name, value in request.headers.items():
        if name.lower() == "host" and isinstance(value, str):
            places.append(Recipient.from_host(_without_port(value), at.port))
    if request.server_name is not None:
        places.append(Recipient.from_host(request.server_name, at.port))
    if request.proxy is not None and not _is_encrypted_to_host(request, scheme):
        places.append(_proxy_recipient(request.proxy))
    return tuple(dict.fromkeys(places))


def _without_port(host: str) -> str:
    """Return the host of a `Host` header."""
    if host.startswith("["):
        return host.partition("]")[0]
    return host.partition(":")[0]


def _is_encrypted_to_host(request: HttpTarget, scheme: str) -> bool:
    """Return whether no proxy on the path to the URL's host can read the request."""
    return scheme == "https" and request.tls.verify and request.server_name is None


def iter_credentials(request: HttpTarget) -> Iterator[Credential]:
    """Yield what the target receives to authenticate the caller, also what its token is requested with."""
    values: list[object] = [*request.headers.values(), *request.query.values(), request.tls.client_certificate]
    match request.body:
        case TextBody(text=text):
            values.append(text)
        case FormBody(form=form):
            values += form.values()
    match request.auth:
        case BasicAuth(username=username, password=password):
            values += (username, password)
        case BearerAuth(token=token):
            values.append(token)
        case ApiKeyAuth(key=key):
            values.append(key)
        case OAuth2Auth(client_id=client_id, client_secret=client_secret):
            values += (client_id, client_secret)
        case ManagedIdentityAuth(scope=scope):
            yield Credential("scope", scope)
    yield from (Credential("secret", value.secret) for value in values if isinstance(value, SecretRef))


def _deliveries_to_token_endpoint(request: HttpTarget, auth: OAuth2Auth) -> Iterator[CredentialDelivery]:
    places = [Recipient.from_host(*host_and_port(auth.token_url))]
    if request.proxy is not None and not (urlsplit(auth.token_url).scheme == "https" and request.tls.verify):
        places.append(_proxy_recipient(request.proxy))
    for value in (auth.client_id, auth.client_secret, request.tls.client_certificate):
        if isinstance(value, SecretRef):
            yield CredentialDelivery(Credential("secret", value.secret), tuple(places))


def _proxy_recipient(proxy: str) -> Recipient:
    return Recipient.from_host(*host_and_port(proxy))


def _tcp_recipient(host: str, port: int) -> Recipient:
    """Encode a name as the resolver does, which differs slightly from httpx."""
    try:
        return Recipient.from_host(host if host.isascii() else host.encode("idna").decode(), port)
    except UnicodeError:
        return Recipient.from_host(host, port)


def _deliveries_to_url(request: HttpTarget, url: str) -> Iterator[CredentialDelivery]:
    try:
        parts = urlsplit(url)
        port = effective_port(parts.scheme, parts.port)
    except ValueError:  # of a step: the run reports it
        return
    if parts.hostname and "$" not in parts.netloc:
        yield from deliveries_of_request(request, parts.scheme, Recipient.from_host(parts.hostname, port))
    elif isinstance(request.auth, OAuth2Auth):
        yield from _deliveries_to_token_endpoint(request, request.auth)


def _join_url(last_url: str, url: str) -> str:
    """Return the URL of a step that follows this URL; empty if an earlier response gives it."""
    if url.startswith("${"):
        return ""
    try:
        return urljoin(last_url, url)
    except ValueError:
        return ""
