"""Lists silences and requested maintenance windows, as the caller may see them. Used by the API and the commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from jobs.incidents.suppression.periods.spans import state_at
from jobs.incidents.suppression.silences import Silence
from jobs.incidents.suppression.windows import RequestedWindow
from jobs.ports import Clock
from scheduler.errors import NotFound
from scheduler.identity.principal import Principal
from scheduler.stores.suppressions import StoredSuppression, StoredSuppressions

S = TypeVar("S", Silence, RequestedWindow)


class SuppressionState(StrEnum):
    PENDING = "pending"
    """Neither in force nor ended: it begins later, perhaps again."""
    ACTIVE = "active"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class SuppressionView(Generic[S]):
    """`changes_at`: when it begins or ends next; None if never or not in sight."""

    value: S
    etag: str
    state: SuppressionState
    changes_at: datetime | None


@dataclass(frozen=True, slots=True)
class SuppressionViews(Generic[S]):
    """Oldest first. `continuation`: None on the last page. A page may have fewer entries than its limit."""

    found: tuple[SuppressionView[S], ...]
    continuation: str | None


class SuppressionQueries:
    """All methods raise StoreError."""

    def __init__(
        self, silences: StoredSuppressions[Silence], windows: StoredSuppressions[RequestedWindow], clock: Clock
    ) -> None:
        self._silences = silences
        self._windows = windows
        self._clock = clock

    async def list_silences(
        self, principal: Principal, *, ended: bool = False, limit: int = 100, after: str = ""
    ) -> SuppressionViews[Silence]:
        """Return a page of the current silences, or of those that ended some time ago. Raises InvalidContinuation."""
        page = await self._silences.list_page(ended=ended, limit=limit, after=after)
        return SuppressionViews(_views(page.found, principal, self._clock.now()), page.continuation)

    async def list_windows(
        self, principal: Principal, *, ended: bool = False, limit: int = 100, after: str = ""
    ) -> SuppressionViews[RequestedWindow]:
        """Return the same of requested windows."""
        page = await self._windows.list_page(ended=ended, limit=limit, after=after)
        return SuppressionViews(_views(page.found, principal, self._clock.now()), page.continuation)

    async def get_silence(self, principal: Principal, silence_id: str) -> SuppressionView[Silence]:
        """Return a silence, also one that has ended. Raises NotFound."""
        stored = await self._silences.find(silence_id)
        views = _views([] if stored is None else [stored], principal, self._clock.now())
        if not views:
            raise NotFound(f"there is no silence with the id {silence_id!r}")
        return views[0]

    async def get_window(self, principal: Principal, window_id: str) -> SuppressionView[RequestedWindow]:
        """Return a requested window, also one that has ended. Raises NotFound."""
        stored = await self._windows.find(window_id)
        views = _views([] if stored is None else [stored], principal, self._clock.now())
        if not views:
            raise NotFound(f"there is no maintenance window with the id {window_id!r}")
        return views[0]


def _views(
    stored: Sequence[StoredSuppression[S]], principal: Principal, now: datetime
) -> tuple[SuppressionView[S], ...]:
    return tuple(_view(each, now) for each in stored if principal.manages(each.value.limited_to))


def _view(stored: StoredSuppression[S], now: datetime) -> SuppressionView[S]:
    state = state_at(stored.value.periods, now)
    if state.is_inside:
        name = SuppressionState.ACTIVE
    else:
        name = SuppressionState.ENDED if state.changes_at is None else SuppressionState.PENDING
    return SuppressionView(stored.value, stored.etag, name, state.changes_at)
