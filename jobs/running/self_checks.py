"""All self-checks of the scheduler, and whether it obtains any credentials when a run failed because of one.

Consulted for each run that failed. While a self-check fails, such runs do not describe their targets. A token of the
app's identity, or a secret, that one job alone lacks is about that job; so others are requested.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from itertools import islice

from jobs.errors import SecretUnavailable, TokenUnavailable
from jobs.model_base import find_secret_names
from jobs.ports import Secrets, SelfChecks, Tokens
from jobs.runs import ErrorClass
from jobs.targets import Target
from jobs.targets.http import ManagedIdentityAuth

NO_CREDENTIALS = "the scheduler obtains no "
"""The beginning of each cause."""
LACKED_CPU = "the scheduler itself lacked CPU"
"""The beginning of the cause of a run that timed out meanwhile."""
CREDENTIAL_ERRORS = frozenset({ErrorClass.TOKEN_UNAVAILABLE, ErrorClass.SECRET_UNAVAILABLE})
MAX_REQUESTS = 8
MIN_SECRETS = 3
"""A missing secret is the defect of a job file; several that all cannot be read have one cause."""
REQUEST_TIMEOUT = 3.0
"""Seconds."""
_MAX_TARGETS = 500


class CredentialChecks:
    """`list_targets`: those of all jobs."""

    def __init__(self, list_targets: Callable[[], Iterable[Target]], tokens: Tokens, secrets: Secrets) -> None:
        self._list_targets = list_targets
        self._tokens = tokens
        self._secrets = secrets

    async def explain(self, error: ErrorClass) -> str | None:
        """Return why no job obtains such credentials, a clause; None: others do, or too few are used."""
        targets = list(islice(self._list_targets(), _MAX_TARGETS))
        if error is ErrorClass.TOKEN_UNAVAILABLE:
            scopes = {scope for target in targets if (scope := _scope_of(target))}
            return await self._find_cause("access token of its identity", scopes, self._tokens.get_token, 1)
        if error is ErrorClass.SECRET_UNAVAILABLE:
            names = frozenset[str]().union(*map(find_secret_names, targets))
            return await self._find_cause("secret", names, self._secrets.get_secret, MIN_SECRETS)
        return None

    async def _find_cause(
        self, what: str, names: Iterable[str], request: Callable[[str], Awaitable[str]], least: int
    ) -> str | None:
        chosen = sorted(names)[:MAX_REQUESTS]
        if len(chosen) < least:
            return None
        failures = await asyncio.gather(*(_find_failure(name, request) for name in chosen))
        first = failures[0]
        return None if first is None or None in failures else f"{NO_CREDENTIALS}{what}: {first}"


async def _find_failure(name: str, request: Callable[[str], Awaitable[str]]) -> str | None:
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT):
            await request(name)
    except (TokenUnavailable, SecretUnavailable) as error:
        return str(error).rstrip(".")
    except TimeoutError:
        return f"no answer about {name} within {REQUEST_TIMEOUT:g} s"
    return None


def _scope_of(target: Target) -> str:
    auth = getattr(target, "auth", None)
    return auth.scope if isinstance(auth, ManagedIdentityAuth) else ""


class OwnChecks:
    """Implements SelfChecks. `network`: what decides about all other errors."""

    def __init__(self, network: SelfChecks, credentials: CredentialChecks) -> None:
        self._network = network
        self._credentials = credentials

    def record(self, endpoint: str, error: ErrorClass | None) -> None:
        self._network.record(endpoint, error)

    async def explain(self, error: ErrorClass, since: datetime, endpoint: str = "") -> str | None:
        """Without a network there are no tokens either: then the network is the cause."""
        if error not in CREDENTIAL_ERRORS:
            return await self._network.explain(error, since, endpoint)
        cause = await self._credentials.explain(error)
        return cause and (await self._network.explain(ErrorClass.CONNECT_TIMEOUT, since) or cause)

    async def confirms_clock(self, since: datetime) -> bool:
        return await self._network.confirms_clock(since)

    async def confirms_way(self, since: datetime) -> bool:
        return await self._network.confirms_way(since)
