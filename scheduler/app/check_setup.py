"""Builds the checks, with the secrets that they use and the guard of their targets.

The program builds them once. The command `test` opens a runner without a store: nothing is recorded, published or
counted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.check_rules import build_bindings, build_ca_files, build_guard
from config.identity import AppIdentity
from config.job_files.job_set import JobSet
from config.outbound import build_outbound
from config.secrets import SecretChain, build_secrets
from config.settings.model import Settings
from config.warnings import (
    warnings_of_denied_credentials,
    warnings_of_missing_drivers,
    warnings_of_options_without_effect,
    warnings_of_unusable_files,
)
from jobs.checks import Checks
from jobs.checks.addresses import OwnEndpoint
from jobs.checks.binding.rules import Bindings
from jobs.checks.body_memory import BodyMemory
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.files import run_in_daemon_thread
from jobs.checks.guard import Guard
from jobs.checks.net.tls_contexts import CaFiles
from jobs.checks.outbound import Outbound
from jobs.definition import JobDefinition
from jobs.judging.service import JudgingService
from jobs.ports import Clock, HeartbeatSource
from jobs.problems import Problem
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.clocks import SystemClock
from jobs.running.runner import Runner
from jobs.runs.events import RunListener
from jobs.targets import Target
from scheduler.app.options import open_log, with_version
from scheduler.app.profile import HostProfile
from scheduler.catalog.job_warnings import WarningLog, warn_about_denied_targets
from scheduler.version import VERSION

if TYPE_CHECKING:
    from scheduler.app.program import Program

USER_AGENT = f"scheduler/{VERSION}"
JOB_WARNINGS_TIMEOUT = 2.0
"""Seconds for the files that jobs name: a share that hangs must not keep the program from starting."""


@dataclass(frozen=True, slots=True)
class CheckParts:
    """The checks, and what they share. See CheckDependencies."""

    ca_files: CaFiles
    guard: Guard
    bindings: Bindings
    secrets: SecretChain
    judges: JudgingService
    checks: Checks
    outbound: Outbound


def open_checks(
    settings: Settings,
    own_endpoints: tuple[OwnEndpoint, ...],
    identity: AppIdentity,
    redactor: Redactor,
    clock: Clock,
    stack: AsyncExitStack,
    pings: HeartbeatSource | None = None,
) -> CheckParts:
    """Build the checks of all kinds; the stack closes them. Without `pings`, those that wait for pings cannot run."""
    ca_files, guard = build_ca_files(settings), build_guard(settings, os.environ, own_endpoints)
    bindings, secrets = build_bindings(settings), build_secrets(settings, identity, redactor, clock)
    stack.push_async_callback(secrets.aclose)
    outbound = build_outbound(settings)
    judges = JudgingService()
    stack.push_async_callback(judges.aclose)
    checks = Checks(
        CheckDependencies(
            secrets,
            identity,
            redactor,
            guard=guard,
            user_agent=USER_AGENT,
            pings=pings,
            clock=clock,
            traces=settings.targets.traceparent,
            publishes_spans=settings.telemetry.spans != "none",
            bindings=bindings,
            ca_files=ca_files,
            judges=judges,
            outbound=outbound,
        )
    )
    stack.push_async_callback(checks.aclose)
    return CheckParts(ca_files, guard, bindings, secrets, judges, checks, outbound)


class CheckSetup:
    """The checks of all kinds, and what is done with a set of jobs before it is in force."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._warning_log = WarningLog()
        parts = open_checks(
            program.settings,
            program.profile.own_endpoints(program.configuration.settings),
            program.identity,
            program.redactor,
            program.clock,
            program.stack,
            program.heartbeat_reader,
        )
        self.ca_files = parts.ca_files
        self.guard = parts.guard
        self.bindings = parts.bindings
        self.secrets = parts.secrets
        self.judges = parts.judges
        self.checks = parts.checks
        self.outbound = parts.outbound

    async def prepare_jobs(self) -> None:
        """Prepare the checks of all jobs, so that the first run of each measures its target alone, and log warnings."""
        await self.log_warnings(self._program.configuration.jobs)
        jobs = [entry.job for entry in self._program.catalog]
        self.checks.prepare(job.check for job in jobs)
        self.warn_about_denied_targets(jobs)

    def prepare_for_run(self) -> Callable[[Target], None]:
        """Return what a run does before its first attempt: nothing in a host, which has prepared all jobs."""
        if self._program.profile.prepares_each_run:
            return lambda target: self.checks.prepare((target,))
        return lambda target: None

    def warn_about_denied_targets(self, jobs: Iterable[JobDefinition]) -> None:
        warn_about_denied_targets(jobs, self.guard)

    async def log_warnings(self, jobs: JobSet) -> None:
        """Log the warnings of these jobs that the set before did not have."""

        def found() -> list[Problem]:
            return [
                *jobs.warnings,
                *warnings_of_unusable_files(jobs, self.ca_files),
                *warnings_of_denied_credentials(jobs, self.bindings),
                *warnings_of_options_without_effect(jobs, self.outbound),
                *warnings_of_missing_drivers(jobs),
            ]

        with suppress(TimeoutError):
            async with asyncio.timeout(JOB_WARNINGS_TIMEOUT):
                self._warning_log.log_new(await run_in_daemon_thread(found))


@asynccontextmanager
async def open_trial_runner(settings: Settings, profile: HostProfile, listener: RunListener) -> AsyncIterator[Runner]:
    """Open a runner with the guard, the secrets and the limits of these settings. `listener` hears of its runs."""
    async with AsyncExitStack() as stack:
        clock, redactor, settings = SystemClock(), Redactor(), with_version(settings)
        open_log(profile, settings, redactor, stack)
        identity = AppIdentity(settings, clock=clock)
        stack.push_async_callback(identity.aclose)
        parts = open_checks(settings, profile.own_endpoints(settings), identity, redactor, clock, stack)
        yield Runner(
            parts.checks,
            CircuitBreakers(_NoCircuits()),
            listener,
            clock,
            redactor,
            bodies=BodyMemory(settings.targets.body_memory),
            prepare=lambda target: parts.checks.prepare((target,)),
            judges=parts.judges,
        )


class _NoCircuits:
    """A store of circuits that forgets: each run is admitted."""

    async def load(self, key: str) -> tuple[str | None, str | None]:
        return None, None

    async def replace(self, key: str, state: str, etag: str | None) -> bool:
        return True
