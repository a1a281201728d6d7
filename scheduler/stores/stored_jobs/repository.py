"""Reads and changes the tree of stored jobs, and removes what is no longer needed.

The tree has a head, a row that names one row of entries for each bucket of jobs, and a row for each version of a job
(scheduler.stores.stored_jobs.tree). Rows are never changed, except for the head.

A change of any number of jobs is made as a whole or not at all, on every store: only the replacement of the head, which
is fenced by its etag, makes it visible.

A sweep forgets jobs that were deleted long ago, and removes rows that no head names. Such rows are left by a change
that was superseded, and by a process that ended between its rows and its head. The head is replaced before any row is
removed: a process that still holds one of these rows fails at its own replacement of the head, and writes rows with new
keys. If another process creates a job again while its name is forgotten, only one of them replaces the head first: the
versions of the job either continue the numbers before its deletion, or start at 1.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby, islice

from scheduler.stores.port import (
    MAX_ATOMIC_GROUP,
    MAX_PAGE,
    Change,
    Delete,
    Insert,
    Row,
    RowChanged,
    RowExists,
    Store,
    StoreDamaged,
    StoreError,
    StoreUnavailable,
    put_row,
)
from scheduler.stores.rows import encode_json, list_all_rows
from scheduler.stores.stored_jobs.tree import (
    BUCKET_COUNT,
    BUCKET_KEY,
    JobTree,
    JobVersion,
    JobWrite,
    StoredEntry,
    TreeHead,
    bucket_of,
    decode_buckets,
    decode_version,
    encode_bucket,
    encode_version,
    next_version,
    parse_version_key,
    version_prefix,
)

STORED_JOBS_TABLE = "stored_jobs"
HEAD_PARTITION, HEAD_KEY = "head", "head"
MAX_VERSIONS = 100
"""Latest versions of a job that are retained."""
RecordChange = Callable[[], AbstractAsyncContextManager[None]]
"""Records a change that is made in its block."""
_MAX_READS = 8
"""Reads of a tree whose rows are removed meanwhile, because its head was replaced."""


class HeadMoved(Exception):
    """Another process has changed the tree since it was read. Nothing was changed."""

    def __init__(self) -> None:
        super().__init__("another process has changed the stored jobs meanwhile")


class StoredJobs:
    """The tree of one store. All methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.change_lock = asyncio.Lock()
        """Held by a change of this process from its read to its commit, so that only processes compete for the head."""

    async def read(self, last_read: JobTree | None = None) -> JobTree:
        """Return the current tree: `last_read` itself if nothing changed, which costs one read of a row."""
        for _ in range(_MAX_READS):
            row = await self._store.get_row(STORED_JOBS_TABLE, HEAD_PARTITION, HEAD_KEY)
            if row is None:
                return last_read if last_read is not None and not last_read.head.etag else JobTree()
            if last_read is not None and last_read.head.etag == row.etag:
                return last_read
            try:
                head = TreeHead.decode(row)
                buckets = await self._read_buckets(head, last_read or JobTree())
            except (KeyError, TypeError, ValueError) as error:
                raise StoreDamaged(f"a row of the stored jobs cannot be read: {error!r}") from error
            if buckets is not None:
                return JobTree(head, buckets)
        raise StoreDamaged("the stored jobs cannot be read: rows that the head names do not exist")

    async def commit(
        self, tree: JobTree, writes: Sequence[JobWrite], at: datetime, by: str, record: RecordChange | None = None
    ) -> JobTree:
        """Make all changes, of different jobs, or none. Return the new tree.

        `record`: entered around the replacement of the head, with the head claimed. Other processes wait for a claim,
        so that the change of each process is recorded once, and with the versions that it replaces.

        Raises:
            HeadMoved: `tree` is not current; read it again, and decide again. Nothing was recorded.
            StoreUnavailable: another process did not wait for the claim any longer. Nothing was changed.
        """
        new = await self._insert_rows(tree, writes, at, by)
        if record is None:
            return JobTree(await self.replace_head(tree.head, new.head), new.buckets)
        claimed = await self.replace_head(tree.head, replace(tree.head, claim=secrets.token_hex(8)))
        try:
            async with record():
                return JobTree(await self._replace_claimed(claimed, new.head), new.buckets)
        except StoreError:
            await self._release(claimed)
            raise

    async def _replace_claimed(self, claimed: TreeHead, head: TreeHead) -> TreeHead:
        try:
            return await self.replace_head(claimed, head)
        except HeadMoved:
            raise StoreUnavailable(
                "another process changed the stored jobs, because this change took too long: try again"
            ) from None

    async def _release(self, claimed: TreeHead) -> None:
        """Give up the claim, so that other processes need not wait until it is abandoned."""
        with suppress(StoreError, HeadMoved):
            await self.replace_head(claimed, replace(claimed, claim=""))

    async def _insert_rows(self, tree: JobTree, writes: Sequence[JobWrite], at: datetime, by: str) -> JobTree:
        """Insert the rows of the changes, which no head names. Return the tree with its head, which is not stored."""
        new, changes = await asyncio.to_thread(_build_rows, tree, writes, _new_stamp(at), at, by)
        await self._insert_all(changes)
        return new

    async def forget(self, tree: JobTree, names: Collection[str], at: datetime) -> JobTree:
        """Remove the entries of deleted jobs, whose names are then new. Raises HeadMoved: nothing was removed."""
        stamp = _new_stamp(at)
        buckets, keys = dict(tree.buckets), dict(tree.head.buckets)
        for bucket in sorted(set(map(bucket_of, names))):
            buckets[bucket] = {name: entry for name, entry in tree.buckets[bucket].items() if name not in names}
            keys[bucket] = f"{BUCKET_KEY}{stamp}"
        changed = [bucket for bucket, key in keys.items() if key != tree.head.buckets[bucket]]
        await self._insert_all([[_insert(bucket, keys[bucket], encode_bucket(buckets[bucket]))] for bucket in changed])
        head = TreeHead(tree.head.generation + 1, keys, tree.head.swept)
        return JobTree(await self.replace_head(tree.head, head), buckets)

    async def replace_head(self, current: TreeHead, head: TreeHead) -> TreeHead:
        """Put a head in force. Raises HeadMoved."""
        change = put_row(STORED_JOBS_TABLE, HEAD_PARTITION, HEAD_KEY, head.encode(), current.etag)
        try:
            (etag,) = await self._store.apply(change)
        except (RowChanged, RowExists):
            raise HeadMoved() from None
        return replace(head, etag=etag)

    async def list_versions(self, entry: StoredEntry) -> Sequence[JobVersion]:
        """Return the retained versions of a job, the latest first."""
        prefix = version_prefix(entry.name)
        after, until = f"{prefix}{max(0, entry.number - MAX_VERSIONS):08d}~~", f"{prefix}~"
        rows = await self._store.list_rows(
            STORED_JOBS_TABLE, bucket_of(entry.name), after=after, until=until, limit=MAX_PAGE
        )
        versions_by_key = {row.key: decode_version(row) for row in rows}
        versions: list[JobVersion] = []
        key = entry.row_key
        while key in versions_by_key and len(versions) < MAX_VERSIONS:
            versions.append(versions_by_key[key])
            key = versions_by_key[key].before
        return versions

    async def _insert_all(self, groups: Sequence[Sequence[Change]]) -> None:
        """Insert the rows of each bucket; their keys are new."""
        steps = [
            rows[start : start + MAX_ATOMIC_GROUP] for rows in groups for start in range(0, len(rows), MAX_ATOMIC_GROUP)
        ]
        for answer in await self._store.apply_each(steps):
            if isinstance(answer, StoreError):
                raise answer

    async def _read_buckets(self, head: TreeHead, last_read: JobTree) -> dict[str, Mapping[str, StoredEntry]] | None:
        """Return the entries of each bucket; None if a row was removed, because the head has changed meanwhile."""
        buckets: dict[str, Mapping[str, StoredEntry]] = {
            bucket: last_read.buckets[bucket]
            for bucket, key in head.buckets.items()
            if last_read.head.buckets.get(bucket) == key
        }
        changed = [(bucket, key) for bucket, key in head.buckets.items() if bucket not in buckets]
        rows = await self._get_rows(changed)
        if rows is None:
            return None
        decoded = await asyncio.to_thread(decode_buckets, rows)
        for (bucket, _), entries in zip(changed, decoded, strict=True):
            if not await self._read_texts(bucket, entries, last_read):
                return None
            buckets[bucket] = entries
        return buckets

    async def _read_texts(self, bucket: str, entries: dict[str, StoredEntry], last_read: JobTree) -> bool:
        """Add the definitions that are not part of the bucket's row. Return False if a row was removed."""
        unread: list[StoredEntry] = []
        for name, entry in entries.items():
            if entry.text or entry.is_deleted:
                continue
            before = last_read.find(name)
            if before is not None and before.row_key == entry.row_key:
                entries[name] = before
            else:
                unread.append(entry)
        rows = await self._get_rows([(bucket, entry.row_key) for entry in unread])
        if rows is None:
            return False
        for entry, row in zip(unread, rows, strict=True):
            entries[entry.name] = replace(entry, text=encode_json(decode_version(row).definition))
        return True

    async def _get_rows(self, places: Sequence[tuple[str, str]]) -> list[Row] | None:
        reads = (self._store.get_row(STORED_JOBS_TABLE, partition, key) for partition, key in places)
        rows = await asyncio.gather(*reads)
        found = [row for row in rows if row is not None]
        return found if len(found) == len(rows) else None


