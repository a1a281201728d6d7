"""The stored audit trail: a hash chain of entries, and its rows.

An entry is one line of canonical JSON: sorted keys, no spaces, ASCII. Its `hash` is the SHA-256 of the line without
`hash`, its `prev` the hash of the entry before it.

All rows are in one partition: one for each entry, by its sequence number, and one that names the head. An append
inserts entries and replaces the head in one transaction, so the numbers have no gaps. Of two processes that append the
same number, one gets RowExists and tries again behind the other. Another partition has the set of job files that the
trail recorded last.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from scheduler.stores.port import MAX_ATOMIC_GROUP, Delete, Insert, Row, RowExists, Store, StoreError, Upsert
from scheduler.stores.rows import decode_body, decode_json, encode_json, iterate_pages
from scheduler.stores.table import Table
from scheduler.turns import compute

GENESIS: Final = "0" * 64
"""The `prev` of the first entry."""
RETENTION_ACTION: Final = "trail.prune"
"""The action of the entry that the retention leaves: `after.through` and `after.hash` of the last deleted entry."""


class EntryDamaged(ValueError):
    """The line is not an entry, or its content does not match its hash."""


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last entry. `sequence` 0: the chain is empty."""

    sequence: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`fields`: all of the line, `seq`, `prev` and `hash` among them."""

    sequence: int
    previous_hash: str
    hash: str
    line: str
    fields: Mapping[str, Any]


def canonical_json(value: Any) -> str:
    """Return the only JSON of a value. Raises ValueError, TypeError: it is not a value of JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def seal_entry(content: Mapping[str, Any], head: ChainHead) -> AuditEntry:
    """Return the entry that follows `head`."""
    fields = {**content, "seq": head.sequence + 1, "prev": head.hash}
    digest = _digest(canonical_json(fields))
    fields["hash"] = digest
    return AuditEntry(head.sequence + 1, head.hash, digest, canonical_json(fields), fields)


def parse_entry(line: str) -> AuditEntry:
    """Return the entry. Raises EntryDamaged."""
    try:
        fields = json.loads(line)
        is_canonical = isinstance(fields, dict) and canonical_json(fields) == line
    except (ValueError, RecursionError) as error:
        raise EntryDamaged("it is not valid JSON") from error
    if not is_canonical:
        raise EntryDamaged("it is not in canonical form")
    sequence, previous, digest = (fields.get(key) for key in ("seq", "prev", "hash"))
    if type(sequence) is not int or not isinstance(previous, str) or not isinstance(digest, str):
        raise EntryDamaged("it has no seq, prev or hash")
    if _digest(canonical_json({key: value for key, value in fields.items() if key != "hash"})) != digest:
        raise EntryDamaged("its content does not match its hash")
    return AuditEntry(sequence, previous, digest, line, fields)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    return _digest(canonical_json(value))


AUDIT_TABLE = "audit"
_CHAIN_PARTITION = "chain"
_HEAD_KEY = "head"
HEAD_ROW = _CHAIN_PARTITION, _HEAD_KEY
"""The row that names the last entry."""
_AFTER_ENTRIES = "a"
"""Greater than the key of each entry, less than that of the head."""
_PAGE = 200
_MAX_BATCH = MAX_ATOMIC_GROUP - 1
_MAX_BATCH_CHARACTERS = 1_000_000
MAX_APPEND_TRIES = 200
"""Each failed try means that another process has appended."""
_MAX_PAUSE = 0.1
"""Seconds between two tries."""
PRUNE_SLACK = timedelta(days=1)
"""Entries are deleted when the oldest is this much older than the retention: at most once a day, because each deletion
adds an entry."""
MAX_PRUNED = 5000
"""Entries that one call deletes."""

_SEALED_INLINE = 20_000
"""Characters of entries that are sealed at once. More are sealed in a thread, so that runs start in time."""

