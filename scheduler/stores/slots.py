"""Slots: a limited number of runs of a group hold one at a time, across all processes.

A group's slots are numbered rows of one partition, each with the run that holds it, its process, and the end of its
lease. A slot is free if it is empty or its lease has ended. No row is deleted, so every change is fenced by the etag
that was read, and none can release or extend a slot that another run has acquired meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scheduler.stores.port import MAX_PAGE, Replace, Row, RowChanged, RowExists, Store, StoreError, put_row
from scheduler.stores.rows import decode_json, encode_json

_log = logging.getLogger("scheduler.slots")

SLOTS_TABLE = "slots"
FREE_BODY = "{}"


@dataclass(frozen=True, slots=True)
class HeldSlot:
    """A slot of this process's run. `lease`: by how much a renewal extends it."""

    group: str
    number: str
    run_id: str
    until: datetime
    etag: str
    lease: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class SlotRow:
    """`run_id` is "" for a free slot."""

    number: str
    run_id: str
    owner: str
    until: datetime
    etag: str

    @staticmethod
    def from_row(row: Row) -> SlotRow:
        body = decode_json(row.body)
        if not body:
            return SlotRow(row.key, "", "", datetime.min, row.etag)
        return SlotRow(row.key, body["run"], body["owner"], datetime.fromisoformat(body["until"]), row.etag)

    def is_live(self, now: datetime) -> bool:
        return self.run_id != "" and self.until > now


def numbers_in_order(limit: int, run_id: str) -> Iterator[str]:
    """Yield all numbers of a group, from another one on for each run, so that concurrent runs do not compete."""
    start = zlib.crc32(run_id.encode()) % limit
    return (f"{(start + step) % limit:04d}" for step in range(limit))


def encode_slot(run_id: str, owner: str, lease_until: datetime) -> str:
    """Return the body of a slot that the run holds until then."""
    return encode_json({"run": run_id, "owner": owner, "until": lease_until.isoformat()})


_MAX_TRIES = 2
"""Reads of a group in which other processes acquire slots at the same time."""


@dataclass(frozen=True, slots=True)
class GroupFull:
    """No slot is free. `holders`: the runs that have one, as far as they were read."""

    holders: tuple[str, ...]


