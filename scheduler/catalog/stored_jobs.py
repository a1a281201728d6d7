"""Puts changes of the stored jobs by other processes in force. Created by scheduler.app.program.

The embedded host reads the head twice a second; the Functions host at each tick and before a batch; a command once.

A change claims the head, is recorded, and replaces the head. If its process ends in between, the claim stays. The
replacement is fenced by the head's etag, so an abandoned claim harms nothing; but while its process lives, another one
that does not wait makes it fail. `ClaimWatch` finds abandoned claims.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from jobs.formats import format_count
from jobs.ports import Clock
from scheduler.catalog.composition import JobComposer
from scheduler.catalog.reloading import BackgroundReads
from scheduler.health import HealthStatus, PartHealth
from scheduler.stores.port import StoreError
from scheduler.stores.stored_jobs.repository import StoredJobs

CLAIM_TIMEOUT = 3.0
"""Seconds after which a claim is abandoned, counted from the first read of this process that observed it."""


class ClaimWatch:
    """Each read of the head is observed, so a change rarely has to wait for an abandoned claim."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._claim, self._since = "", 0.0

    def observe(self, claim: str) -> None:
        """`claim`: as the head had it when it was read; each change has another one."""
        if claim != self._claim:
            self._claim, self._since = claim, self._clock.monotonic()

    def is_held(self, claim: str) -> bool:
        """Observe the claim. Return whether its process may still replace the head."""
        self.observe(claim)
        return bool(claim) and self._clock.monotonic() - self._since < CLAIM_TIMEOUT


_log = logging.getLogger("scheduler.catalog.stored_jobs")

STORED_JOBS_PART = "stored_jobs"
POLL_INTERVAL = 0.5
"""Seconds between two reads of the head in the embedded host."""
_MAX_NAMED = 5
"""Maximum number of jobs in health."""


class StoredJobWatcher:
    """Puts changes of the stored jobs by other processes in force."""

    def __init__(self, jobs: StoredJobs, composer: JobComposer, clock: Clock, claims: ClaimWatch) -> None:
        self._jobs = jobs
        self._claims = claims
        self._composer = composer
        self._clock = clock
        self._last_read_at: float | None = None
        self._error: StoreError | None = None
        self._background_reads = BackgroundReads()
        self._pending_since = 0.0

    async def open(self) -> None:
        """Read the stored jobs for the first time. If they cannot be read, the program starts without them."""
        await self._refresh_or_log(0.0)

    async def refresh(self, *, max_age: float = 0.0) -> None:
        """Put a change in force. `max_age`: skip the read if the last one was less than so many seconds ago.

        Raises StoreError: the stored jobs in force do not change.
        """
        now = self._clock.monotonic()
        if self._last_read_at is not None and now - self._last_read_at < max_age:
            return
        self._last_read_at = now
        tree = await self._jobs.read(self._composer.sources.tree)
        self._claims.observe(tree.head.claim)
        change = await self._composer.replace_tree(tree)
        self._error = None
        if change:
            _log.info("stored jobs: %s; jobs in force: %d", change, self._composer.count)

    async def refresh_within(self, max_age: float, time_limit: float) -> None:
        """Start `refresh` and wait at most `time_limit` seconds for it; it then continues in the background.

        While a read takes longer than that, later calls do not wait.
        """
        if self._background_reads.is_pending and self._clock.monotonic() - self._pending_since >= time_limit:
            return
        if not self._background_reads.is_pending:
            self._pending_since = self._clock.monotonic()
        await self._background_reads.start(self._refresh_or_log(max_age), time_limit)

    async def run(self, interval: float = POLL_INTERVAL) -> None:
        """Put changes in force until cancelled. `interval`: seconds between two reads."""
        while True:
            await self._clock.sleep(interval)
            await self._refresh_or_log(0.0)

    async def aclose(self) -> None:
        """Cancel the reads in progress."""
        await self._background_reads.aclose()

    async def health(self) -> Sequence[PartHealth]:
        """Report degraded while a stored job is not in force."""
        if self._error is not None:
            message = f"could not be read, those read before stay in force: {self._error}"
            return (PartHealth(STORED_JOBS_PART, HealthStatus.DEGRADED, message),)
        rejected = [one for one in self._composer.sources.stored.values() if not one.is_in_force]
        if not rejected:
            return (PartHealth(STORED_JOBS_PART, HealthStatus.OK),)
        listed = "; ".join(f"{one.entry.name} ({one.problems[0]})" for one in rejected[:_MAX_NAMED])
        more = f" and {len(rejected) - _MAX_NAMED} more" if len(rejected) > _MAX_NAMED else ""
        jobs = format_count(len(rejected), "job is", "jobs are")
        return (PartHealth(STORED_JOBS_PART, HealthStatus.DEGRADED, f"{jobs} not in force: {listed}{more}"),)

    async def _refresh_or_log(self, max_age: float) -> None:
        try:
            await self.refresh(max_age=max_age)
        except StoreError as error:
            if str(error) != str(self._error):
                _log.warning("could not read the stored jobs: %s; those read before stay in force", error)
            self._error = error
