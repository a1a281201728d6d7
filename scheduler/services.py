"""What the API uses of the program. Built by scheduler.app, used by scheduler.api: neither imports the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields, replace

from jobs.ports import Clock
from scheduler.alerting.backtest.backtester import Backtester
from scheduler.alerting.explanation.explaining import AlertExplainer
from scheduler.audit.trail import AuditTrail
from scheduler.authentication.authentication import Authentication
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.catalog.limited import LimitedCatalog, limit_part
from scheduler.health.report import Health
from scheduler.identity.principal import Principal
from scheduler.identity.tags import Tags
from scheduler.metrics.page import MetricsPage
from scheduler.operations import Operations
from scheduler.queries.alerting.alerts import AlertQueries
from scheduler.queries.alerting.channels import ChannelQueries
from scheduler.queries.alerting.downtime import DowntimeReader
from scheduler.queries.alerting.incident_reports import IncidentReportReader
from scheduler.queries.alerting.incidents import IncidentQueries
from scheduler.queries.alerting.suppression_coverage import SuppressionCoverage
from scheduler.queries.alerting.suppressions import SuppressionQueries
from scheduler.queries.audit import AuditQueries
from scheduler.queries.changes import ChangeQueries
from scheduler.queries.circuits import CircuitQueries
from scheduler.queries.definitions import DefinitionReviewer
from scheduler.queries.heartbeats import HeartbeatQueries
from scheduler.queries.history.markers import DeploymentMarkerQueries
from scheduler.queries.jobs_and_runs import JobAndRunQueries
from scheduler.queries.objectives.reader import ObjectiveReader
from scheduler.queries.overview.history import TimelineReader
from scheduler.queries.overview.reader import OverviewQueries
from scheduler.queries.statistics.reader import StatsReader
from scheduler.queries.stored_jobs import StoredJobQueries
from scheduler.queries.uptime import UptimeReader
from scheduler.rate_limits.limiter import RateLimits
from scheduler.secrets.monitor import SecretMonitor
from scheduler.stores.idempotency import IdempotencyRecords
from scheduler.turns import SharedTurns
from scheduler.watchdog import Watchdog

MAX_LIMITED = 50
"""Sets of tags for which services are cached."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Services:
    """`catalog`: the jobs that the queries and operations know."""

    catalog: Catalog
    audit: AuditTrail
    audit_queries: AuditQueries
    changes: ChangeQueries
    markers: DeploymentMarkerQueries
    operations: Operations
    queries: JobAndRunQueries
    health: Health
    watchdog: Watchdog
    metrics: MetricsPage
    secret_monitor: SecretMonitor
    definitions: DefinitionReviewer
    heartbeats: HeartbeatQueries
    uptimes: UptimeReader
    downtimes: DowntimeReader
    objectives: ObjectiveReader
    stats: StatsReader
    overview: OverviewQueries
    timelines: TimelineReader
    circuits: CircuitQueries
    rate_limits: RateLimits
    idempotency: IdempotencyRecords
    authentication: Authentication
    stored_jobs: StoredJobQueries
    incidents: IncidentQueries
    incident_reports: IncidentReportReader
    alerts: AlertQueries
    alert_explainer: AlertExplainer
    backtester: Backtester
    suppressions: SuppressionQueries
    suppression_coverage: SuppressionCoverage
    channels: ChannelQueries
    refresh_jobs: Callable[[], Awaitable[None]]
    """Puts changes of the stored jobs by other processes in force."""
    clock: Clock
    environment: str
    version: str
    is_behind_proxy: bool = False
    _limited: dict[Tags, tuple[JobSnapshot, Services]] = field(default_factory=dict, repr=False)

    @property
    def is_limited(self) -> bool:
        """Return whether only jobs with some tags exist in them."""
        return isinstance(self.catalog, LimitedCatalog)

    @property
    def turns(self) -> SharedTurns:
        """Return the turns of long requests, for all callers."""
        return self.stats.turns

    def for_principal(self, principal: Principal) -> Services:
        """Return these services, or for a principal that is limited to tags those in which no other job exists.

        They are built once for each set of tags, and again after the jobs have changed.
        """
        if not principal.tags:
            return self
        snapshot, limited = self._limited.get(principal.tags, (None, self))
        if snapshot is not self.catalog.snapshot:
            snapshot = self.catalog.snapshot
            limited = self._limit(LimitedCatalog(snapshot, principal))
            if len(self._limited) >= MAX_LIMITED:
                self._limited.clear()
            self._limited[principal.tags] = snapshot, limited
        return limited

    def _limit(self, catalog: LimitedCatalog) -> Services:
        parts = {part.name: limit_part(getattr(self, part.name), catalog) for part in fields(self)}
        operations = {
            each.name: limit_part(getattr(self.operations, each.name), catalog) for each in fields(Operations)
        }
        return replace(self, **parts | {"catalog": catalog, "operations": Operations(**operations), "_limited": {}})
