"""Cursors: the progress of the ticks as an instant, which a late writer cannot move back. Used by the ticks of both
hosts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from scheduler.stores.port import Insert, Replace, Row, RowChanged, RowExists, Store
from scheduler.stores.rows import decode_json, encode_json

CURSORS_TABLE = "cursors"
PLANNED_UNTIL_CURSOR = "planned-until"
"""The cursor of the ticks: everything due until then was dispatched."""
STRANDED_CURSOR = "stranded-until"
"""The cursor of the queued runs that the Functions host has checked: those due until then are not sent again."""
STARTED_CURSOR = "started-at"
"""The first tick after the latest gap in which the scheduler did not run."""
LONGEST_TICK_GAP = timedelta(minutes=2)
"""From the end of what a tick has planned to the next tick. After a longer gap, the scheduler has started again."""
_INSTANT_KEY = "instant"


class Cursors:
    """One row a cursor. All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, name: str) -> datetime | None:
        """Return None if it was never advanced."""
        row = await self._store.get_row(CURSORS_TABLE, name, _INSTANT_KEY)
        return None if row is None else _instant(row)

    async def advance(self, name: str, instant: datetime) -> datetime:
        """Move it to `instant` unless it is later already. Return its position."""
        return await self._move_to(name, instant, lambda position: position >= instant)

    async def rewind(self, name: str, instant: datetime) -> datetime:
        """Move it back to `instant`: a wrong clock had advanced it. Return its position."""
        return await self._move_to(name, instant, lambda position: position <= instant)

    async def record_start(self, now: datetime) -> None:
        """Record that the scheduler starts now."""
        if await self.advance(STARTED_CURSOR, now) > now:
            await self.rewind(STARTED_CURSOR, now)

    async def find_start(self, now: datetime) -> datetime | None:
        """Return the latest start, and record it if ticks have been missing until now. None: it is not known."""
        planned_until, started_at = await self.read(PLANNED_UNTIL_CURSOR), await self.read(STARTED_CURSOR)
        is_gap = planned_until is not None and planned_until + LONGEST_TICK_GAP < now
        if planned_until is not None and is_gap and (started_at is None or started_at <= planned_until):
            await self.record_start(now)
            return now
        # A start in the future was recorded before the clock was set back.
        return started_at if started_at is not None and started_at <= now else None

    async def _move_to(self, name: str, instant: datetime, is_reached: Callable[[datetime], bool]) -> datetime:
        body = encode_instant(instant)
        while True:
            row = await self._store.get_row(CURSORS_TABLE, name, _INSTANT_KEY)
            if row is not None and is_reached(_instant(row)):
                return _instant(row)
            try:
                if row is None:
                    await self._store.apply(Insert(CURSORS_TABLE, name, _INSTANT_KEY, body))
                else:
                    await self._store.apply(Replace(CURSORS_TABLE, name, _INSTANT_KEY, body, row.etag))
            except (RowExists, RowChanged):
                continue  # another process moved it: read its position again
            return instant


def _instant(row: Row) -> datetime:
    return decode_instant(row.body)


def encode_instant(instant: datetime) -> str:
    """Return the body of a cursor's row."""
    return encode_json({"instant": instant.astimezone(UTC).isoformat()})


def decode_instant(body: str) -> datetime:
    return datetime.fromisoformat(decode_json(body)["instant"])
