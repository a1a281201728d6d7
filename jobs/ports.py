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
