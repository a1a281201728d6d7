"""Counts refused requests, so that an attacker cannot fill the audit trail. Pure. Used by scheduler.audit.stored_trail.

The first refusal of a principal, an address and a reason is an entry; those of the following minute are another one,
with their number. Each costs a token of a bucket; without a token, all refusals together are an entry each ten minutes.
So a process adds at most 60 entries at once, and 200 an hour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scheduler.audit.trail import Refusal

WINDOW = timedelta(minutes=1)
OVERFLOW_WINDOW = timedelta(minutes=10)
MAX_TOKENS = 60.0
TOKENS_PER_SECOND = 1 / 60

_Key = tuple[str, str, str, str]
_OVERFLOW = Refusal("any", "any", "too many refusals to record each")


@dataclass(frozen=True, slots=True)
class CountedRefusals:
    """`refusal`: the first one. `since`: its time."""

    refusal: Refusal
    count: int
    since: datetime


@dataclass(slots=True)
class _Window:
    refusal: Refusal
    since: datetime
    count: int = 0
    """Refusals that are not recorded yet."""

    def take(self) -> list[CountedRefusals]:
        count, self.count = self.count, 0
        return [CountedRefusals(self.refusal, count, self.since)] if count else []


class RefusalCounter:
    def __init__(self) -> None:
        self._windows: dict[_Key, _Window] = {}
        self._overflow: _Window | None = None
        self._tokens = MAX_TOKENS
        self._filled_at: datetime | None = None

    def count(self, refusal: Refusal, now: datetime) -> list[CountedRefusals]:
        """Count a refusal. Return what is to be recorded now."""
        due = self.collect(now)
        key = (refusal.principal, refusal.address, refusal.way, refusal.reason)
        if (window := self._windows.get(key)) is not None:
            window.count += 1
        elif self._take_token(now):
            self._windows[key] = _Window(refusal, now)
            due.append(CountedRefusals(refusal, 1, now))
        else:
            self._overflow = self._overflow or _Window(replace(_OVERFLOW), now)
            self._overflow.count += 1
        return due

    def collect(self, now: datetime, *, all_windows: bool = False) -> list[CountedRefusals]:
        """Return the counts of windows that have ended. `all_windows`: of all, because the program stops."""
        due: list[CountedRefusals] = []
        for key, window in list(self._windows.items()):
            if all_windows or now - window.since >= WINDOW:
                due += window.take()
                del self._windows[key]
        if self._overflow is not None and (all_windows or now - self._overflow.since >= OVERFLOW_WINDOW):
            due += self._overflow.take()
            self._overflow = None
        return due

    def _take_token(self, now: datetime) -> bool:
        if self._filled_at is not None:
            passed = max(0.0, (now - self._filled_at).total_seconds())
            self._tokens = min(MAX_TOKENS, self._tokens + passed * TOKENS_PER_SECOND)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