class Slots:
    """The slots of one process; `owner` names it in the rows."""

    def __init__(self, store: Store, owner: str) -> None:
        self._store = store
        self._owner = owner
        self._held: dict[tuple[str, str], HeldSlot] = {}
        self._unanswered: set[tuple[str, str]] = set()
        """Groups and runs for which a slot may have been acquired without an answer."""
        self._failed_releases: list[HeldSlot] = []
        """Slots that could not be released because the store was unavailable."""
        self._known_free: dict[str, dict[str, str]] = {}
        """Slots that were free when last read: group, number, etag. They save a read."""

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
        """Acquire a slot of the group for the run until `lease_until`. None: the run has one.

        A slot that it has already is extended, unless it lasts until `needed_until` (None: until now). Of any number of
        runs at most `limit` have one at a time. After StoreUnavailable, a later call or `release` finds out whether it
        was acquired. A slot that the run has in another process is acquired at once if the run is `claimed` here,
        because the other process has died then; if not, both may perform it, and the slot is the other one's.

        Raises:
            StoreUnavailable
        """
        held = self._held.get((group, run_id))
        if held is not None and held.until > (needed_until or now):
            return None
        if held is None and await self._acquire_known_free(group, limit, run_id, lease_until, now):
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
        """Release the slot of the run; does nothing if it has none. Raises nothing: a failed release is retried by
        `renew`, and the slot is free at the end of its lease at the latest.
        """
        slot = self._held.pop((group, run_id), None)
        try:
            if slot is not None:
                await self._release_slot(slot)
            elif (group, run_id) in self._unanswered:
                await self._release_unanswered(group, run_id)
        except StoreError as error:
            _log.warning("could not release the slot of run %s in group %s: %s; it is retried", run_id, group, error)
            if slot is not None:
                self._failed_releases.append(slot)

    async def renew(self, now: datetime) -> None:
        """Extend each held slot by the lease that it was acquired for, and retry the releases that failed.

        Raises nothing: what fails is retried with the next renewal.
        """
        failed, self._failed_releases = self._failed_releases, []
        await asyncio.gather(
            *(self._renew_slot(slot, now + slot.lease) for slot in self._held.values()),
            *(self._retry_release(slot) for slot in failed),
        )

    @property
    def needs_renewal(self) -> bool:
        """Whether `renew` has work."""
        return bool(self._held or self._failed_releases)

    # --- acquire ---

    async def _acquire_known_free(self, group: str, limit: int, run_id: str, until: datetime, now: datetime) -> bool:
        """Acquire the slot that was free when last read: mostly it still is, and no row has to be read."""
        free = self._known_free.get(group)
        if not free or (group, run_id) in self._unanswered:
            return False
        number, etag = free.popitem()
        return int(number) < limit and await self._acquire_slot(group, number, etag, run_id, until, now)

    async def _acquire_from_rows(
        self, group: str, rows: Sequence[SlotRow], limit: int, run_id: str, until: datetime, now: datetime
    ) -> bool:
        """Try the run's own slot, if it has one, or else those that are free."""
        own = [row for row in rows if row.run_id == run_id]
        etags = {row.number: row.etag for row in rows}
        live = {row.number for row in rows if row.is_live(now)}
        free = [row.number for row in own] or [
            number for number in numbers_in_order(limit, run_id) if number not in live
        ]
        for number in free:
            if await self._acquire_slot(group, number, etags.get(number), run_id, until, now):
                return True
        return False

    async def _acquire_slot(
        self, group: str, number: str, etag: str | None, run_id: str, until: datetime, now: datetime
    ) -> bool:
        """Return False if another process was faster."""
        body = encode_slot(run_id, self._owner, until)
        change = put_row(SLOTS_TABLE, group, number, body, etag)
        self._unanswered.add((group, run_id))
        try:
            (new_etag,) = await self._store.apply(change)
        except (RowExists, RowChanged):
            self._unanswered.discard((group, run_id))
            return False
        self._unanswered.discard((group, run_id))
        self._held[group, run_id] = HeldSlot(group, number, run_id, until, new_etag, until - now)
        return True

    # --- release ---

    async def _release_slot(self, slot: HeldSlot) -> None:
        etag: str | None = slot.etag
        while etag is not None:
            try:
                (free,) = await self._store.apply(Replace(SLOTS_TABLE, slot.group, slot.number, FREE_BODY, etag))
            except RowChanged:
                etag = await self._read_own_etag(slot)
            else:
                self._known_free.setdefault(slot.group, {})[slot.number] = free
                return

    async def _release_unanswered(self, group: str, run_id: str) -> None:
        for row in await self._list_rows(group):
            if (row.run_id, row.owner) == (run_id, self._owner):
                await self._release_slot(HeldSlot(group, row.number, run_id, row.until, row.etag))
        self._unanswered.discard((group, run_id))

    async def _retry_release(self, slot: HeldSlot) -> None:
        try:
            await self._release_slot(slot)
        except StoreError:
            self._failed_releases.append(slot)

    # --- renew ---

    async def _renew_slot(self, slot: HeldSlot, until: datetime) -> None:
        body = encode_slot(slot.run_id, self._owner, until)
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
            _log.warning(
                "could not renew the slot of run %s in group %s: %s; it is retried", slot.run_id, slot.group, error
            )
            return
        if self._held.get((slot.group, slot.run_id)) == slot:
            del self._held[slot.group, slot.run_id]
            _log.warning(
                "could not renew the slot of run %s in group %s: its lease had ended; the run continues without it",
                slot.run_id,
                slot.group,
            )

    async def _store_renewed(self, slot: HeldSlot, until: datetime, etag: str) -> None:
        renewed = replace(slot, until=until, etag=etag)
        if self._held.get((slot.group, slot.run_id)) == slot:
            self._held[slot.group, slot.run_id] = renewed
        else:
            # The run ended during the renewal: its release failed to free the slot, because the etag had changed.
            await self._release_slot(renewed)

    async def _read_own_etag(self, slot: HeldSlot) -> str | None:
        """Read the etag after an unknown change, which may be an unanswered one of this process."""
        row = await self._store.get_row(SLOTS_TABLE, slot.group, slot.number)
        if row is None:
            return None
        current = SlotRow.from_row(row)
        return current.etag if (current.run_id, current.owner) == (slot.run_id, self._owner) else None

    async def _list_rows(self, group: str) -> Sequence[SlotRow]:
        return [SlotRow.from_row(row) for row in await self._store.list_rows(SLOTS_TABLE, group, limit=MAX_PAGE)]