_Waiting = tuple[Mapping[str, Any], "asyncio.Future[AuditEntry]"]


class AuditLog:
    """Raises StoreError like the store; `append`: it is then unknown whether the entry is stored."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._head: ChainHead | None = None
        """The head after the last append of this process; others may have appended since."""
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    async def append(self, content: Mapping[str, Any]) -> AuditEntry:
        """Store an entry behind the head. Appends that wait for each other share a transaction."""
        stored: asyncio.Future[AuditEntry] = asyncio.get_running_loop().create_future()
        self._waiting.append((content, stored))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting())
        return await stored

    async def read_head(self) -> ChainHead:
        """Return the last entry, as the head row names it."""
        return await self.read_head_row() or await self._find_last(0)

    async def read_head_row(self) -> ChainHead | None:
        """Return what the head row names; None if it is missing or damaged."""
        return _parse_head(await self._store.get_row(AUDIT_TABLE, _CHAIN_PARTITION, _HEAD_KEY))

    async def read_first_sequence(self) -> int:
        """Return the number of the oldest entry; 0 without entries."""
        rows = await self._store.list_rows(AUDIT_TABLE, _CHAIN_PARTITION, until=_AFTER_ENTRIES, limit=1, bodies=False)
        return sequence_of(rows[0]) if rows else 0

    async def read_rows(self, first: int, last: int) -> Sequence[Row]:
        """Return the rows of entries `first` to `last`, ascending, at most 1000."""
        return await self._store.list_rows(
            AUDIT_TABLE,
            _CHAIN_PARTITION,
            after=_entry_key(first - 1),
            until=_entry_key(last + 1),
            limit=min(1000, last - first + 1),
        )

    async def stream_rows(self, first: int = 0) -> AsyncIterator[Row]:
        """Yield all rows of entries from `first` on, ascending by key."""
        after = _entry_key(first - 1) if first > 0 else ""
        async for page in iterate_pages(
            self._store, AUDIT_TABLE, _CHAIN_PARTITION, after=after, until=_AFTER_ENTRIES, size=_PAGE
        ):
            for row in page:
                yield row

    async def prune(self, content: Mapping[str, Any], now: datetime, age_s: float) -> int:
        """Delete the entries that are older than `age_s`, at most MAX_PRUNED. Return their number.

        First an entry is appended that names the last deleted one: `content` with `after`. A crash in between leaves
        rows that the next call deletes.
        """
        end = now - timedelta(seconds=age_s)
        old = await self._list_older(end)
        if not old or not _is_older(old[0], end - PRUNE_SLACK):
            return 0
        last = old[-1]
        after = {"through": sequence_of(last), "hash": _hash_of(last.body), "deleted": len(old)}
        await self.append({**content, "action": RETENTION_ACTION, "after": after})
        for start in range(0, len(old), MAX_ATOMIC_GROUP):
            group = old[start : start + MAX_ATOMIC_GROUP]
            await self._store.apply(*(Delete(AUDIT_TABLE, _CHAIN_PARTITION, row.key) for row in group))
        return len(old)

    async def _list_older(self, end: datetime) -> list[Row]:
        old: list[Row] = []
        async for row in self.stream_rows():
            if len(old) == MAX_PRUNED or not _is_older(row, end):
                break
            old.append(row)
        return old

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, size = self._take_batch()
            try:
                entries = await self._append_batch([content for content, _ in batch], size)
            except BaseException as error:
                self._head = None
                cause = error if isinstance(error, Exception) else StoreError("the program stops")
                for _, stored in batch:
                    if not stored.done():
                        stored.set_exception(cause)
                if not isinstance(error, Exception):
                    raise
            else:
                for entry, (_, stored) in zip(entries, batch, strict=True):
                    if not stored.done():
                        stored.set_result(entry)

    def _take_batch(self) -> tuple[list[_Waiting], int]:
        """Return entries to write together, and their characters."""
        batch: list[_Waiting] = []
        size = 0
        for content, stored in self._waiting[:_MAX_BATCH]:
            length = len(encode_json(content))
            if batch and size + length > _MAX_BATCH_CHARACTERS:
                break
            size += length
            batch.append((content, stored))
        del self._waiting[: len(batch)]
        return batch, size

    async def _append_batch(self, contents: Sequence[Mapping[str, Any]], size: int) -> Sequence[AuditEntry]:
        for number in range(MAX_APPEND_TRIES):
            head = self._head if self._head is not None else await self.read_head()
            entries = await compute(_seal_all, contents, head, in_thread=size > _SEALED_INLINE)
            last = entries[-1]
            new_head = encode_json({"seq": last.sequence, "hash": last.hash})
            try:
                await self._store.apply(
                    *(
                        Insert(AUDIT_TABLE, _CHAIN_PARTITION, _entry_key(entry.sequence), entry.line)
                        for entry in entries
                    ),
                    Upsert(AUDIT_TABLE, _CHAIN_PARTITION, _HEAD_KEY, new_head),
                )
            except RowExists:
                self._head = await self._head_after_conflict(head)
                await asyncio.sleep(random.uniform(0, min(_MAX_PAUSE, 0.002 * 2 ** min(number, 10))))
            else:
                self._head = ChainHead(last.sequence, last.hash)
                return entries
        raise StoreError(f"could not extend the audit trail: other processes were first in {MAX_APPEND_TRIES} tries")

    async def _head_after_conflict(self, before: ChainHead) -> ChainHead:
        """Return the current head. A head row that is behind its entries was damaged or restored."""
        head = await self.read_head()
        return head if head.sequence > before.sequence else await self._find_last(before.sequence)

    async def _find_last(self, after: int) -> ChainHead:
        last: Row | None = None
        async for row in self.stream_rows(after):
            last = row
        return ChainHead() if last is None else ChainHead(sequence_of(last), _hash_of(last.body))


def _seal_all(contents: Sequence[Mapping[str, Any]], head: ChainHead) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    for content in contents:
        entries.append(entry := seal_entry(content, head))
        head = ChainHead(entry.sequence, entry.hash)
    return entries


def _entry_key(sequence: int) -> str:
    return f"{sequence:012d}"


def sequence_of(row: Row) -> int:
    """Return the number in the key of a row; 0 if it is not a number."""
    return int(row.key) if row.key.isascii() and row.key.isdigit() else 0


def _parse_head(row: Row | None) -> ChainHead | None:
    """None: the row does not exist, or is damaged."""
    if row is None:
        return None
    try:
        body = decode_json(row.body)
        sequence, digest = body["seq"], body["hash"]
    except (ValueError, KeyError, TypeError):
        return None
    return ChainHead(sequence, digest) if type(sequence) is int and isinstance(digest, str) else None


def _hash_of(line: str) -> str:
    """Return the hash of an entry. A damaged entry gets another one: the chain continues, and shows the damage."""
    try:
        return parse_entry(line).hash
    except EntryDamaged:
        return digest_of(line)


def _is_older(row: Row, end: datetime) -> bool:
    try:
        return datetime.fromisoformat(parse_entry(row.body).fields["at"]) < end
    except (EntryDamaged, KeyError, TypeError, ValueError):
        return False


_JOB_SET_PARTITION, _JOB_SET_KEY = "jobs", "digest"


class RecordedJobSet:
    """Both methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._rows: Table[dict[str, str]] = Table(store, AUDIT_TABLE, _JOB_SET_PARTITION, encode_json, decode_body)

    async def read(self) -> str:
        """Return the digest of the set; empty if none was recorded."""
        return (await self._rows.find(_JOB_SET_KEY) or {"digest": ""})["digest"]

    async def write(self, digest: str) -> None:
        await self._rows.store(_JOB_SET_KEY, {"digest": digest})
