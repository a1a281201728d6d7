"""Forgets jobs that were deleted long ago, and removes the rows of stored jobs that no head names. Called by the
maintenance of both hosts.

Such rows are left by a change that was superseded, and by a process that ended between its rows and its head. The head
is replaced before any row is removed: a process that still holds one of these rows fails at its own replacement of the
head, and writes rows with new keys. A name that is forgotten while another process creates its job again has either
the numbers after the deleted version, or is new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby, islice

from scheduler.stores.port import LARGEST_ATOMIC_GROUP, Delete, Store
from scheduler.stores.rows import list_all_rows
from scheduler.stores.stored_jobs.repository import MAX_VERSIONS, STORED_JOBS_TABLE, HeadMoved, StoredJobs, format_stamp
from scheduler.stores.stored_jobs.tree import BUCKET_COUNT, BUCKET_KEY, JobTree, parse_version_key

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
        """Raises HeadMoved."""
        if tree.head.generation == self._clean_generation:
            return 0
        unused = [
            (partition, key)
            for partition in map("{:02d}".format, range(BUCKET_COUNT))
            for key in await self._find_unused(tree, partition)
        ]
        old = [place for place in unused if _is_old(place[1], now)][:MAX_REMOVED]
        if old:
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
            for start in range(0, len(keys), LARGEST_ATOMIC_GROUP):
                some = keys[start : start + LARGEST_ATOMIC_GROUP]
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
    age = UNUSED_BUCKET_AGE if key.startswith(BUCKET_KEY) else UNUSED_VERSION_AGE
    return key.rpartition("~")[2] < format_stamp(now - age)


def _may_be_used(tree: JobTree, key: str) -> bool:
    name, number = parse_version_key(key)
    entry = tree.find(name)
    if entry is None:
        return False
    if number >= entry.number:
        return key == entry.row_key
    return number > entry.number - MAX_VERSIONS
