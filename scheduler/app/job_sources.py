"""Opens what puts job files that change and stored jobs in force.

Both hosts open the place of the job files; a command ends before files change.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.check_rules import build_bindings
from config.job_files.sources import open_job_file_source
from config.loading import Configuration
from config.stored_jobs import StoredJobDefiner
from scheduler.audit.stored_trail import JobSetRecorder
from scheduler.catalog.composition import JobComposer
from scheduler.catalog.reloading import JOB_FILES_PART, JobReloader
from scheduler.catalog.stored_jobs import STORED_JOBS_PART, ClaimWatch, StoredJobWatcher
from scheduler.features.stored_jobs.allowed_changes import PastNames, StoredJobLimits
from scheduler.features.stored_jobs.committing import StoredJobCommitter
from scheduler.features.stored_jobs.queries import StoredJobQueries
from scheduler.stores.audit import RecordedJobSet
from scheduler.stores.stored_jobs.repository import StoredJobs, StoredJobSweeper

if TYPE_CHECKING:
    from scheduler.app.program import Program

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


async def open_stored_jobs(program: Program) -> StoredJobParts:
    """Read the stored jobs and put them in force. The program starts without them if they cannot be read."""
    settings, clock, stored = program.settings, program.clock, program.repositories.stored_jobs
    definer, claims = StoredJobDefiner(settings.default_schedule), ClaimWatch(clock)
    composer = JobComposer(program.catalog, program.configuration.jobs, clock, definer)
    watcher = StoredJobWatcher(stored, composer, clock, claims)
    await watcher.open()
    program.stack.push_async_callback(watcher.aclose)
    program.health.add_probe(STORED_JOBS_PART, watcher.health)
    limits = StoredJobLimits(settings.stored_jobs.limit, settings.stored_jobs.limit_per_tag)
    past = PastNames(
        stored,
        program.repositories.changes,
        program.runs,
        program.repositories.dead_letters,
        program.pauses,
        clock,
    )
    return StoredJobParts(
        composer=composer,
        watcher=watcher,
        repository=stored,
        sweeper=program.repositories.stored_job_sweeper,
        committer=StoredJobCommitter(
            stored, composer, clock, program.audit, claims, past, build_bindings(settings), limits
        ),
        queries=StoredJobQueries(composer, stored),
    )


@asynccontextmanager
async def open_reloader(configuration: Configuration, program: Program) -> AsyncIterator[JobReloader]:
    """Open the place of the job files while the block runs."""
    setup = program.check_setup
    async with AsyncExitStack() as stack:
        source = open_job_file_source(configuration.job_loader, program.identity)
        if source is not None:
            stack.push_async_callback(source.aclose)
        composer = program.stored_job_parts.composer
        composer.check_jobs, composer.prepare = setup.warn_about_denied_targets, setup.checks.prepare
        recorder = JobSetRecorder(program.audit, RecordedJobSet(program.store))
        reloading = JobReloader(source, composer, program.clock, recorder, setup.log_warnings)
        stack.push_async_callback(reloading.aclose)
        reloading.record_start()
        program.health.add_probe(JOB_FILES_PART, reloading.health)
        yield reloading
