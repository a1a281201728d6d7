"""The one container of the program's parts: each is a property, made on its first use and shared from then on.

`Services` has what any process can make of an open store. scheduler.app adds the parts that need the settings and the
engine (`Program`); the API, the pages and the commands use both without knowing which. A new part is one property here
or there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, cast

from jobs.ports import Clock
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.catalog.limited import LimitedCatalog
from scheduler.limited_services import LimitedServices
from scheduler.operations import Operations
from scheduler.stores.gates import Pauses
from scheduler.stores.port import Store
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import Runs

if TYPE_CHECKING:
    from scheduler.alerting.rotas import RotaReader
    from scheduler.audit.trail import AuditTrail
    from scheduler.authentication.port import Authentication
    from scheduler.changes.tracking import StateTracker
    from scheduler.features.alerts.explainer import AlertExplainer
    from scheduler.features.alerts.queries import AlertQueries
    from scheduler.features.audit.queries import AuditQueries
    from scheduler.features.backtest.service import Backtester
    from scheduler.features.changes.markers import DeploymentMarkerQueries
    from scheduler.features.changes.queries import ChangeQueries
    from scheduler.features.channels.queries import ChannelQueries
    from scheduler.features.circuits.queries import CircuitQueries
    from scheduler.features.dead_letters.queries import DeadLetterQueries
    from scheduler.features.heartbeats.queries import HeartbeatQueries, HeartbeatReader
    from scheduler.features.incidents.bundle import IncidentBundleReader
    from scheduler.features.incidents.queries import IncidentQueries
    from scheduler.features.jobs.definitions import DefinitionReviewer
    from scheduler.features.jobs.queries import JobAndRunQueries
    from scheduler.features.objectives.queries import ObjectiveReader
    from scheduler.features.overview.queries import OverviewQueries
    from scheduler.features.overview.timelines import TimelineReader
    from scheduler.features.presets.queries import PresetQueries
    from scheduler.features.secrets.service import SecretMonitor
    from scheduler.features.statistics.comparison import ComparisonReader
    from scheduler.features.statistics.downtime import DowntimeReader
    from scheduler.features.statistics.queries import StatsReader
    from scheduler.features.statistics.slowest import SlowestReader
    from scheduler.features.statistics.uptime import UptimeReader
    from scheduler.features.stored_jobs.queries import StoredJobQueries
    from scheduler.features.suppressions.queries import SuppressionCoverage, SuppressionQueries
    from scheduler.features.trends.queries import TrendReader
    from scheduler.health import Health
    from scheduler.identity.principal import Principal, Tags
    from scheduler.metrics.page import MetricsPage
    from scheduler.rate_limits.limiter import RateLimits
    from scheduler.stores.idempotency import IdempotencyRecords
    from scheduler.turns import SharedTurns
    from scheduler.watchdog import Watchdog

MAX_LIMITED = 50
"""Sets of tags for which services are cached."""


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What the parts take from the settings."""

    rollup_age: float
    """Seconds for which counts of runs are retained."""
    run_age: float
    """Seconds for which runs are retained."""
    incident_age: float
    """Seconds for which incidents are retained."""
    group_wait: timedelta
    environment: str
    version: str
    is_behind_proxy: bool = False


