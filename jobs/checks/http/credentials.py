"""Resolve the secrets and access tokens of an HTTP target, and check that they may be sent there.

Called by jobs.checks.kinds.http and jobs.checks.http.exchange.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import httpx

from jobs.checks.binding.names import Recipient
from jobs.checks.binding.rules import UNRESTRICTED, Bindings, deliveries_of_request, recipients_of_request
from jobs.checks.errors import ClientRejected
from jobs.checks.http.oauth import OAuthGrant, OAuthTokens
from jobs.checks.http.requests import (
    NO_CREDENTIALS,
    ResolvedCredentials,
    parse_url,
    resolve_proxy,
)
from jobs.checks.http.responses import MAX_COOKIES as MAX_COOKIES
from jobs.checks.port import AttemptContext, register_value
from jobs.formats import effective_port
from jobs.model_base import SecretRef
from jobs.ports import CredentialRefresh, Secrets, Tokens
from jobs.redaction import Redactor
from jobs.redaction.value_holders import CurrentSecrets
from jobs.targets import FormBody, HttpTarget, TextBody
from jobs.targets.http import ApiKeyAuth, BasicAuth, BearerAuth, ManagedIdentityAuth, OAuth2Auth


@dataclass(frozen=True, slots=True)
class CredentialSources:
    """Where secrets and tokens come from."""

    secrets: Secrets
    tokens: Tokens
    oauth: OAuthTokens
    redactor: Redactor
    tokens_in_use: CurrentSecrets
    """Of the identity, by scope."""
    derived: CurrentSecrets
    """Values computed from secrets, such as that of a header."""
    bindings: Bindings = UNRESTRICTED


def check_bindings(target: HttpTarget, url: httpx.URL, bindings: Bindings, call: AttemptContext) -> None:
    """Check that everything a request to this URL sends may go there. Raises CredentialDenied."""
    recipient = Recipient.from_host(url.raw_host.decode("ascii"), effective_port(url.scheme, url.port))
    for delivery in deliveries_of_request(target, url.scheme, recipient):
        bindings.check(delivery.credential, delivery.recipients, call.tags)
    for credential in call.inherited_credentials:
        bindings.check(
            credential, recipients_of_request(target, url.scheme, recipient), call.tags, "what was obtained with "
        )


async def resolve_credentials(
    target: HttpTarget, sources: CredentialSources, call: AttemptContext, trace_parent: str = ""
) -> ResolvedCredentials:
    """Fetch all of them concurrently, register them for the run, and add their refreshes to the context.

    A token endpoint is requested afterwards, as the client's secret is one of them. `trace_parent`: a header for it if
    it has the origin of the target.

    Raises:
        CredentialDenied: one of them must not be sent there; none is fetched.
        SecretUnavailable, TokenUnavailable: one of them is unavailable.
    """
    secrets, tokens = sources.secrets, sources.tokens
    names = sorted({reference.secret for reference in _secret_references(target)})
    scope = target.auth.scope if isinstance(target.auth, ManagedIdentityAuth) else None
    if names or scope is not None or call.inherited_credentials:
        check_bindings(target, parse_url(target.url), sources.bindings, call)
    if not names and scope is None:
        return NO_CREDENTIALS
    call.clock.enter("secrets" if names else "token")
    fetched = [secrets.get_secret(name) for name in names]
    if scope is not None:
        fetched.append(tokens.get_token(scope))
    values = [await fetched[0]] if len(fetched) == 1 else await asyncio.gather(*fetched)
    for value in values:
        await register_value(value, call, sources.redactor)
    if scope is not None:
        sources.tokens_in_use.set(scope, values[-1])
    call.credential_refreshes.extend(
        make_refresh(secrets, name, value) for name, value in zip(names, values, strict=False)
    )
    if scope is not None:
        call.credential_refreshes.append(make_refresh(tokens, scope, values[-1]))
    credentials = ResolvedCredentials(dict(zip(names, values, strict=False)), values[-1] if scope is not None else "")
    if isinstance(target.auth, OAuth2Auth):
        call.clock.enter("token")
        token = await _fetch_oauth_token(target, target.auth, credentials, sources, call, trace_parent)
        return replace(credentials, token=token)
    return credentials


async def _fetch_oauth_token(
    target: HttpTarget,
    auth: OAuth2Auth,
    credentials: ResolvedCredentials,
    sources: CredentialSources,
    call: AttemptContext,
    trace_parent: str,
) -> str:
    """Return a token; if the endpoint rejects the secret and a newer one exists, request it once more."""
    oauth, shown = sources.oauth, target.tls.client_certificate
    grant = OAuthGrant(
        auth,
        credentials.resolve(auth.client_id),
        credentials.resolve(auth.client_secret),
        target.tls,
        credentials.resolve(shown) if shown is not None else "",
        resolve_proxy(target, credentials, sources.derived),
        trace_parent if _has_origin_of(auth.token_url, target.url) else "",
    )
    try:
        token = await oauth.get_token(grant)
    except ClientRejected as refused:
        name = auth.client_secret.secret
        renewal = await sources.secrets.refresh_rejected(name, grant.secret)
        if not renewal.is_changed:
            raise ClientRejected(f"{refused}; {renewal.message}") from None
        grant = replace(grant, secret=await sources.secrets.get_secret(name))
        await register_value(grant.secret, call, sources.redactor)
        token = await oauth.get_token(grant)
    await register_value(token, call, sources.redactor)
    call.credential_refreshes.append(lambda: oauth.refresh_rejected(grant, token))
    return token


def _has_origin_of(url: str, other: str) -> bool:
    one, two = parse_url(url), parse_url(other)
    ports = [effective_port(each.scheme, each.port) for each in (one, two)]
    return (one.scheme, one.host, ports[0]) == (two.scheme, two.host, ports[1])


def make_refresh(source: Secrets | Tokens, name: str, value: str) -> Callable[[], Awaitable[CredentialRefresh]]:
    """Return an item for `AttemptContext.credential_refreshes`. Not a partial, whose repr would show the value."""
    return lambda: source.refresh_rejected(name, value)


def _secret_references(target: HttpTarget) -> Iterator[SecretRef]:
    values: list[Iterable[str | SecretRef]] = [target.headers.values(), target.query.values()]
    if target.tls.client_certificate is not None:
        values.append((target.tls.client_certificate,))
    if target.proxy_auth is not None:
        values.append((target.proxy_auth.username, target.proxy_auth.password))
    match target.body:
        case TextBody(text=text):
            values.append((text,))
        case FormBody(form=form):
            values.append(form.values())
    match target.auth:
        case BasicAuth(username=username, password=password):
            values.append((username, password))
        case BearerAuth(token=token):
            values.append((token,))
        case ApiKeyAuth(key=key):
            values.append((key,))
        case OAuth2Auth(client_id=client_id, client_secret=client_secret):
            values.append((client_id, client_secret))
    return (value for group in values for value in group if isinstance(value, SecretRef))
