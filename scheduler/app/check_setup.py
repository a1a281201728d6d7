"""Builds the checks, with the secrets that they use and the guard of their targets. Used by building and the hosts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime

from config.bindings import build_bindings
from config.guard_settings import build_ca_files, build_guard
from config.job_files.job_set import JobSet
from config.secrets import SecretChain, build_secrets
from config.warnings.bindings import warnings_of_denied_credentials
from config.warnings.files_and_secrets import warnings_of_unusable_files
from config.warnings.rotas import warnings_of_unusable_rotas
from jobs.checks import Checks
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.files.daemon_thread import run_in_daemon_thread
from jobs.definition import JobDefinition
from jobs.judging.service import JudgingService
from jobs.problems import Problem
from jobs.targets import Target
from scheduler.app.foundation import Foundation
from scheduler.catalog.denied_targets import warn_about_denied_targets
from scheduler.catalog.warning_log import WarningLog
from scheduler.queries.heartbeat_reader import HeartbeatReader
from scheduler.version import VERSION

JOB_WARNINGS_TIMEOUT = 2.0
"""Seconds for the files that jobs name: a share that hangs must not keep the program from starting."""


class CheckSetup:
    """The checks of all kinds, and what is done with a set of jobs before it is in force."""

    def __init__(self, foundation: Foundation, beats: HeartbeatReader) -> None:
        settings, stack = foundation.settings, foundation.stack
        self._foundation = foundation
        self._ca_files = build_ca_files(settings)
        self._warning_log = WarningLog()
        self.guard = build_guard(
            settings, os.environ, foundation.profile.own_endpoints(foundation.configuration.settings)
        )
        self.bindings = build_bindings(settings)
        self.secrets: SecretChain = build_secrets(settings, foundation.identity, foundation.redactor, foundation.clock)
        stack.push_async_callback(self.secrets.aclose)
        self.judges = JudgingService()
        stack.push_async_callback(self.judges.aclose)
        self.checks = Checks(
            CheckDependencies(
                self.secrets,
                foundation.identity,
                foundation.redactor,
                guard=self.guard,
                user_agent=f"scheduler/{VERSION}",
                pings=beats,
                clock=foundation.clock,
                traces=settings.targets.traceparent,
                publishes_spans=settings.telemetry.spans != "none",
                bindings=self.bindings,
                ca_files=self._ca_files,
                judges=self.judges,
            )
        )
        stack.push_async_callback(self.checks.aclose)

    async def prepare_jobs(self) -> None:
        """Prepare the checks of all jobs, so that the first run of each measures its target alone, and log warnings."""
        await self.log_warnings(self._foundation.configuration.jobs)
        jobs = [entry.job for entry in self._foundation.catalog]
        self.checks.prepare(job.check for job in jobs)
        self.warn_about_denied_targets(jobs)

    def prepare_for_run(self) -> Callable[[Target], None]:
        """Return what a run does before its first attempt: nothing in a host, which has prepared all jobs."""
        if self._foundation.profile.prepares_each_run:
            return lambda target: self.checks.prepare((target,))
        return lambda target: None

    def warn_about_denied_targets(self, jobs: Iterable[JobDefinition]) -> None:
        warn_about_denied_targets(jobs, self.guard)

    async def log_warnings(self, jobs: JobSet) -> None:
        """Log the warnings of these jobs that the set before did not have."""

        def found() -> list[Problem]:
            return [
                *jobs.warnings,
                *warnings_of_unusable_files(jobs, self._ca_files),
                *warnings_of_unusable_rotas(jobs, datetime.now(UTC)),
                *warnings_of_denied_credentials(jobs, self.bindings),
            ]

        with suppress(TimeoutError):
            async with asyncio.timeout(JOB_WARNINGS_TIMEOUT):
                self._warning_log.log_new(await run_in_daemon_thread(found))


def build_heartbeat_reader(foundation: Foundation) -> HeartbeatReader:
    stored = foundation.repositories
    return HeartbeatReader(
        foundation.catalog, stored.heartbeats, foundation.pauses, stored.schedule_activations, foundation.clock
    )
