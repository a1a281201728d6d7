"""Cursors: how far something has come, as an instant that no latecomer moves back. Used by the ticks of both hosts."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from scheduler.stores.port import Insert, Replace, Row, RowChanged, RowExists, Store

CURSORS_TABLE = "cursors"
PLANNED_UNTIL_CURSOR = "planned-until"
"""The cursor of the ticks: everything due until then was handed on."""
_INSTANT_KEY = "instant"


class Cursors:
    """One row a cursor. All methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, name: str) -> datetime | None:
        """None if it was never advanced."""
        row = await self._store.get_row(CURSORS_TABLE, name, _INSTANT_KEY)
        return None if row is None else _instant(row)

    async def advance(self, name: str, instant: datetime) -> datetime:
        """Move it to `instant` unless it is there or further already. Returns where it is."""
        return await self._move_to(name, instant, lambda there: there >= instant)

    async def rewind(self, name: str, instant: datetime) -> datetime:
        """Move it back to `instant`, as it was moved by a clock that was wrong. Returns where it is."""
        return await self._move_to(name, instant, lambda there: there <= instant)

    async def _move_to(self, name: str, instant: datetime, is_there: Callable[[datetime], bool]) -> datetime:
        body = json.dumps({"instant": instant.astimezone(UTC).isoformat()})
        while True:
            row = await self._store.get_row(CURSORS_TABLE, name, _INSTANT_KEY)
            if row is not None and is_there(_instant(row)):
                return _instant(row)
            try:
                if row is None:
                    await self._store.apply(Insert(CURSORS_TABLE, name, _INSTANT_KEY, body))
                else:
                    await self._store.apply(Replace(CURSORS_TABLE, name, _INSTANT_KEY, body, row.etag))
            except (RowExists, RowChanged):
                continue  # somebody else moved it: look again how far
            return instant


def _instant(row: Row) -> datetime:
    return datetime.fromisoformat(json.loads(row.body)["instant"])
