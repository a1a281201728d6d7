"""Slots: of a group at most so many runs hold one at a time, whichever processes they are in. Used by the gates.

A group's slots are numbered rows of one partition, each with the run that holds it, its process, and until when; it is
free if it says nothing or that time has passed. No row is deleted, so every change is fenced by the etag of what was
read, and none can free or lengthen a slot that somebody else has taken meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import logging
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from scheduler.stores.port import LARGEST_PAGE, Insert, Replace, Row, RowChanged, RowExists, Store, StoreError

_log = logging.getLogger("scheduler.slots")

SLOTS_TABLE = "slots"
_FREE_BODY = "{}"
_MAX_TRIES = 2
"""Looks at a group in which others take slots at the same time."""


@dataclass(frozen=True, slots=True)
class GroupFull:
    """No slot is free. `holders`: the runs that have one, as far as they were seen."""

    holders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _HeldSlot:
    """A slot of this process's run."""

    group: str
    number: str
    run_id: str
    until: datetime
    etag: str


class Slots:
    """Of one process; `owner` names it in the rows."""

    def __init__(self, store: Store, owner: str) -> None:
        self._store = store
        self._owner = owner
        self._held: dict[tuple[str, str], _HeldSlot] = {}
        self._unanswered: set[tuple[str, str]] = set()
        """Groups and runs for which a slot may have been taken without an answer."""
        self._failed_releases: list[_HeldSlot] = []
        """Slots that could not be freed, as the store was away."""
        self._known_free: dict[str, dict[str, str]] = {}
        """Slots that were free when they were seen last: group, number, etag. They save looking."""

    async def acquire(
        self,
        group: str,
        limit: int,
        run_id: str,
        lease_until: datetime,
        now: datetime,
        needed_until: datetime | None = None,
        *,
        claimed: bool = True,
    ) -> GroupFull | None:
        """A slot of the group for the run, until then; None: it has one. One that it has already is lengthened, unless
        that lasts until `needed` (None: until now).

        Of any number of runs at most `limit` have one at a time. What holds after a StoreUnavailable a later try or
        `release` finds out. A slot that the run has in another process is taken over at once if the run is `claimed`
        here, as the other one has died then; if not, both may be at it, and the slot is the other one's.

        Raises:
            StoreUnavailable
        """
        held = self._held.get((group, run_id))
        if held is not None and held.until > (needed_until or now):
            return None
        if held is None and await self._acquire_known_free(group, limit, run_id, lease_until):
            return None
        live: list[str] = []
        for _ in range(_MAX_TRIES):
            rows = await self._list_rows(group)
            theirs = [row for row in rows if row.run_id == run_id and row.owner != self._owner and row.is_live(now)]
            if theirs and not claimed:
                return GroupFull((run_id,))
            if await self._acquire_from_rows(group, rows, limit, run_id, lease_until, now):
                return None
            live = [row.run_id for row in rows if row.is_live(now)]
            if len(live) >= limit:
                break
        self._held.pop((group, run_id), None)
        return GroupFull(tuple(live))

    async def release(self, group: str, run_id: str) -> None:
        """The run needs its slot no more; nothing happens if it has none. Raises nothing: what cannot be freed now is
        tried again by `retry_releases`, and is free at the end of its time at the latest."""
        slot = self._held.pop((group, run_id), None)
        try:
            if slot is not None:
                await self._release_slot(slot)
            elif (group, run_id) in self._unanswered:
                await self._release_unanswered(group, run_id)
        except StoreError as error:
            _log.warning("the slot of run %s in group %s is free a little later: %s", run_id, group, error)
            if slot is not None:
                self._failed_releases.append(slot)

    async def renew(self, run_ids: Collection[str], until: datetime) -> None:
        """Lengthen the slots of these runs. Raises nothing: what fails is tried with the next renewal."""
        of_runs = [slot for slot in self._held.values() if slot.run_id in run_ids]
        await asyncio.gather(*(self._renew_slot(slot, until) for slot in of_runs))

    async def retry_releases(self) -> None:
        """Free what could not be freed before. Raises nothing: what fails is tried the next time."""
        stuck, self._failed_releases = self._failed_releases, []
        await asyncio.gather(*(self._retry_release(slot) for slot in stuck))

    @property
    def has_failed_releases(self) -> bool:
        """Whether `retry_releases` has something to do."""
        return bool(self._failed_releases)

    # --- taking ---

    async def _acquire_known_free(self, group: str, limit: int, run_id: str, until: datetime) -> bool:
        """Take the slot that was free when it was last seen here: mostly it still is, and nothing has to be read."""
        free = self._known_free.get(group)
        if not free or (group, run_id) in self._unanswered:
            return False
        number, etag = free.popitem()
        return int(number) < limit and await self._acquire_slot(group, number, etag, run_id, until)

    async def _acquire_from_rows(
        self, group: str, rows: Sequence[_SlotRow], limit: int, run_id: str, until: datetime, now: datetime
    ) -> bool:
        """Try the run's own slot, if it has one, or else those that are free."""
        own = [row for row in rows if row.run_id == run_id]
        etags = {row.number: row.etag for row in rows}
        live = {row.number for row in rows if row.is_live(now)}
        free = [row.number for row in own] or [
            number for number in _numbers_in_order(limit, run_id) if number not in live
        ]
        for number in free:
            if await self._acquire_slot(group, number, etags.get(number), run_id, until):
                return True
        return False

    async def _acquire_slot(self, group: str, number: str, etag: str | None, run_id: str, until: datetime) -> bool:
        """False if somebody else was faster."""
        body = json.dumps({"run": run_id, "owner": self._owner, "until": until.isoformat()})
        change = (
            Insert(SLOTS_TABLE, group, number, body)
            if etag is None
            else Replace(SLOTS_TABLE, group, number, body, etag)
        )
        self._unanswered.add((group, run_id))
        try:
            (taken,) = await self._store.apply(change)
        except (RowExists, RowChanged):
            self._unanswered.discard((group, run_id))
            return False
        self._unanswered.discard((group, run_id))
        self._held[group, run_id] = _HeldSlot(group, number, run_id, until, taken)
        return True

    # --- giving back ---

    async def _release_slot(self, slot: _HeldSlot) -> None:
        etag: str | None = slot.etag
        while etag is not None:
            try:
                (free,) = await self._store.apply(Replace(SLOTS_TABLE, slot.group, slot.number, _FREE_BODY, etag))
            except RowChanged:
                etag = await self._read_own_etag(slot)
            else:
                self._known_free.setdefault(slot.group, {})[slot.number] = free
                return

    async def _release_unanswered(self, group: str, run_id: str) -> None:
        for row in await self._list_rows(group):
            if (row.run_id, row.owner) == (run_id, self._owner):
                await self._release_slot(_HeldSlot(group, row.number, run_id, row.until, row.etag))
        self._unanswered.discard((group, run_id))

    async def _retry_release(self, slot: _HeldSlot) -> None:
        try:
            await self._release_slot(slot)
        except StoreError:
            self._failed_releases.append(slot)

    # --- keeping ---

    async def _renew_slot(self, slot: _HeldSlot, until: datetime) -> None:
        body = json.dumps({"run": slot.run_id, "owner": self._owner, "until": until.isoformat()})
        etag: str | None = slot.etag
        try:
            while etag is not None:
                try:
                    (renewed,) = await self._store.apply(Replace(SLOTS_TABLE, slot.group, slot.number, body, etag))
                except RowChanged:
                    etag = await self._read_own_etag(slot)
                else:
                    await self._store_renewed(slot, until, renewed)
                    return
        except StoreError as error:
            _log.warning("the slot of run %s in group %s is not renewed yet: %s", slot.run_id, slot.group, error)
            return
        if self._held.get((slot.group, slot.run_id)) == slot:
            del self._held[slot.group, slot.run_id]
            _log.warning("run %s goes on without its slot in group %s: its time had passed", slot.run_id, slot.group)

    async def _store_renewed(self, slot: _HeldSlot, until: datetime, etag: str) -> None:
        renewed = _HeldSlot(slot.group, slot.number, slot.run_id, until, etag)
        if self._held.get((slot.group, slot.run_id)) == slot:
            self._held[slot.group, slot.run_id] = renewed
        else:
            # It was given back meanwhile, in vain: the renewal came in between.
            await self._release_slot(renewed)

    async def _read_own_etag(self, slot: _HeldSlot) -> str | None:
        """After another change than the one we know of, which may be one of ours that got no answer."""
        row = await self._store.get_row(SLOTS_TABLE, slot.group, slot.number)
        found = None if row is None else _SlotRow.from_row(row)
        if found is None or (found.run_id, found.owner) != (slot.run_id, self._owner):
            return None
        return found.etag

    async def _list_rows(self, group: str) -> Sequence[_SlotRow]:
        return [_SlotRow.from_row(row) for row in await self._store.list_rows(SLOTS_TABLE, group, limit=LARGEST_PAGE)]


@dataclass(frozen=True, slots=True)
class _SlotRow:
    """`run_id` is "" where the slot is free."""

    number: str
    run_id: str
    owner: str
    until: datetime
    etag: str

    @staticmethod
    def from_row(row: Row) -> _SlotRow:
        body = json.loads(row.body)
        if not body:
            return _SlotRow(row.key, "", "", datetime.min, row.etag)
        return _SlotRow(row.key, body["run"], body["owner"], datetime.fromisoformat(body["until"]), row.etag)

    def is_live(self, now: datetime) -> bool:
        return self.run_id != "" and self.until > now


def _numbers_in_order(limit: int, run_id: str) -> Iterator[str]:
    """All numbers of a group, from another one on for each run, so that runs that come together do not meet."""
    start = zlib.crc32(run_id.encode()) % limit
    return (f"{(start + step) % limit:04d}" for step in range(limit))