class Services:
    """Parts over one store."""

    if TYPE_CHECKING:  # set or made by the subclass

        @cached_property
        def operations(self) -> Operations: ...

        @cached_property
        def audit(self) -> AuditTrail: ...

        @cached_property
        def health(self) -> Health: ...

        @cached_property
        def watchdog(self) -> Watchdog: ...

        @cached_property
        def metrics(self) -> MetricsPage: ...

        @cached_property
        def secret_monitor(self) -> SecretMonitor: ...

        @cached_property
        def definitions(self) -> DefinitionReviewer: ...

        @cached_property
        def rate_limits(self) -> RateLimits: ...

        @cached_property
        def authentication(self) -> Authentication: ...

        @cached_property
        def stored_jobs(self) -> StoredJobQueries: ...

    def __init__(self, options: ServiceOptions, catalog: Catalog, store: Store, clock: Clock) -> None:
        """`catalog`: the jobs that the parts know."""
        self.options = options
        self.catalog = catalog
        self.store = store
        self.clock = clock
        self._limited: dict[Tags, tuple[JobSnapshot, Services]] = {}

    async def refresh_jobs(self) -> None:
        """Put changes of the stored jobs by other processes in force."""

    def make_rotas(self) -> RotaReader:
        """Return the reader of the calendars of rotas."""
        raise NotImplementedError

    @property
    def environment(self) -> str:
        return self.options.environment

    @property
    def version(self) -> str:
        return self.options.version

    @property
    def is_behind_proxy(self) -> bool:
        return self.options.is_behind_proxy

    @cached_property
    def presets(self) -> PresetQueries:
        from scheduler.features.presets.queries import PresetQueries

        return PresetQueries(self.stored_jobs)

    # --- What is stored -----------------------------------------------------------------------------------------------

    @cached_property
    def repositories(self) -> Repositories:
        return Repositories(self.store)

    @cached_property
    def runs(self) -> Runs:
        return Runs(self.store)

    @cached_property
    def pauses(self) -> Pauses:
        return Pauses(self.store, self.clock.monotonic)

    @cached_property
    def states(self) -> StateTracker:
        from scheduler.changes.tracking import StateTracker

        return StateTracker(self.repositories.changes, self.clock)

    @cached_property
    def idempotency(self) -> IdempotencyRecords:
        return self.repositories.idempotency

    @property
    def turns(self) -> SharedTurns:
        """Return the turns of long requests, for all callers."""
        return self.stats.turns

    # --- Jobs and runs ------------------------------------------------------------------------------------------------

    @cached_property
    def queries(self) -> JobAndRunQueries:
        from scheduler.features.jobs.queries import JobAndRunQueries

        # Reads of history do without states, and without their imports.
        return JobAndRunQueries(
            self.catalog, self.runs, self.pauses, self.clock, lambda names: self.states.states_of(names)
        )

    @cached_property
    def dead_letters(self) -> DeadLetterQueries:
        from scheduler.features.dead_letters.queries import DeadLetterQueries

        return DeadLetterQueries(self.catalog, self.repositories.dead_letters)

    @cached_property
    def overview(self) -> OverviewQueries:
        from scheduler.features.overview.queries import OverviewQueries

        changes, states_of = self.repositories.changes, self.states.states_of
        return OverviewQueries(self.catalog, self.pauses, self.incidents, changes, states_of, self.clock)

    @cached_property
    def timelines(self) -> TimelineReader:
        from scheduler.features.overview.timelines import TimelineReader

        return TimelineReader(self.runs, self.clock)

    @cached_property
    def stats(self) -> StatsReader:
        from scheduler.features.statistics.queries import StatsReader

        return StatsReader(self.catalog, self.runs, self.clock, *self._ages)

    @cached_property
    def slowest(self) -> SlowestReader:
        from scheduler.features.statistics.slowest import SlowestReader

        return SlowestReader(self.catalog, self.runs, self.stats, self.clock)

    @cached_property
    def comparisons(self) -> ComparisonReader:
        from scheduler.features.statistics.comparison import ComparisonReader

        return ComparisonReader(self.catalog, self.runs, self.stats, self.downtimes, self.markers, self.clock)

    @cached_property
    def uptimes(self) -> UptimeReader:
        from scheduler.features.statistics.uptime import UptimeReader

        return UptimeReader(self.catalog, self.runs, self.clock, *self._ages)

    @cached_property
    def downtimes(self) -> DowntimeReader:
        from scheduler.features.statistics.downtime import DowntimeReader

        stored, age = self.repositories, self.options.incident_age
        return DowntimeReader(
            self.catalog, stored.incident_log, stored.changes, stored.requested_windows, self.clock, age
        )

    @cached_property
    def objectives(self) -> ObjectiveReader:
        from scheduler.features.objectives.queries import build_objective_reader

        return build_objective_reader(
            self.catalog, self.runs, self.repositories, self.downtimes, self.clock, *self._ages
        )

    @cached_property
    def circuits(self) -> CircuitQueries:
        from scheduler.features.circuits.queries import CircuitQueries

        return CircuitQueries(self.catalog, self.repositories.circuits, self.clock)

    @cached_property
    def heartbeat_reader(self) -> HeartbeatReader:
        from scheduler.features.heartbeats.queries import HeartbeatReader

        stored = self.repositories
        return HeartbeatReader(self.catalog, stored.heartbeats, self.pauses, stored.schedule_activations, self.clock)

    @cached_property
    def heartbeats(self) -> HeartbeatQueries:
        from scheduler.features.heartbeats.queries import HeartbeatQueries

        return HeartbeatQueries(
            self.catalog, self.repositories.heartbeats, self.heartbeat_reader, self.pauses, self.clock
        )

    @cached_property
    def trends(self) -> TrendReader:
        from scheduler.features.changes.job_markers import JobMarkerReader
        from scheduler.features.trends.queries import TrendReader

        markers = JobMarkerReader(self.audit_queries, self.markers)
        return TrendReader(self.catalog, self.runs, markers, self.clock)

    # --- Alerts and incidents -----------------------------------------------------------------------------------------

    @cached_property
    def rotas(self) -> RotaReader:
        return self.make_rotas()

    @cached_property
    def incidents(self) -> IncidentQueries:
        from scheduler.features.incidents.queries import IncidentQueries

        return IncidentQueries(self.catalog, self.repositories.incident_log, self.runs, self.clock)

    @cached_property
    def incident_reports(self) -> IncidentBundleReader:
        from scheduler.features.incidents.bundle import IncidentBundleReader
        from scheduler.features.incidents.facts import RecentChanges

        stored = self.repositories
        changes, undelivered = RecentChanges(stored.audit_log), stored.undelivered
        parts = self.catalog, self.incidents, self.runs, changes, undelivered, self.clock
        return IncidentBundleReader(*parts, trends=self.trends)

    @cached_property
    def alerts(self) -> AlertQueries:
        from scheduler.features.alerts.queries import AlertQueries

        return AlertQueries(self.catalog, self.repositories.alert_rows)

    @cached_property
    def backtester(self) -> Backtester:
        from scheduler.features.backtest.service import build_backtester

        return build_backtester(self.runs, self.repositories, self.rotas, group_wait=self.options.group_wait)

    @cached_property
    def alert_explainer(self) -> AlertExplainer:
        from scheduler.features.alerts.explainer import build_alert_explainer

        return build_alert_explainer(
            self.catalog, self.runs, self.pauses, self.repositories, self.clock, self.backtester
        )

    @cached_property
    def suppressions(self) -> SuppressionQueries:
        from scheduler.features.suppressions.queries import SuppressionQueries

        stored = self.repositories
        return SuppressionQueries(self.catalog, stored.silences, stored.requested_windows, self.clock)

    @cached_property
    def suppression_coverage(self) -> SuppressionCoverage:
        from scheduler.features.suppressions.queries import SuppressionCoverage

        return SuppressionCoverage(self.catalog)

    @cached_property
    def channels(self) -> ChannelQueries:
        from scheduler.features.channels.queries import ChannelQueries

        return ChannelQueries(self.catalog, self.repositories.outbox_rows, self.repositories.undelivered, self.clock)

    # --- What changed -------------------------------------------------------------------------------------------------

    @cached_property
    def audit_queries(self) -> AuditQueries:
        from scheduler.features.audit.queries import AuditQueries

        return AuditQueries(self.catalog, self.repositories.audit_log)

    @cached_property
    def changes(self) -> ChangeQueries:
        from scheduler.features.changes.queries import ChangeQueries

        return ChangeQueries(self.catalog, self.repositories.changes, self.repositories.health_histories)

    @cached_property
    def markers(self) -> DeploymentMarkerQueries:
        from scheduler.features.changes.markers import DeploymentMarkerQueries

        return DeploymentMarkerQueries(self.catalog, self.repositories.markers)

    # --- Callers that are limited to tags -----------------------------------------------------------------------------

    @property
    def is_limited(self) -> bool:
        """Return whether only jobs with some tags exist in them."""
        return isinstance(self.catalog, LimitedCatalog)

    def for_principal(self, principal: Principal) -> Services:
        """Return these services, or for a principal that is limited to tags those in which no other job exists.

        They are made once for each set of tags, and again after the jobs have changed.
        """
        if not principal.tags:
            return self
        snapshot, limited = self._limited.get(principal.tags, (None, self))
        if snapshot is not self.catalog.snapshot:
            snapshot = self.catalog.snapshot
            limited = cast("Services", LimitedServices(self, LimitedCatalog(snapshot, principal)))
            if len(self._limited) >= MAX_LIMITED:
                self._limited.clear()
            self._limited[principal.tags] = snapshot, limited
        return limited

    @property
    def _ages(self) -> tuple[float, float]:
        return self.options.rollup_age, self.options.run_age