def format_stamp(at: datetime) -> str:
    """Return the time as the keys of rows contain it, in milliseconds."""
    return f"{int(at.timestamp() * 1000):013d}"


def _new_stamp(at: datetime) -> str:
    """Return the end of the keys of one change, with a part that makes it unique."""
    return f"{format_stamp(at)}-{secrets.token_hex(4)}"


def _build_rows(
    tree: JobTree, writes: Sequence[JobWrite], stamp: str, at: datetime, by: str
) -> tuple[JobTree, Sequence[Sequence[Change]]]:
    """Return the tree after the changes, and the new rows of each bucket."""
    changes: dict[str, list[Change]] = {}
    buckets = {bucket: dict(entries) for bucket, entries in tree.buckets.items()}
    keys = dict(tree.head.buckets)
    for write in writes:
        bucket = bucket_of(write.name)
        version = next_version(tree.find(write.name), write, stamp, at, by)
        changes.setdefault(bucket, []).append(_insert(bucket, version.row_key, encode_version(version)))
        buckets.setdefault(bucket, {})[write.name] = write.to_entry(tree, version.row_key)
    for bucket, rows in changes.items():
        keys[bucket] = f"{BUCKET_KEY}{stamp}"
        rows.append(_insert(bucket, keys[bucket], encode_bucket(buckets[bucket])))
    return JobTree(TreeHead(tree.head.generation + 1, keys, tree.head.swept), buckets), list(changes.values())


