"""The counterpart of a program for the work of commands in a running scheduler: its parts are those of the rooms.

Each has the methods that commands call, by the routes of the API: a line here, and a class in the room's `remote.py`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from scheduler.features.delivery.remote import RemoteApi

PARTS: Final = {
    "incidents": "scheduler.features.incidents.remote:RemoteIncidents",
    "incident_reports": "scheduler.features.incidents.remote:RemoteIncidentBundles",
    "queries": "scheduler.features.jobs.remote:RemoteJobQueries",
    "changes": "scheduler.features.changes.remote:RemoteChanges",
    "selected_jobs": "scheduler.features.jobs.remote:RemoteSelectedJobActions",
    "statistics": "scheduler.features.statistics.remote:RemoteStatistics",
    "trends": "scheduler.features.trends.remote:RemoteTrends",
    "objectives": "scheduler.features.objectives.remote:RemoteObjectives",
    "stored_jobs": "scheduler.features.stored_jobs.remote:RemoteStoredJobs",
    "suppressions": "scheduler.features.suppressions.remote:RemoteSuppressions",
    "channels": "scheduler.features.channels.remote:RemoteChannels",
    "dead_letters": "scheduler.features.dead_letters.remote:RemoteDeadLetters",
    "circuits": "scheduler.features.circuits.remote:RemoteCircuits",
    "heartbeats": "scheduler.features.heartbeats.remote:RemoteHeartbeats",
    "secret_monitor": "scheduler.features.secrets.remote:RemoteSecretMonitor",
    "alert_explainer": "scheduler.features.alerts.remote:RemoteAlertExplainer",
    "audit_queries": "scheduler.features.audit.remote:RemoteAudit",
    "api_keys": "scheduler.features.access.remote:RemoteApiKeys",
    "sessions": "scheduler.features.access.remote:RemoteSessions",
    "markers": "scheduler.features.changes.remote:RemoteMarkers",
}
"""Attributes of the program."""
OPERATIONS: Final = {
    "incidents": "scheduler.features.incidents.remote:RemoteIncidentManager",
    "cancellations": "scheduler.features.runs.remote:RemoteCancellations",
    "pauses": "scheduler.features.jobs.remote:RemotePauses",
    "backfills": "scheduler.features.jobs.remote:RemoteBackfiller",
    "stored_jobs": "scheduler.features.stored_jobs.remote:RemoteStoredJobEditor",
    "silences": "scheduler.features.suppressions.remote:RemoteSilenceManager",
    "windows": "scheduler.features.suppressions.remote:RemoteWindowManager",
    "undelivered": "scheduler.features.channels.remote:RemoteUndelivered",
    "channel_tests": "scheduler.features.channels.remote:RemoteChannelTester",
    "dead_letters": "scheduler.features.dead_letters.remote:RemoteDeadLetterReplayer",
    "circuits": "scheduler.features.circuits.remote:RemoteCircuitControl",
    "secrets": "scheduler.features.secrets.remote:RemoteSecretRefresher",
    "markers": "scheduler.features.changes.remote:RemoteMarkers",
}
"""Attributes of its operations."""


class RemoteParts:
    """Parts that are imported and made at their first use."""

    def __init__(self, api: RemoteApi, parts: dict[str, str]) -> None:
        self._api = api
        self._parts = parts

    def __getattr__(self, name: str) -> Any:
        if name not in self._parts:
            raise AttributeError(f"a running scheduler has no part {name!r}: see scheduler.cli.remote_program")
        module, _, attribute = self._parts[name].partition(":")
        part = getattr(import_module(module), attribute)(self._api)
        setattr(self, name, part)
        return part


class RemoteProgram(RemoteParts):
    """A running scheduler, as the work of a command sees it."""

    def __init__(self, api: RemoteApi) -> None:
        from jobs.running.clocks import SystemClock

        super().__init__(api, PARTS)
        self.api = api
        self.clock = SystemClock()
        self.operations = RemoteParts(api, OPERATIONS)
