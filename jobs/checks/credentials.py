"""The values of a request that stand elsewhere: secrets by name, and the app's access token. Called by requests.py."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from jobs.auth import ApiKeyAuth, BasicAuth, BearerAuth, ManagedIdentityAuth
from jobs.checks.port import Call
from jobs.model import SecretRef
from jobs.ports import Renewal, Secrets, Tokens
from jobs.redaction import Redactor
from jobs.targets import FormBody, HttpTarget, TextBody


@dataclass(frozen=True, slots=True)
class Credentials:
    """Everything that one request needs from outside."""

    secrets: Mapping[str, str]
    token: str = ""

    def text(self, value: str | SecretRef) -> str:
        """A text of the definition, or the secret that it refers to."""
        return self.secrets[value.secret] if isinstance(value, SecretRef) else value


NOTHING = Credentials({})


async def credentials_of(
    target: HttpTarget, secrets: Secrets, tokens: Tokens, redactor: Redactor, call: Call
) -> Credentials:
    """Fetch all of them at the same time, register them with the redactor, and note them as used by the call.

    Raises:
        SecretUnavailable, TokenUnavailable: one of them cannot be had.
    """
    names = sorted({reference.secret for reference in _references(target)})
    scope = target.auth.scope if isinstance(target.auth, ManagedIdentityAuth) else None
    if not names and scope is None:
        return NOTHING
    call.clock.enter("secrets" if names else "token")
    fetched = [secrets.get(name) for name in names]
    if scope is not None:
        fetched.append(tokens.get(scope))
    values = [await fetched[0]] if len(fetched) == 1 else await asyncio.gather(*fetched)
    for value in values:
        redactor.add(value)
    call.used.extend(renewing(secrets, name, value) for name, value in zip(names, values, strict=False))
    if scope is not None:
        call.used.append(renewing(tokens, scope, values[-1]))
    return Credentials(dict(zip(names, values, strict=False)), values[-1] if scope is not None else "")


def renewing(source: Secrets | Tokens, name: str, value: str) -> Callable[[], Awaitable[Renewal]]:
    """For `Call.used`. Not a partial, which would show the value to whoever prints it."""
    return lambda: source.renewed(name, value)


def basic(user: str, password: str, redactor: Redactor) -> str:
    """The value of a Basic Authorization header; registered, as it tells the password to whoever decodes it."""
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    redactor.add(encoded)
    return f"Basic {encoded}"


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
    return (value for group in values for value in group if isinstance(value, SecretRef))
