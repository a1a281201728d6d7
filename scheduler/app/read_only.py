"""Opens the store and its queries for commands that only read, without worker, checks and telemetry.

It takes a fifth of the time of the whole program: each query is imported on first use. Called by scheduler.cli.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from config.identity import AppIdentity
from config.settings.model import Settings
from jobs.ports import Clock
from jobs.running.clocks import SystemClock
from scheduler.app.adapters import open_store
from scheduler.catalog.catalog import Catalog
from scheduler.stores.pauses import Pauses
from scheduler.stores.port import Store
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import Runs

if TYPE_CHECKING:
    from config.job_files.job_set import JobSet
    from scheduler.alerting.backtest.backtester import Backtester
    from scheduler.alerting.explanation.explaining import AlertExplainer
    from scheduler.alerting.rotas import RotaReader
    from scheduler.catalog.catalog import JobSnapshot
    from scheduler.catalog.composition import JobSources
    from scheduler.operations.api_keys import ApiKeyManager
    from scheduler.queries.alerting.channels import ChannelQueries
    from scheduler.queries.alerting.downtime import DowntimeReader
    from scheduler.queries.alerting.incidents import IncidentQueries
    from scheduler.queries.alerting.suppressions import SuppressionQueries
    from scheduler.queries.audit import AuditQueries
    from scheduler.queries.changes import ChangeQueries
    from scheduler.queries.circuits import CircuitQueries
    from scheduler.queries.heartbeats import HeartbeatQueries
    from scheduler.queries.history.markers import DeploymentMarkerQueries
    from scheduler.queries.jobs_and_runs import JobAndRunQueries
    from scheduler.queries.objectives.reader import ObjectiveReader
    from scheduler.queries.statistics.reader import StatsReader
    from scheduler.queries.stored_jobs import StoredJobQueries
    from scheduler.queries.uptime import UptimeReader


class ReadOnlyProgram:
    """The queries of an open store, under the same names as in Program."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        store: Store,
        clock: Clock,
        build_rotas: Callable[[], RotaReader],
    ) -> None:
        self.clock = clock
        self._build_rotas = build_rotas
        self._settings = settings
        self._catalog = catalog
        self._repositories = Repositories(store)
        self._runs = Runs(store)
        self._pauses = Pauses(store, clock.monotonic)

    async def compose_jobs(self, files: JobSet) -> tuple[JobSources, StoredJobQueries]:
        """Put the jobs of these files and the stored jobs in force, for all queries. Raises StoreError."""
        from config.stored_jobs import StoredJobDefiner
        from scheduler.catalog.composition import JobComposer, build_snapshot
        from scheduler.queries.stored_jobs import StoredJobQueries

        self._catalog.replace(build_snapshot(files, self.clock.now()))
        definer = StoredJobDefiner(self._settings.default_schedule)
        composer = JobComposer(self._catalog, files, self.clock, definer)
        await composer.replace_tree(await self._repositories.stored_jobs.read())
        return composer.sources, StoredJobQueries(composer, self._repositories.stored_jobs)

    @cached_property
    def api_keys(self) -> ApiKeyManager:
        """The one part that changes something: keys are made before the first start, without any job."""
        from jobs.redaction import Redactor
        from scheduler.audit.stored_trail import StoredAuditTrail
        from scheduler.operations.api_keys import ApiKeyManager

        trail = StoredAuditTrail(self._repositories.audit_log, self.clock, Redactor())
        return ApiKeyManager(self._repositories.api_keys, trail, self.clock)

    @cached_property
    def queries(self) -> JobAndRunQueries:
        from scheduler.changes.tracker import StateTracker
        from scheduler.queries.jobs_and_runs import JobAndRunQueries

        stored = self._repositories
        states = StateTracker(stored.changes, self.clock)
        return JobAndRunQueries(
            self._catalog, self._runs, self._pauses, stored.dead_letters, self.clock, states.states_of
        )

    @cached_property
    def heartbeats(self) -> HeartbeatQueries:
        from scheduler.queries.heartbeat_reader import HeartbeatReader
        from scheduler.queries.heartbeats import HeartbeatQueries

        heartbeats = self._repositories.heartbeats
        beats = HeartbeatReader(
            self._catalog, heartbeats, self._pauses, self._repositories.schedule_activations, self.clock
        )
        return HeartbeatQueries(self._catalog, heartbeats, beats, self._pauses, self.clock)

    @property
    def snapshot(self) -> JobSnapshot:
        """The jobs in force."""
        return self._catalog.snapshot

    @cached_property
    def backtester(self) -> Backtester:
        from scheduler.alerting.backtest.backtester import build_backtester

        group_wait = timedelta(seconds=self._settings.alerting.group_wait)
        return build_backtester(self._runs, self._repositories, self._rotas, group_wait=group_wait)

    @cached_property
    def alert_explainer(self) -> AlertExplainer:
        from scheduler.alerting.explanation.explaining import build_alert_explainer

        return build_alert_explainer(
            self._catalog, self._runs, self._pauses, self._repositories, self.clock, self.backtester
        )

    @cached_property
    def _rotas(self) -> RotaReader:
        return self._build_rotas()

    @cached_property
    def incidents(self) -> IncidentQueries:
        from scheduler.queries.alerting.incidents import IncidentQueries

        return IncidentQueries(self._catalog, self._repositories.incident_log, self._runs, self.clock)

    @cached_property
    def channels(self) -> ChannelQueries:
        from scheduler.queries.alerting.channels import ChannelQueries

        return ChannelQueries(self._catalog, self._repositories.outbox_rows, self._repositories.undelivered)

    @cached_property
    def suppressions(self) -> SuppressionQueries:
        from scheduler.queries.alerting.suppressions import SuppressionQueries

        stored = self._repositories
        return SuppressionQueries(self._catalog, stored.silences, stored.requested_windows, self.clock)

    @cached_property
    def audit_queries(self) -> AuditQueries:
        from scheduler.queries.audit import AuditQueries

        return AuditQueries(self._catalog, self._repositories.audit_log)

    @cached_property
    def change_queries(self) -> ChangeQueries:
        from scheduler.queries.changes import ChangeQueries

        stored = self._repositories
        return ChangeQueries(self._catalog, stored.changes, stored.health_histories)

    @cached_property
    def marker_queries(self) -> DeploymentMarkerQueries:
        from scheduler.queries.history.markers import DeploymentMarkerQueries

        return DeploymentMarkerQueries(self._catalog, self._repositories.markers)

    @cached_property
    def uptimes(self) -> UptimeReader:
        from scheduler.queries.uptime import UptimeReader

        return UptimeReader(
            self._catalog, self._runs, self.clock, self._settings.rollups.age, self._settings.retention.age
        )

    @cached_property
    def downtimes(self) -> DowntimeReader:
        from scheduler.queries.alerting.downtime import DowntimeReader

        stored = self._repositories
        return DowntimeReader(
            self._catalog,
            stored.incident_log,
            stored.changes,
            stored.requested_windows,
            self.clock,
            self._settings.alerting.age,
        )

    @cached_property
    def objectives(self) -> ObjectiveReader:
        from scheduler.queries.objectives.building import build_objective_reader

        ages = self._settings.rollups.age, self._settings.retention.age
        return build_objective_reader(self._catalog, self._runs, self._repositories, self.downtimes, self.clock, *ages)

    @cached_property
    def stats(self) -> StatsReader:
        from scheduler.queries.statistics.reader import StatsReader

        ages = self._settings.rollups.age, self._settings.retention.age
        return StatsReader(self._catalog, self._runs, self.clock, *ages)

    @cached_property
    def circuits(self) -> CircuitQueries:
        from scheduler.queries.circuits import CircuitQueries

        return CircuitQueries(self._catalog, self._repositories.circuits, self.clock)


@asynccontextmanager
async def open_read_only(settings: Settings) -> AsyncIterator[ReadOnlyProgram]:
    """Open the store next to a running server. Its queries know no jobs before `compose_jobs`. Raises StoreError."""
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        identity = AppIdentity(settings, clock=clock)
        stack.push_async_callback(identity.aclose)
        store = await open_store(settings, identity, owns_file=False)
        stack.push_async_callback(store.aclose)

        def build_rotas() -> RotaReader:
            from scheduler.app.alerting.rota_calendars import build_rota_reader

            return build_rota_reader(settings, identity, clock, stack)

        yield ReadOnlyProgram(settings, Catalog(()), store, clock, build_rotas)
