"""Opens what puts changed job files in force. Called by both hosts; a command ends before files change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from config.job_files.sources import open_job_file_source
from config.loading import Configuration
from scheduler.app.program import Program
from scheduler.audit.stored_trail import JobSetRecorder
from scheduler.catalog.reloading import JOB_FILES_PART, JobReloader
from scheduler.stores.audit import RecordedJobSet


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
