"""Every table of the store: whether a backup contains it. Pure; used by scheduler.backup.

A table that is missing here fails a test, so that nothing new is stored without a decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.rate_limits.windows import RATE_LIMITS_TABLE
from scheduler.stores.alerting.keys import ALERTING_TABLE
from scheduler.stores.announcements import ANNOUNCEMENTS_TABLE
from scheduler.stores.audit.log import AUDIT_TABLE
from scheduler.stores.cancellations import CANCELLATIONS_TABLE
from scheduler.stores.changes.keys import CHANGES_TABLE
from scheduler.stores.changes.markers import MARKERS_TABLE
from scheduler.stores.circuits import CIRCUITS_TABLE
from scheduler.stores.cursors import CURSORS_TABLE
from scheduler.stores.dead_letters.repository import DEAD_LETTERS_TABLE
from scheduler.stores.heartbeats import HEARTBEATS_TABLE
from scheduler.stores.idempotency import IDEMPOTENCY_TABLE
from scheduler.stores.identity.api_keys import API_KEYS_TABLE
from scheduler.stores.identity.sessions import SESSIONS_TABLE
from scheduler.stores.pauses import PAUSES_TABLE
from scheduler.stores.rows.health_rows import HEALTH_TABLE
from scheduler.stores.runs.keys import HISTORY_TABLE
from scheduler.stores.schedule_activations import SCHEDULES_TABLE
from scheduler.stores.secret_versions import SECRETS_TABLE
from scheduler.stores.slots.slot_rows import SLOTS_TABLE
from scheduler.stores.stored_jobs.repository import STORED_JOBS_TABLE
from scheduler.stores.suppressions import SUPPRESSIONS_TABLE
from scheduler.stores.watchdog_reports import WATCHDOG_TABLE


@dataclass(frozen=True, slots=True)
class StoredTable:
    """`omitted`: why a backup does not contain it; "" if it does."""

    name: str
    content: str
    omitted: str = ""


STORED_TABLES: Mapping[str, StoredTable] = {
    table.name: table
    for table in (
        StoredTable(STORED_JOBS_TABLE, "stored jobs and their versions"),
        StoredTable(PAUSES_TABLE, "pauses of jobs"),
        StoredTable(SCHEDULES_TABLE, "since when each schedule is in force"),
        StoredTable(CURSORS_TABLE, "how far the scheduler has planned, and other positions"),
        StoredTable(CIRCUITS_TABLE, "states of circuit breakers"),
        StoredTable(HEARTBEATS_TABLE, "heartbeats and their pings"),
        StoredTable(SUPPRESSIONS_TABLE, "silences and maintenance windows"),
        StoredTable(ALERTING_TABLE, "alerts, incidents, their decisions, and notifications to deliver"),
        StoredTable(CHANGES_TABLE, "changes of the states of jobs, and health documents"),
        StoredTable(MARKERS_TABLE, "deployments and other markers of charts"),
        StoredTable(DEAD_LETTERS_TABLE, "dead letters"),
        StoredTable(CANCELLATIONS_TABLE, "requests to cancel runs"),
        StoredTable(IDEMPOTENCY_TABLE, "responses to requests with an idempotency key"),
        StoredTable(API_KEYS_TABLE, "hashes of API keys, their roles and use"),
        StoredTable(SECRETS_TABLE, "names, versions and expiry of secrets; no values"),
        StoredTable(ANNOUNCEMENTS_TABLE, "what was announced last to telemetry"),
        StoredTable(AUDIT_TABLE, "audit trail"),
        StoredTable(HISTORY_TABLE, "runs with their attempts, and their counts by hour and day"),
        StoredTable(
            SESSIONS_TABLE,
            "sessions of the dashboard",
            "a session belongs to a browser and to this installation: users sign in again",
        ),
        StoredTable(SLOTS_TABLE, "slots of concurrency groups", "leases of living processes: they are acquired again"),
        StoredTable(RATE_LIMITS_TABLE, "requests of the current window", "a window lasts a minute"),
        StoredTable(WATCHDOG_TABLE, "newest report of the watchdog", "the watchdog makes it anew each minute"),
        StoredTable(HEALTH_TABLE, "test row of the health page, and the progress of a restore", "it has no content"),
    )
}
"""In the order of a backup: what users have written comes first, and the long history last."""


def is_included(table: str) -> bool:
    """Return whether a backup contains the table; False for an unknown one."""
    found = STORED_TABLES.get(table)
    return found is not None and not found.omitted


INCLUDED_TABLES: tuple[str, ...] = tuple(name for name in STORED_TABLES if is_included(name))
