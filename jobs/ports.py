"""What a run needs from outside, as narrow protocols; scheduler.app hands over the real ones, tests hand over fakes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jobs.heartbeat import HeartbeatRecord


@dataclass(frozen=True, slots=True)
class CredentialRefresh:
    """What came of looking for another value than the one that a target refused.

    `sentence` names the credential, never a value: `the secret a had been changed and was read again`.
    """

    is_changed: bool
    message: str


class Secrets(Protocol):
    async def get_secret(self, name: str) -> str:
        """The secret's value now. Registers it with the redactor. Raises SecretUnavailable."""
        ...

    async def refresh_rejected(self, name: str, rejected: str) -> CredentialRefresh:
        """Whether `get` has another value by now than the one that a target refused; reads it again, if not lately."""
        ...


class Tokens(Protocol):
    async def get_token(self, scope: str) -> str:
        """An access token of the app's own identity for this scope. Raises TokenUnavailable."""
        ...

    async def refresh_rejected(self, scope: str, rejected: str) -> CredentialRefresh:
        """The same as of a secret."""
        ...


class Clock(Protocol):
    """Time, injected so that tests do not wait. `asyncio` time-outs stay on the loop's own clock."""

    def now(self) -> datetime:
        """Aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go backwards."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class HeartbeatSource(Protocol):
    async def beat(self, job: str) -> HeartbeatRecord:
        """What is remembered of the pings of this job. May raise anything when the store is away."""
        ...


class CircuitStateStore(Protocol):
    """Where the circuits' states are kept: one small text a key, replaced only by who has seen the latest.

    Both methods may raise anything when the store is away; a run is then let through.
    """

    async def load(self, key: str) -> tuple[str | None, str | None]:
        """The stored text and its etag; (None, None) if there is none."""
        ...

    async def replace(self, key: str, state: str, etag: str | None) -> bool:
        """Store `state` if the etag is still the stored one (None: if nothing is stored). False if it is not."""
        ...
