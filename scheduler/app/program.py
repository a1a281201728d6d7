"""What is open while the program runs. Made by building, used by hosts and commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from config.identity import AppIdentity
    from config.settings.model import Settings
    from jobs.ports import Clock
    from observability.telemetry import Telemetry
    from scheduler.alerting.alerting import Alerting
    from scheduler.app.alerting.operations import AlertingQueries
    from scheduler.app.check_setup import CheckSetup
    from scheduler.app.definitions.stored_jobs import StoredJobParts
    from scheduler.audit.trail import AuditTrail
    from scheduler.audit.upkeep import AuditUpkeep
    from scheduler.authentication.authentication import Authentication
    from scheduler.catalog.catalog import Catalog
    from scheduler.changes.announcing import ChangeAnnouncer
    from scheduler.changes.upkeep import StateUpkeep
    from scheduler.dispatch.port import Dispatch
    from scheduler.health.report import Health
    from scheduler.metrics.page import MetricsPage
    from scheduler.operations import Operations
    from scheduler.queries.audit import AuditQueries
    from scheduler.queries.changes import ChangeQueries
    from scheduler.queries.circuits import CircuitQueries
    from scheduler.queries.definitions import DefinitionReviewer
    from scheduler.queries.heartbeats import HeartbeatQueries
    from scheduler.queries.jobs_and_runs import JobAndRunQueries
    from scheduler.queries.overview.reader import OverviewQueries
    from scheduler.queries.statistics.reader import StatsReader
    from scheduler.queries.uptime import UptimeReader
    from scheduler.rate_limits.limiter import RateLimits
    from scheduler.secrets.monitor import SecretMonitor
    from scheduler.services import Services
    from scheduler.stores.changes.repository import StateChanges
    from scheduler.stores.cursors import Cursors
    from scheduler.stores.dead_letters.repository import DeadLetters
    from scheduler.stores.idempotency import IdempotencyRecords
    from scheduler.stores.pauses import Pauses
    from scheduler.stores.port import Store
    from scheduler.stores.runs.repository import Runs
    from scheduler.stores.schedule_activations import ScheduleActivations
    from scheduler.watchdog import Watchdog
    from scheduler.watchdog.self_watch import SelfWatch
    from scheduler.worker.worker import Worker


@dataclass(frozen=True, slots=True)
class Program:
    """Everything that every process opens. Each host has its own parts in addition."""

    settings: Settings
    catalog: Catalog
    clock: Clock
    identity: AppIdentity
    store: Store
    owner: str
    """Marks the claims of this process."""
    runs: Runs
    cursors: Cursors
    schedule_activations: ScheduleActivations
    pauses: Pauses
    dead_letters: DeadLetters
    check_setup: CheckSetup
    dispatch: Dispatch
    worker: Worker
    audit: AuditTrail
    audit_upkeep: AuditUpkeep
    audit_queries: AuditQueries
    changes: StateChanges
    change_queries: ChangeQueries
    state_upkeep: StateUpkeep
    change_announcer: ChangeAnnouncer
    operations: Operations
    queries: JobAndRunQueries
    health: Health
    watchdog: Watchdog
    metrics: MetricsPage
    secret_monitor: SecretMonitor
    circuits: CircuitQueries
    alerting: Alerting
    alerting_queries: AlertingQueries
    definitions: DefinitionReviewer
    stored_jobs: StoredJobParts
    heartbeats: HeartbeatQueries
    uptimes: UptimeReader
    stats: StatsReader
    rate_limits: RateLimits
    idempotency: IdempotencyRecords
    telemetry: Telemetry
    authentication: Authentication
    self_watch: SelfWatch

    async def prune_other_rows(self, now: datetime) -> None:
        """Delete old changes of states, markers, and what the API has stored about requests. Raises StoreError."""
        from scheduler.stores.changes.markers import DeploymentMarkers

        await self.changes.prune(now, self.settings.changes.age)
        await DeploymentMarkers(self.store).prune(now, self.settings.changes.age)
        await self.idempotency.prune(now)
        await self.rate_limits.prune()
        await self.alerting.prune(now)

    def services(self) -> Services:
        """What the API gets of it."""
        from scheduler.queries.history.markers import DeploymentMarkerQueries
        from scheduler.queries.overview.history import TimelineReader
        from scheduler.services import Services
        from scheduler.stores.changes.markers import DeploymentMarkers
        from scheduler.version import VERSION

        return Services(
            audit=self.audit,
            audit_queries=self.audit_queries,
            changes=self.change_queries,
            markers=DeploymentMarkerQueries(self.catalog, DeploymentMarkers(self.store)),
            operations=self.operations,
            queries=self.queries,
            health=self.health,
            watchdog=self.watchdog,
            metrics=self.metrics,
            secret_monitor=self.secret_monitor,
            circuits=self.circuits,
            definitions=self.definitions,
            stored_jobs=self.stored_jobs.queries,
            **self.alerting_queries,
            refresh_jobs=self.stored_jobs.refresh,
            heartbeats=self.heartbeats,
            uptimes=self.uptimes,
            stats=self.stats,
            overview=self._create_overview(),
            timelines=TimelineReader(self.runs, self.clock),
            rate_limits=self.rate_limits,
            idempotency=self.idempotency,
            catalog=self.catalog,
            authentication=self.authentication,
            clock=self.clock,
            environment=self.settings.environment,
            version=self.settings.version or VERSION,
            is_behind_proxy=self.settings.http.behind_proxy,
        )

    def _create_overview(self) -> OverviewQueries:
        from scheduler.queries.overview.reader import OverviewQueries

        incidents = self.alerting_queries["incidents"]
        return OverviewQueries(self.catalog, self.pauses, incidents, self.changes, self.queries.states_of, self.clock)
