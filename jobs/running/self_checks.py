"""All self-checks of the scheduler, and whether it obtains any credentials when a run failed because of one.

Consulted for each run that failed. While a self-check fails, such runs do not describe their targets. A token of the
app's identity, or a secret, that one job alone lacks is about that job; so others are requested.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from itertools import islice

from jobs.checks.clock import PhaseClock
from jobs.checks.errors import CheckError, TunnelRefused
from jobs.checks.guard import PROXY_GUARD
from jobs.checks.http_transport.transport import open_tunnel
from jobs.checks.net.connection import TargetConnection
from jobs.checks.net.network import Network
from jobs.checks.outbound import Outbound, ProxyEndpoint
from jobs.errors import SecretUnavailable, TokenUnavailable
from jobs.formats import host_and_port
from jobs.model_base import find_secret_names
from jobs.ports import Clock, Secrets, SelfChecks, Tokens
from jobs.running.network_self_check import EGRESS_ERRORS, MAX_RESULT_AGE
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


class ProxyChecks:
    """Whether the proxy of the settings forwards anything. `list_targets`: those of all jobs."""

    def __init__(self, outbound: Outbound, list_targets: Callable[[], Iterable[Target]], clock: Clock) -> None:
        self._outbound = outbound
        self._list_targets = list_targets
        self._clock = clock
        self._network = Network(PROXY_GUARD)
        self._lock = asyncio.Lock()
        self._host, self._port = "localhost", 443
        """Of the last endpoint: the request to the proxy is for a tunnel to it."""
        self._failure: str | None = None
        self._checked_at: datetime | None = None

    def close(self) -> None:
        self._network.close()

    async def explain(self, error: ErrorClass, since: datetime, endpoint: str = "") -> str | None:
        """Return why the proxy forwards nothing, a clause; None: it does, or the run did not use it."""
        if error not in EGRESS_ERRORS or not self._may_use_proxy(endpoint):
            return None
        failure = await self.find_failure(since)
        if failure is None or any(each.endpoint == endpoint and _has_own_way(each) for each in self._list_targets()):
            return None
        return failure

    async def find_failure(self, since: datetime) -> str | None:
        """Return what is wrong with the proxy, as it was after `since`, and at most MAX_RESULT_AGE ago."""
        proxy = self._outbound.proxy
        async with self._lock:
            at, now = self._checked_at, self._clock.now()
            if proxy is not None and (at is None or at < since or not timedelta() <= now - at <= MAX_RESULT_AGE):
                self._failure, self._checked_at = await self._probe(proxy), now
            return self._failure

    def _may_use_proxy(self, endpoint: str) -> bool:
        if not endpoint:
            return self._outbound.proxy is not None
        try:
            proxy = self._outbound.find_proxy_of_url(endpoint)
            if proxy is not None:
                self._host, self._port = host_and_port(endpoint)
        except ValueError:
            return False
        return proxy is not None

    async def _probe(self, proxy: ProxyEndpoint) -> str | None:
        connection: TargetConnection | None = None
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                connection = await self._network.connect(proxy.host, proxy.port, PhaseClock(), None)
                await open_tunnel(connection, proxy, self._host, self._port)
        except TunnelRefused as error:
            # Any other status is about this target.
            return f"the proxy {proxy} refuses its credentials (407)" if error.status == 407 else None
        except (OSError, CheckError) as error:
            if connection is not None:
                return None
            # By the number: asyncio writes the address into the text.
            number = (error.errno or 0) if isinstance(error, OSError) else 0
            reason = os.strerror(number).lower() if number > 0 else "it does not answer"
            return f"the proxy {proxy} cannot be reached: {reason}"
        finally:
            if connection is not None:
                connection.abort()
        return None


def _has_own_way(target: Target) -> bool:
    return getattr(target, "proxy", None) is not None


class OwnChecks:
    """Implements SelfChecks. `network`: what decides about all other errors. `proxy`: None without one."""

    def __init__(self, network: SelfChecks, credentials: CredentialChecks, proxy: ProxyChecks | None = None) -> None:
        self._proxy = proxy
        self._network = network
        self._credentials = credentials

    def record(self, endpoint: str, error: ErrorClass | None) -> None:
        self._network.record(endpoint, error)

    async def explain(self, error: ErrorClass, since: datetime, endpoint: str = "") -> str | None:
        """Without a network there are no tokens either: then the network is the cause."""
        if error not in CREDENTIAL_ERRORS:
            cause = None if self._proxy is None else await self._proxy.explain(error, since, endpoint)
            return cause or await self._network.explain(error, since, endpoint)
        cause = await self._credentials.explain(error)
        return cause and (await self._network.explain(ErrorClass.CONNECT_TIMEOUT, since) or cause)

    async def confirms_clock(self, since: datetime) -> bool:
        return await self._network.confirms_clock(since)

    async def confirms_way(self, since: datetime) -> bool:
        if self._proxy is not None and await self._proxy.find_failure(since):
            return False
        return await self._network.confirms_way(since)
