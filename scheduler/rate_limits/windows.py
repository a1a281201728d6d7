"""Counts of fixed windows, as storages of the `limits` package: over all processes of a store, or in this process.

With store `azure`, one row a key holds the end of the window and the count of it. A process leases several requests at
once from the row and then counts in memory, so that a request costs a fraction of a storage operation. The leases
shrink as the window fills, so that few requests are left unused in another process.

A client that obeys a limit never exceeds it: a process renews its lease when it uses the last request of it. While it
reports that some remain, it can allow the next one; the process that leases the last ones reports that none remain.
While the store is unavailable, a process counts on its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from limits.aio.storage import Storage

from scheduler.stores.port import (
    MAX_ATOMIC_GROUP,
    Delete,
    RowChanged,
    RowExists,
    Store,
    StoreError,
    put_row,
)
from scheduler.stores.rows import decode_json, encode_json

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


RATE_LIMITS_TABLE: Final = "rate_limits"
LEASE_SHARE: Final = 10
"""A lease is at most this part of the limit."""
REMAINING_SHARE: Final = 3
"""A lease is at most this part of what remains in the window."""
MAX_ATTEMPTS: Final = 30
"""Attempts to change a row that other processes change."""
MAX_BACK_OFF: Final = 0.05
"""Seconds between two attempts, at most; a random part of it, so that processes do not meet again."""
STORE_TIMEOUT: Final = 2.0
"""Seconds to wait for the store."""
LOCAL_PERIOD: Final = 10.0
"""Seconds for which a process counts on its own after the store was unavailable."""
RECHECK_INTERVAL: Final = 1.0
"""Seconds after which an exhausted window is read again, in case the clock of another process is ahead."""

_log = logging.getLogger("scheduler.rate_limits")


@dataclass(slots=True)
class _Lease:
    """What this process knows of a key. It may allow the requests numbered `next` to `last` of the window."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    next: int = 1
    last: int = 0
    used: int = 0
    """Requests of the window that are leased by any process."""
    ends_at: float = 0.0
    etag: str = ""
    read_at: float = float("-inf")
    is_contended: bool = False
    """Other processes change the row: reading it first costs less than a change that fails."""


class SharedWindows(Storage):
    """The windows of one limit."""

    STORAGE_SCHEME = None

    def __init__(self, store: Store, group: str, amount: int, now: Callable[[], float]) -> None:
        """`amount`: requests of a window. `now`: Unix seconds."""
        super().__init__()
        self._store = store
        self._group = group
        self._amount = amount
        self._now = now
        self._leases: dict[str, _Lease] = {}
        self._local = LocalWindows(now)
        self._is_local_until = float("-inf")

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return ()

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Return the number of the request in its window; more than the limit if it is not allowed."""
        lease = self._lease_of(key)
        async with lease.lock:
            if not self._is_local:
                try:
                    async with asyncio.timeout(STORE_TIMEOUT):
                        return await self._take(lease, key, expiry)
                except (StoreError, TimeoutError) as error:
                    self._count_locally(error)
        return await self._local.incr(key, expiry, amount)

    async def get(self, key: str) -> int:
        if self._is_local:
            return await self._local.get(key)
        lease = self._leases.get(key)
        return 0 if lease is None or lease.ends_at <= self._now() else lease.used

    async def get_expiry(self, key: str) -> float:
        if self._is_local:
            return await self._local.get_expiry(key)
        lease = self._leases.get(key)
        return self._now() if lease is None else max(lease.ends_at, self._now())

    async def check(self) -> bool:
        return not self._is_local

    async def reset(self) -> None:
        """Forget the leases. The rows stay."""
        self._leases.clear()

    async def clear(self, key: str) -> None:
        self._leases.pop(key, None)

    @property
    def _is_local(self) -> bool:
        return self._now() < self._is_local_until

    def _count_locally(self, error: Exception) -> None:
        if self._is_local:
            return
        self._is_local_until = self._now() + LOCAL_PERIOD
        cause = str(error) or f"no answer within {STORE_TIMEOUT:g} s"
        _log.warning(
            "could not count requests in the store: %s; this process counts on its own for %g s", cause, LOCAL_PERIOD
        )

    def _lease_of(self, key: str) -> _Lease:
        if key not in self._leases:
            while len(self._leases) >= MAX_WINDOWS:
                del self._leases[next(iter(self._leases))]
            self._leases[key] = _Lease()
        return self._leases[key]

    async def _take(self, lease: _Lease, key: str, expiry: int) -> int:
        now = self._now()
        if lease.ends_at <= now:
            lease.next, lease.last, lease.used = 1, 0, 0
        if lease.next > lease.last:
            is_exhausted = lease.ends_at > now and lease.used >= self._amount
            if is_exhausted and now - lease.read_at < RECHECK_INTERVAL:
                return self._amount + 1
            await self._renew(lease, key, expiry)
            if lease.next > lease.last:
                return self._amount + 1
        number = lease.next
        lease.next += 1
        if lease.next > lease.last and lease.used < self._amount:
            await self._renew(lease, key, expiry)
        return number

    async def _renew(self, lease: _Lease, key: str, expiry: int) -> None:
        """Lease further requests of the window, if any remain. Raises StoreError."""
        row_key = hashlib.sha256(key.encode()).hexdigest()[:40]
        for attempt in range(MAX_ATTEMPTS):
            if attempt or self._must_read(lease):
                await self._read(lease, row_key)
            if lease.ends_at <= self._now():
                lease.ends_at, lease.used = self._now() + expiry, 0
            remaining = self._amount - lease.used
            if remaining <= 0:
                return
            count = max(1, min(self._amount // LEASE_SHARE, remaining // REMAINING_SHARE))
            try:
                body = encode_json({"ends_at": lease.ends_at, "used": lease.used + count})
                (lease.etag,) = await self._store.apply(
                    put_row(RATE_LIMITS_TABLE, self._group, row_key, body, lease.etag)
                )
            except (RowExists, RowChanged):
                lease.is_contended = True
                await asyncio.sleep(random.random() * min(MAX_BACK_OFF, 0.005 * 2**attempt))
                continue
            lease.next, lease.last = lease.used + 1, lease.used + count
            lease.used += count
            return
        raise StoreError(f"{MAX_ATTEMPTS} attempts met changes by other processes")

    def _must_read(self, lease: _Lease) -> bool:
        return lease.is_contended or lease.used >= self._amount or lease.ends_at <= self._now()

    async def _read(self, lease: _Lease, row_key: str) -> None:
        row = await self._store.get_row(RATE_LIMITS_TABLE, self._group, row_key)
        lease.read_at = self._now()
        lease.is_contended = row is not None and row.etag != lease.etag
        if row is None:
            lease.etag, lease.used, lease.ends_at = "", 0, 0.0
        else:
            body = decode_json(row.body)
            lease.etag, lease.used, lease.ends_at = row.etag, body["used"], body["ends_at"]


async def prune_windows(store: Store, group: str, now: float) -> None:
    """Delete the rows of windows that have ended. Raises StoreError."""
    after = ""
    while rows := await store.list_rows(RATE_LIMITS_TABLE, group, after=after, limit=MAX_ATOMIC_GROUP):
        after = rows[-1].key
        ended = [row for row in rows if decode_json(row.body)["ends_at"] <= now]
        # A process that starts a new window in between finds no row and inserts one.
        await store.apply(*(Delete(RATE_LIMITS_TABLE, group, row.key) for row in ended))
