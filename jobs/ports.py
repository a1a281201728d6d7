"""Ports of a run, as narrow protocols. scheduler.app passes the adapters; tests pass fakes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jobs.heartbeat import HeartbeatRecord
from jobs.runs.outcomes import ErrorClass


@dataclass(frozen=True, slots=True)
class CredentialRefresh:
    """The result of refreshing a credential that a target rejected.

    `message` names the credential, never a value: `the secret a had changed and was read again`.
    """

    is_changed: bool
    message: str


class Secrets(Protocol):
    async def get_secret(self, name: str) -> str:
        """Return the secret's current value and register it with the redactor. Raises SecretUnavailable."""
        ...

    async def refresh_rejected(self, name: str, rejected: str) -> CredentialRefresh:
        """Refresh the secret, unless that happened recently; report whether its value differs from the rejected one."""
        ...


class Tokens(Protocol):
    async def get_token(self, scope: str) -> str:
        """Return an access token of the app's managed identity for this scope. Raises TokenUnavailable."""
        ...

    async def refresh_rejected(self, scope: str, rejected: str) -> CredentialRefresh:
        """Refresh the token, as Secrets does for a secret."""
        ...


class Clock(Protocol):
    """Time, injected so that tests do not wait. `asyncio` timeouts use the loop's own clock."""

    def now(self) -> datetime:
        """Return the current instant, aware UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never decrease."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SelfChecks(Protocol):
    def record(self, endpoint: str, error: ErrorClass | None) -> None:
        """Take notice of the end of a run. `error`: of its last attempt."""
        ...

    async def explain(self, error: ErrorClass, since: datetime, endpoint: str = "") -> str | None:
        """Return why the scheduler itself causes such errors now, a sentence; None: they describe the target.

        `since`: the start of the run. The answer rests on checks that are newer. It takes a few seconds at most.
        `endpoint`: of the target; empty if the question is not about a run.
        """
        ...

    async def confirms_clock(self, since: datetime) -> bool:
        """Return whether the clocks of others agree with this one; False if none is known."""
        ...

    async def confirms_way(self, since: datetime) -> bool:
        """Return whether another host answers now; False if none is known."""
        ...


class HeartbeatSource(Protocol):
    async def beat(self, job: str) -> HeartbeatRecord:
        """Return the summary of the job's pings. May raise any exception if the store is unavailable."""
        ...


class CircuitStateStore(Protocol):
    """The stored states of the circuits: one short text per key, replaced only if its etag is current.

    Both methods may raise any exception if the store is unavailable; the run is then admitted.
    """

    async def load(self, key: str) -> tuple[str | None, str | None]:
        """Return the stored text and its etag; (None, None) without one."""
        ...

    async def replace(self, key: str, state: str, etag: str | None) -> bool:
        """Store `state` if the etag is current (None: if nothing is stored). Return whether it was stored."""
        ...
