"""What a run needs from outside, as narrow protocols; scheduler.app hands over the real ones, tests hand over fakes."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Secrets(Protocol):
    async def get(self, name: str) -> str:
        """The secret's value now. Registers it with the redactor. Raises SecretUnavailable."""
        ...


class Tokens(Protocol):
    async def get(self, scope: str) -> str:
        """An access token of the app's own identity for this scope. Raises TokenUnavailable."""
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


class CircuitStates(Protocol):
    """Where the circuits' states are kept: one small text a key, replaced only by who has seen the latest.

    Both methods may raise anything when the store is away; a run is then let through.
    """

    async def load(self, key: str) -> tuple[str | None, str | None]:
        """The stored text and its etag; (None, None) if there is none."""
        ...

    async def replace(self, key: str, state: str, etag: str | None) -> bool:
        """Store `state` if the etag is still the stored one (None: if nothing is stored). False if it is not."""
        ...
