"""Opens what reads and changes stored jobs. Called by scheduler.app.foundation."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from config.check_rules import build_bindings
from config.loading import Configuration
from config.stored_jobs import StoredJobDefiner
from jobs.ports import Clock
from scheduler.audit.trail import AuditTrail
from scheduler.catalog.catalog import Catalog
from scheduler.catalog.composition import JobComposer
from scheduler.catalog.head_claims import ClaimWatch
from scheduler.catalog.stored_jobs import STORED_JOBS_PART, StoredJobWatcher
from scheduler.health.report import Health
from scheduler.operations.stored_jobs.committing import StoredJobCommitter
from scheduler.operations.stored_jobs.limits import StoredJobLimits
from scheduler.operations.stored_jobs.past_names import PastNames
from scheduler.queries.stored_jobs import StoredJobQueries
from scheduler.stores.pauses import Pauses
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import Runs
from scheduler.stores.stored_jobs.repository import StoredJobs
from scheduler.stores.stored_jobs.sweeping import StoredJobSweeper

REFRESH_TIMEOUT = 1.0
"""Seconds that a request of the API waits for the head of the stored jobs."""


@dataclass(frozen=True, slots=True)
class StoredJobParts:
    """`composer`: puts jobs of files and stored jobs in force."""

    composer: JobComposer
    watcher: StoredJobWatcher
    repository: StoredJobs
    sweeper: StoredJobSweeper
    committer: StoredJobCommitter
    queries: StoredJobQueries

    async def refresh(self) -> None:
        """Put changes by other processes in force, so that a client reads what it wrote to another process."""
        await self.watcher.refresh_within(0.0, REFRESH_TIMEOUT)


async def open_stored_jobs(
    configuration: Configuration,
    catalog: Catalog,
    repositories: Repositories,
    runs: Runs,
    pauses: Pauses,
    clock: Clock,
    audit: AuditTrail,
    health: Health,
    stack: AsyncExitStack,
) -> StoredJobParts:
    """Read the stored jobs and put them in force. The program starts without them if they cannot be read."""
    stored = repositories.stored_jobs
    limits = configuration.settings.stored_jobs
    definer = StoredJobDefiner(configuration.settings.default_schedule)
    composer = JobComposer(catalog, configuration.jobs, clock, definer)
    claims = ClaimWatch(clock)
    past = PastNames(stored, repositories.changes, runs, repositories.dead_letters, pauses, clock)
    watcher = StoredJobWatcher(stored, composer, clock, claims)
    await watcher.open()
    stack.push_async_callback(watcher.aclose)
    health.add_probe(STORED_JOBS_PART, watcher.health)
    return StoredJobParts(
        composer=composer,
        watcher=watcher,
        repository=stored,
        sweeper=repositories.stored_job_sweeper,
        committer=StoredJobCommitter(
            stored,
            composer,
            clock,
            audit,
            claims,
            past,
            build_bindings(configuration.settings),
            StoredJobLimits(limits.limit, limits.limit_per_tag),
        ),
        queries=StoredJobQueries(composer, stored),
    )
