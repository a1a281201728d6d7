"""Counts of fixed windows in the memory of this process, as a storage of the `limits` package.

Used by scheduler.rate_limits.limiter, and by scheduler.rate_limits.shared_windows while the store is unavailable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from limits.aio.storage import Storage

MAX_WINDOWS: Final = 10_000
"""Windows in memory: a client can have many addresses. The oldest ones are dropped."""


@dataclass(slots=True)
class Window:
    """`ends_at`: Unix seconds."""

    ends_at: float
    used: int = 0


class LocalWindows(Storage):
    """A window starts with its first request."""

    STORAGE_SCHEME = None

    def __init__(self, now: Callable[[], float]) -> None:
        """`now`: Unix seconds."""
        super().__init__()
        self._now = now
        self._windows: dict[str, Window] = {}

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return ()

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        window = self._find(key)
        if window is None:
            self._drop_old()
            window = self._windows[key] = Window(self._now() + expiry)
        window.used += amount
        return window.used

    async def get(self, key: str) -> int:
        window = self._find(key)
        return 0 if window is None else window.used

    async def get_expiry(self, key: str) -> float:
        window = self._find(key)
        return self._now() if window is None else window.ends_at

    async def check(self) -> bool:
        return True

    async def reset(self) -> int:
        dropped = len(self._windows)
        self._windows.clear()
        return dropped

    async def clear(self, key: str) -> None:
        self._windows.pop(key, None)

    def _find(self, key: str) -> Window | None:
        window = self._windows.get(key)
        if window is not None and window.ends_at <= self._now():
            del self._windows[key]
            return None
        return window

    def _drop_old(self) -> None:
        while len(self._windows) >= MAX_WINDOWS:
            del self._windows[next(iter(self._windows))]