def _insert(bucket: str, key: str, body: str) -> Insert:
    return Insert(STORED_JOBS_TABLE, bucket, key, body)


SWEEP_INTERVAL = timedelta(minutes=10)
UNUSED_BUCKET_AGE = timedelta(minutes=10)
"""Age after which the row of a superseded bucket is removed: each change writes one, and it is large."""
UNUSED_VERSION_AGE = timedelta(hours=1)
DELETED_AGE = 400 * 86400.0
"""Seconds for which a deleted job can be restored, unless a setting replaces it."""
MAX_FORGOTTEN_BUCKETS = 8
"""Buckets that one sweep writes again without their forgotten jobs."""
MAX_REMOVED = 5000
"""Rows that one sweep removes; the next one continues."""


class StoredJobSweeper:
    """Removes stored jobs that were deleted long ago, and rows that no tree uses."""

    def __init__(self, store: Store, jobs: StoredJobs) -> None:
        self._store = store
        self._jobs = jobs
        self._next_at: datetime | None = None
        self._clean_generation = -1
        """The generation after whose sweep no unused row was left."""
        self._last_claim = ""
        """The claim of a change that was in progress at the last sweep."""

    async def sweep(self, now: datetime, deleted_age_s: float = DELETED_AGE) -> int:
        """Forget jobs that were deleted more than `deleted_age_s` ago, and remove unused rows, at most once per
        SWEEP_INTERVAL. Return the number of rows.

        Raises StoreError: the next call continues.
        """
        if self._next_at is not None and now < self._next_at:
            return 0
        tree = await self._jobs.read()
        self._next_at = now + SWEEP_INTERVAL
        if not tree.head.etag or self._is_claimed(tree):
            return 0
        try:
            if expired := _find_expired(tree, now - timedelta(seconds=deleted_age_s)):
                tree = await self._jobs.forget(tree, expired, now)
            return await self._remove_unused(tree, now)
        except HeadMoved:
            return 0

    async def _remove_unused(self, tree: JobTree, now: datetime) -> int:
        """Remove the rows that the tree does not use and that are old enough. Raises HeadMoved."""
        if tree.head.generation == self._clean_generation:
            return 0
        unused = [
            (partition, key)
            for partition in map("{:02d}".format, range(BUCKET_COUNT))
            for key in await self._find_unused(tree, partition)
        ]
        old = [place for place in unused if _is_old(place[1], now)][:MAX_REMOVED]
        if old:
            # Replaced first, without another change: a process that still uses one of the rows must fail.
            await self._jobs.replace_head(tree.head, replace(tree.head, swept=tree.head.swept + 1, claim=""))
            await self._delete(old)
        if len(old) == len(unused):
            self._clean_generation = tree.head.generation
        return len(old)

    def _is_claimed(self, tree: JobTree) -> bool:
        """Return whether a change is in progress. One that has lasted since the last sweep was abandoned."""
        before, self._last_claim = self._last_claim, tree.head.claim
        return bool(tree.head.claim) and tree.head.claim != before

    async def _find_unused(self, tree: JobTree, partition: str) -> list[str]:
        """Return the keys of a bucket's rows that are not part of the tree, whatever their age."""
        keys = await self._list_keys(partition)
        versions = [key for key in keys if not key.startswith(BUCKET_KEY)]
        unused = [key for key in keys if key.startswith(BUCKET_KEY) and key != tree.head.buckets.get(partition)]
        unused += [key for key in versions if not _may_be_used(tree, key)]
        return unused + await self._find_duplicates(tree, set(versions).difference(unused))

    async def _find_duplicates(self, tree: JobTree, versions: Iterable[str]) -> list[str]:
        """Return the rows that share their number with a version in use: a process ended before it named them."""
        counts = Counter(map(parse_version_key, versions))
        used: dict[str, set[str]] = {}
        for name in {name for (name, _), count in counts.items() if count > 1}:
            entry = tree.find(name)
            if entry is not None:
                used[name] = {version.row_key for version in await self._jobs.list_versions(entry)}
        return [key for key in versions if (name := parse_version_key(key)[0]) in used and key not in used[name]]

    async def _list_keys(self, partition: str) -> list[str]:
        return [row.key for row in await list_all_rows(self._store, STORED_JOBS_TABLE, partition, bodies=False)]

    async def _delete(self, places: Sequence[tuple[str, str]]) -> None:
        for partition, together in groupby(places, key=lambda place: place[0]):
            keys = [key for _, key in together]
            for start in range(0, len(keys), MAX_ATOMIC_GROUP):
                some = keys[start : start + MAX_ATOMIC_GROUP]
                await self._store.apply(*(Delete(STORED_JOBS_TABLE, partition, key) for key in some))


def _find_expired(tree: JobTree, end: datetime) -> set[str]:
    """Return jobs that were deleted before `end`, of at most MAX_FORGOTTEN_BUCKETS buckets."""
    last = format_stamp(end)
    expired = (
        {entry.name for entry in entries.values() if entry.is_deleted and entry.stamp < last}
        for entries in tree.buckets.values()
    )
    return set().union(*islice(filter(None, expired), MAX_FORGOTTEN_BUCKETS))


def _is_old(key: str, now: datetime) -> bool:
    """Return whether no change that is in progress can need the row. Its key ends with the time of its change."""
    age = UNUSED_BUCKET_AGE if key.startswith(BUCKET_KEY) else UNUSED_VERSION_AGE
    return key.rpartition("~")[2] < format_stamp(now - age)


def _may_be_used(tree: JobTree, key: str) -> bool:
    """Return whether a version is the current one of its job, or one of those that are retained before it."""
    name, number = parse_version_key(key)
    entry = tree.find(name)
    if entry is None:
        return False
    if number >= entry.number:
        return key == entry.row_key
    return number > entry.number - MAX_VERSIONS
