"""Gets the values of a request that stand elsewhere: secrets by name, and access tokens. Called by http.py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import httpx

from jobs.auth import ApiKeyAuth, BasicAuth, BearerAuth, ManagedIdentityAuth, OAuth2Auth
from jobs.checks.binding.hosts import Place
from jobs.checks.binding.recipients import carried_to, sendings_of_request
from jobs.checks.binding.rules import ANYTHING, Bindings
from jobs.checks.credentials import NOTHING, Credentials
from jobs.checks.errors import ClientRejected
from jobs.checks.oauth import Grant, OAuthTokens
from jobs.checks.port import Call
from jobs.checks.registering import register
from jobs.checks.requests import parsed, proxy_of
from jobs.model import SecretRef
from jobs.ports import Renewal, Secrets, Tokens
from jobs.redaction import Redactor
from jobs.redaction.holding import CurrentValues
from jobs.targets import FormBody, HttpTarget, TextBody
from jobs.urls import effective_port


@dataclass(frozen=True, slots=True)
class Sources:
    """Whom to ask for them."""

    secrets: Secrets
    tokens: Tokens
    oauth: OAuthTokens
    redactor: Redactor
    tokens_in_use: CurrentValues
    """Of the identity, by scope."""
    derived: CurrentValues
    """What is made of secrets, such as the value of a header."""
    bindings: Bindings = ANYTHING


def check_bindings(target: HttpTarget, url: httpx.URL, bindings: Bindings, call: Call) -> None:
    """Raise CredentialDenied if something that a request to this URL carries may not go there."""
    at = Place.of(url.raw_host.decode("ascii"), effective_port(url.scheme, url.port))
    for sending in sendings_of_request(target, url.scheme, at):
        bindings.check(sending.credential, sending.places, call.tags)
    for credential in call.carried:
        bindings.check(credential, carried_to(target, url.scheme, at), call.tags, "what was got with ")


async def credentials_of(target: HttpTarget, sources: Sources, call: Call) -> Credentials:
    """Fetch all of them at the same time, register them for the run, and note them as used by the call.

    A token endpoint is asked after that, as what proves us to it is among them.

    Raises:
        CredentialDenied: one of them may not be sent there; none is fetched then.
        SecretUnavailable, TokenUnavailable: one of them cannot be had.
    """
    secrets, tokens = sources.secrets, sources.tokens
    names = sorted({reference.secret for reference in _references(target)})
    scope = target.auth.scope if isinstance(target.auth, ManagedIdentityAuth) else None
    if names or scope is not None or call.carried:
        check_bindings(target, parsed(target.url), sources.bindings, call)
    if not names and scope is None:
        return NOTHING
    call.clock.enter("secrets" if names else "token")
    fetched = [secrets.get(name) for name in names]
    if scope is not None:
        fetched.append(tokens.get(scope))
    values = [await fetched[0]] if len(fetched) == 1 else await asyncio.gather(*fetched)
    for value in values:
        await register(value, call, sources.redactor)
    if scope is not None:
        sources.tokens_in_use.set(scope, values[-1])
    call.used.extend(renewing(secrets, name, value) for name, value in zip(names, values, strict=False))
    if scope is not None:
        call.used.append(renewing(tokens, scope, values[-1]))
    known = Credentials(dict(zip(names, values, strict=False)), values[-1] if scope is not None else "")
    if isinstance(target.auth, OAuth2Auth):
        call.clock.enter("token")
        return replace(known, token=await _granted(target, target.auth, known, sources, call))
    return known


async def _granted(target: HttpTarget, auth: OAuth2Auth, known: Credentials, sources: Sources, call: Call) -> str:
    """The token of a token endpoint; asked once more if it refuses the secret, and there is another one by now."""
    oauth, shown = sources.oauth, target.tls.client_certificate
    grant = Grant(
        auth,
        known.text(auth.client_id),
        known.text(auth.client_secret),
        target.tls,
        known.text(shown) if shown is not None else "",
        proxy_of(target, known, sources.derived),
    )
    try:
        token = await oauth.get(grant)
    except ClientRejected as refused:
        name = auth.client_secret.secret
        renewal = await sources.secrets.renewed(name, grant.secret)
        if not renewal.changed:
            raise ClientRejected(f"{refused}; {renewal.sentence}") from None
        grant = replace(grant, secret=await sources.secrets.get(name))
        await register(grant.secret, call, sources.redactor)
        token = await oauth.get(grant)
    await register(token, call, sources.redactor)
    call.used.append(lambda: oauth.renewed(grant, token))
    return token


def renewing(source: Secrets | Tokens, name: str, value: str) -> Callable[[], Awaitable[Renewal]]:
    """For `Call.used`. Not a partial, which would show the value to whoever prints it."""
    return lambda: source.renewed(name, value)


def _references(target: HttpTarget) -> Iterator[SecretRef]:
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
