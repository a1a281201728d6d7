"""Opens the program, and has the parts that need its settings or its engine. The other parts are those of Services."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from config.identity import AppIdentity
from jobs.redaction import Redactor
from jobs.running.clocks import SystemClock
from observability.telemetry import build_telemetry
from scheduler.app.adapters import open_store
from scheduler.app.options import make_options, open_log, with_version
from scheduler.catalog.catalog import Catalog
from scheduler.catalog.composition import build_snapshot
from scheduler.health import Health
from scheduler.services import Services
from scheduler.watchdog import RunActivity, StoreFailures, TrackedRuns

if TYPE_CHECKING:
    from datetime import datetime

    from config.loading import Configuration
    from config.settings.model import Settings
    from jobs.policies.execution import TelemetryPolicy
    from jobs.ports import Clock, SelfChecks
    from jobs.runs.events import RunListener
    from observability.telemetry import Telemetry
    from scheduler.alerting.alerting import Alerting
    from scheduler.alerting.rotas import RotaReader
    from scheduler.app.check_setup import CheckSetup
    from scheduler.app.definition_review import ProgramDefinitionReviewer
    from scheduler.app.early_telemetry import EarlyTelemetry
    from scheduler.app.job_sources import StoredJobParts
    from scheduler.app.profile import HostProfile
    from scheduler.audit.stored_trail import AuditUpkeep, StoredAuditTrail
    from scheduler.audit.trail import AuditTrail
    from scheduler.authentication.port import Authentication
    from scheduler.changes.announcing import ChangeAnnouncer
    from scheduler.changes.tracking import StateUpkeep
    from scheduler.dependencies import FollowUp
    from scheduler.dispatch.port import Dispatch, QueueDepthReader
    from scheduler.features.incidents.bundle import IncidentBundleReader
    from scheduler.features.jobs.definitions import DefinitionReviewer
    from scheduler.features.secrets.service import SecretMonitor
    from scheduler.features.stored_jobs.queries import StoredJobQueries
    from scheduler.metrics.page import MetricsPage
    from scheduler.operations import Operations
    from scheduler.processes.pool import ProcessPool
    from scheduler.rate_limits.limiter import RateLimits
    from scheduler.stores.port import Store
    from scheduler.stores.runs.repository import Runs
    from scheduler.watchdog import Watchdog
    from scheduler.watchdog.self_watch import SelfWatch
    from scheduler.worker.worker import Worker

TELEMETRY_CLOSE_TIMEOUT = 1.0
"""Seconds for the last telemetry to leave at the end."""


@asynccontextmanager
async def open_program(
    configuration: Configuration,
    profile: HostProfile,
    *,
    clock: Clock | None = None,
    listener: RunListener | None = None,
    telemetry: EarlyTelemetry | None = None,
) -> AsyncIterator[Program]:
    """Open every part in order; leaving closes them in reverse. `listener` hears of runs, in addition to telemetry.

    `telemetry`: what the host has started before; it stays open. Without it the program opens and closes its own.

    Raises:
        StoreError, DispatchError: state or queue cannot be opened; the message names what to check.
    """
    async with AsyncExitStack() as stack:
        settings, clock = with_version(configuration.settings), clock or SystemClock()
        redactor = Redactor() if telemetry is None else telemetry.redactor
        open_log(profile, settings, redactor, stack)
        started = _open_telemetry(settings, redactor, stack) if telemetry is None else telemetry.telemetry
        identity = AppIdentity(settings, clock=clock)
        stack.push_async_callback(identity.aclose)
        store = await open_store(settings, identity, owns_file=profile.owns_store_file)
        stack.push_async_callback(store.aclose)
        program = Program(configuration, profile, settings, clock, stack, redactor, started, identity, store)
        await program.open(listener)
        yield program


class Program(Services):
    """Everything that every process opens. Each host has its own parts in addition.

    `settings`: with the program's version, unless the configuration has another one. `stack` closes in reverse whatever
    is pushed on it.
    """

    stored_job_parts: StoredJobParts
    dispatch: Dispatch
    queue_depths: QueueDepthReader
    listener: RunListener

    def __init__(
        self,
        configuration: Configuration,
        profile: HostProfile,
        settings: Settings,
        clock: Clock,
        stack: AsyncExitStack,
        redactor: Redactor,
        telemetry: Telemetry,
        identity: AppIdentity,
        store: Store,
    ) -> None:
        options = make_options(settings)
        super().__init__(options, Catalog(build_snapshot(configuration.jobs, clock.now())), store, clock)
        self.configuration = configuration
        self.profile = profile
        self.settings = settings
        self.stack = stack
        self.redactor = redactor
        self.telemetry = telemetry
        self.identity = identity
        self.health = Health()
        self.failures = StoreFailures(clock.monotonic)
        self.activity = RunActivity(clock)
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        """Marks the claims of this process, and of no other one that has the same pid on another day or host."""

    async def open(self, listener: RunListener | None) -> None:
        """Open the parts that are part of every run. Raises StoreError, DispatchError."""
        from jobs.runs.events import ListenerGroup
        from scheduler.app.health_probes import add_own_probes
        from scheduler.app.job_sources import open_stored_jobs

        self.listener = self.telemetry if listener is None else ListenerGroup(self.telemetry, listener)
        self.telemetry.use_policies(self._find_telemetry_policy)
        add_own_probes(self)
        self.stored_job_parts = await open_stored_jobs(self)
        _ = self.check_setup, self.secret_monitor
        # What follows from a run goes back to the worker that has performed it.
        self.dispatch, self.queue_depths = await self.profile.open_queue(
            self, lambda ticket: self.worker.submit(ticket)
        )
        # In the order in which health shows them; the other parts are made when they are used.
        _ = self.alerting, self.worker, self.operations, self.watchdog, self.metrics
        _ = self.authentication, self.self_watch

    @property
    def is_only_worker(self) -> bool:
        """Return whether no other process runs jobs of the same store: a file has one, tables may have several."""
        return self.profile.is_only_worker and not self.settings.uses_azure_storage

    @property
    def has_replicas(self) -> bool:
        """Return whether this process may be one of several equal ones, of which one leads."""
        return self.profile.is_only_worker and not self.is_only_worker

    async def refresh_jobs(self) -> None:
        """Put changes of the stored jobs by other processes in force."""
        await self.stored_job_parts.refresh()

    async def prune_other_rows(self, now: datetime) -> None:
        """Delete old changes of states, markers, and what the API has stored about requests. Raises StoreError."""
        stored, age = self.repositories, self.settings.changes.age
        await stored.changes.prune(now, age)
        await stored.markers.prune(now, age)
        await stored.idempotency.prune(now)
        await self.rate_limits.prune()
        await self.alerting.prune(now)

    def make_rotas(self) -> RotaReader:
        """Return the reader of the calendars of rotas."""
        return self.alerting.rotas

    # --- Runs ---------------------------------------------------------------------------------------------------------

    @cached_property
    def runs(self) -> Runs:
        from scheduler.stores.runs.repository import RowNames

        # Any process that shares the queue may get the message of what this one queues.
        queued = "" if self.profile.shares_queue else self.owner
        names = RowNames(queued, self.owner[-6:] if self.settings.uses_azure_storage else "")
        return TrackedRuns(self.store, self.activity, failures=self.failures, names=names)

    @cached_property
    def check_setup(self) -> CheckSetup:
        from scheduler.app.check_setup import CheckSetup

        return CheckSetup(self)

    @cached_property
    def self_checks(self) -> SelfChecks:
        from scheduler.app.alerting_setup import build_self_checks

        return build_self_checks(self)

    @cached_property
    def follow_up(self) -> FollowUp:
        """Without all jobs it is unknown which of them depend on a run."""
        from scheduler.dependencies import DeferredFollowUp, DependencyTrigger

        if self.configuration.problems:
            return DeferredFollowUp()
        stored = self.catalog, self.runs, self.pauses
        return DependencyTrigger(*stored, self.dispatch, self.listener, self.clock, self.states.record_run)

    @cached_property
    def process_pool(self) -> ProcessPool | None:
        """The other processes that make attempts; None: this one makes all of them."""
        from scheduler.app.operations import build_process_pool

        return build_process_pool(self)

    @cached_property
    def worker(self) -> Worker:
        from scheduler.app.operations import build_worker

        return build_worker(self)

    @cached_property
    def operations(self) -> Operations:
        from scheduler.app.operations import build_operations

        return build_operations(self)

    @cached_property
    def alerting(self) -> Alerting:
        from scheduler.app.alerting_setup import build_alerting

        return build_alerting(self)

    @cached_property
    def stored_jobs(self) -> StoredJobQueries:
        return self.stored_job_parts.queries

    @cached_property
    def definition_reviewer(self) -> ProgramDefinitionReviewer:
        from scheduler.app.definition_review import ProgramDefinitionReviewer

        setup = self.check_setup
        default_schedule = self.settings.default_schedule
        reviewer = ProgramDefinitionReviewer(setup.secrets, setup.guard, setup.bindings, default_schedule)
        reviewer.find_presets = lambda: self.stored_job_parts.composer.presets
        return reviewer

    @cached_property
    def definitions(self) -> DefinitionReviewer:
        return self.definition_reviewer

    # --- Callers ------------------------------------------------------------------------------------------------------

    @cached_property
    def authentication(self) -> Authentication:
        from scheduler.app.authentication_setup import build_authentication

        return build_authentication(self)

    @cached_property
    def rate_limits(self) -> RateLimits:
        """SQLite has one process, which counts in memory. Processes that share a store count in it."""
        from scheduler.rate_limits.limiter import RateLimitRules, RateLimits

        rules = RateLimitRules(**self.settings.rate_limits.model_dump())
        return RateLimits(rules, self.clock, self.store if self.settings.uses_azure_storage else None)

    @cached_property
    def incident_reports(self) -> IncidentBundleReader:
        reports = super().incident_reports
        reports.redact = self.redactor.redact
        return reports

    @cached_property
    def audit(self) -> AuditTrail:
        return self.audit_trail

    @cached_property
    def audit_trail(self) -> StoredAuditTrail:
        from scheduler.audit.stored_trail import StoredAuditTrail

        return StoredAuditTrail(self.repositories.audit_log, self.clock, self.redactor)

    # --- What watches, and upkeep -------------------------------------------------------------------------------------

    @cached_property
    def secret_monitor(self) -> SecretMonitor:
        from scheduler.app.health_probes import secrets_probe
        from scheduler.features.secrets.service import SecretMonitor

        setup = self.check_setup
        monitor = SecretMonitor(self.store, setup.secrets, self.catalog, self.telemetry, self.clock, setup.bindings)
        self.health.add_probe("secrets", secrets_probe(setup.secrets, self.identity, monitor))
        return monitor

    @cached_property
    def watchdog(self) -> Watchdog:
        from scheduler.app.watch_setup import build_watchdog

        return build_watchdog(self)

    @cached_property
    def metrics(self) -> MetricsPage:
        from scheduler.app.watch_setup import build_metrics_page

        return build_metrics_page(self)

    @cached_property
    def self_watch(self) -> SelfWatch:
        from scheduler.app.watch_setup import build_self_watch

        return build_self_watch(self)

    @cached_property
    def change_announcer(self) -> ChangeAnnouncer:
        from scheduler.app.watch_setup import build_change_announcer

        return build_change_announcer(self)

    @cached_property
    def state_upkeep(self) -> StateUpkeep:
        from scheduler.changes.tracking import StateUpkeep

        is_complete = not self.configuration.problems
        return StateUpkeep(self.catalog, self.pauses, self.states, self.clock, is_complete=is_complete)

    @cached_property
    def audit_upkeep(self) -> AuditUpkeep:
        from scheduler.audit.stored_trail import AuditUpkeep

        stored, age = self.repositories, self.settings.audit.age
        return AuditUpkeep(
            self.audit_trail, stored.audit_log, stored.cursors, self.clock, self.telemetry.audit_head, age
        )

    def _find_telemetry_policy(self, job: str) -> TelemetryPolicy | None:
        entry = self.catalog.find_job(job)
        return None if entry is None else entry.job.telemetry


def _open_telemetry(settings: Settings, redactor: Redactor, stack: AsyncExitStack) -> Telemetry:
    telemetry = build_telemetry(settings, redactor)
    telemetry.start()
    stack.push_async_callback(telemetry.aclose, TELEMETRY_CLOSE_TIMEOUT)
    return telemetry
