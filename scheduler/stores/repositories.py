"""The repositories of one store, each built once, when it is first used. Used by scheduler.app and the tests.

`runs` and `pauses` have caches and options of their process, so the composition root builds those.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from scheduler.stores.port import Store

if TYPE_CHECKING:
    from jobs.incidents.suppression.windows import RequestedWindow, Silence
    from scheduler.stores.alerting.engine import AlertRows, EngineRows
    from scheduler.stores.alerting.incident_log import IncidentLog
    from scheduler.stores.alerting.outbox import OutboxRows, UndeliveredRows
    from scheduler.stores.alerting.suppressions import StoredSuppressions
    from scheduler.stores.audit import AuditLog
    from scheduler.stores.changes import HealthHistories, StateChanges
    from scheduler.stores.dead_letters import DeadLetters
    from scheduler.stores.gates import Cancellations, StoredCircuits
    from scheduler.stores.heartbeats import Heartbeats
    from scheduler.stores.idempotency import IdempotencyRecords
    from scheduler.stores.identity import ApiKeys, StoredSessions
    from scheduler.stores.markers import DeploymentMarkers
    from scheduler.stores.runs.rollups.counters import RunCounters
    from scheduler.stores.schedules import Cursors, ScheduleActivations
    from scheduler.stores.stored_jobs.repository import StoredJobs, StoredJobSweeper


class Repositories:
    """A command that reads one of them does not import the others."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @cached_property
    def alert_rows(self) -> AlertRows:
        from scheduler.stores.alerting.engine import AlertRows

        return AlertRows(self._store)

    @cached_property
    def audit_log(self) -> AuditLog:
        from scheduler.stores.audit import AuditLog

        return AuditLog(self._store)

    @cached_property
    def api_keys(self) -> ApiKeys:
        from scheduler.stores.identity import ApiKeys

        return ApiKeys(self._store)

    @cached_property
    def cancellations(self) -> Cancellations:
        from scheduler.stores.gates import Cancellations

        return Cancellations(self._store)

    @cached_property
    def changes(self) -> StateChanges:
        from scheduler.stores.changes import StateChanges

        return StateChanges(self._store)

    @cached_property
    def health_histories(self) -> HealthHistories:
        from scheduler.stores.changes import HealthHistories

        return HealthHistories(self._store)

    @cached_property
    def markers(self) -> DeploymentMarkers:
        from scheduler.stores.markers import DeploymentMarkers

        return DeploymentMarkers(self._store)

    @cached_property
    def circuits(self) -> StoredCircuits:
        from scheduler.stores.gates import StoredCircuits

        return StoredCircuits(self._store)

    @cached_property
    def cursors(self) -> Cursors:
        from scheduler.stores.schedules import Cursors

        return Cursors(self._store)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        from scheduler.stores.dead_letters import DeadLetters

        return DeadLetters(self._store)

    @cached_property
    def engine_rows(self) -> EngineRows:
        from scheduler.stores.alerting.engine import EngineRows

        return EngineRows(self._store)

    @cached_property
    def heartbeats(self) -> Heartbeats:
        from scheduler.stores.heartbeats import Heartbeats

        return Heartbeats(self._store)

    @cached_property
    def idempotency(self) -> IdempotencyRecords:
        from scheduler.stores.idempotency import IdempotencyRecords

        return IdempotencyRecords(self._store)

    @cached_property
    def incident_log(self) -> IncidentLog:
        from scheduler.stores.alerting.incident_log import IncidentLog

        return IncidentLog(self._store)

    @cached_property
    def outbox_rows(self) -> OutboxRows:
        from scheduler.stores.alerting.outbox import OutboxRows

        return OutboxRows(self._store)

    @cached_property
    def requested_windows(self) -> StoredSuppressions[RequestedWindow]:
        from jobs.incidents.suppression.windows import RequestedWindow
        from scheduler.stores.alerting.suppressions import StoredSuppressions

        return StoredSuppressions(self._store, RequestedWindow, "windows")

    @cached_property
    def run_counters(self) -> RunCounters:
        from scheduler.stores.runs.rollups.counters import RunCounters

        return RunCounters(self._store)

    @cached_property
    def schedule_activations(self) -> ScheduleActivations:
        from scheduler.stores.schedules import ScheduleActivations

        return ScheduleActivations(self._store)

    @cached_property
    def sessions(self) -> StoredSessions:
        from scheduler.stores.identity import StoredSessions

        return StoredSessions(self._store)

    @cached_property
    def silences(self) -> StoredSuppressions[Silence]:
        from jobs.incidents.suppression.windows import Silence
        from scheduler.stores.alerting.suppressions import StoredSuppressions

        return StoredSuppressions(self._store, Silence, "silences")

    @cached_property
    def stored_jobs(self) -> StoredJobs:
        from scheduler.stores.stored_jobs.repository import StoredJobs

        return StoredJobs(self._store)

    @cached_property
    def stored_job_sweeper(self) -> StoredJobSweeper:
        from scheduler.stores.stored_jobs.repository import StoredJobSweeper

        return StoredJobSweeper(self._store, self.stored_jobs)

    @cached_property
    def undelivered(self) -> UndeliveredRows:
        from scheduler.stores.alerting.outbox import UndeliveredRows

        return UndeliveredRows(self._store)
