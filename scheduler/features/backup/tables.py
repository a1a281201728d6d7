"""Which tables of a store a backup contains, the order in which it reads them, and digests of their content.

A table that is missing here fails a test, so that nothing new is stored without a decision.

A store that has no snapshot is read while it changes. Two tables have a row that names others, and such a row must not
name what was not read: it is read first. The rows that it names are never changed, and those that are newer are left
to the next backup. By the digests two stores are compared, whatever the order of their rows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from jobs.formats import format_count
from scheduler.rate_limits.windows import RATE_LIMITS_TABLE
from scheduler.stores.alerting.rows import ALERTING_TABLE
from scheduler.stores.alerting.suppressions import SUPPRESSIONS_TABLE
from scheduler.stores.audit import AUDIT_TABLE, HEAD_ROW, sequence_of
from scheduler.stores.changes import CHANGES_TABLE
from scheduler.stores.dead_letters import DEAD_LETTERS_TABLE
from scheduler.stores.findings import ANNOUNCEMENTS_TABLE, SECRETS_TABLE, WATCHDOG_TABLE
from scheduler.stores.gates import CANCELLATIONS_TABLE, CIRCUITS_TABLE, PAUSES_TABLE
from scheduler.stores.heartbeats import HEARTBEATS_TABLE
from scheduler.stores.idempotency import IDEMPOTENCY_TABLE
from scheduler.stores.identity import API_KEYS_TABLE, SESSIONS_TABLE
from scheduler.stores.leases import LEASES_TABLE
from scheduler.stores.markers import MARKERS_TABLE
from scheduler.stores.port import Row, StoreScan
from scheduler.stores.rows import HEALTH_TABLE, decode_json
from scheduler.stores.runs.keys import HISTORY_TABLE
from scheduler.stores.schedules import CURSORS_TABLE, SCHEDULES_TABLE
from scheduler.stores.slots import SLOTS_TABLE
from scheduler.stores.stored_jobs.repository import HEAD_KEY, HEAD_PARTITION, STORED_JOBS_TABLE


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
        StoredTable(LEASES_TABLE, "which process leads", "the lease of a living process: another one leads"),
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


_NAMING_ROWS: Mapping[str, tuple[str, str]] = {AUDIT_TABLE: HEAD_ROW, STORED_JOBS_TABLE: (HEAD_PARTITION, HEAD_KEY)}
"""The partition and key of the row that names others, by table."""

TablePage = tuple[str, Sequence[Row]]
"""A table, and some of its rows."""


async def read_included_tables(scan: StoreScan, existing: Mapping[str, int | None]) -> AsyncIterator[TablePage]:
    """Yield the rows that a backup contains. `existing`: the tables of the store. Raises StoreError."""
    for table in INCLUDED_TABLES:
        if table not in existing:
            continue
        if scan.is_snapshot or table not in _NAMING_ROWS:
            async for page in scan.read_table(table):
                yield table, page
            continue
        async for page in _read_after_head(scan, table):
            yield table, page


async def _read_after_head(scan: StoreScan, table: str) -> AsyncIterator[Sequence[Row]]:
    partition, key = _NAMING_ROWS[table]
    head = await scan.get_row(table, partition, key)
    last = None if head is None or table != AUDIT_TABLE else int(decode_json(head.body)["seq"])
    if head is not None:
        yield [head]
    async for page in scan.read_table(table):
        rows = [row for row in page if (row.partition, row.key) != (partition, key)]
        if table == AUDIT_TABLE and last is not None:
            rows = [row for row in rows if row.partition != partition or sequence_of(row) <= last]
        if rows:
            yield rows


def find_omitted_tables(existing: Mapping[str, int | None]) -> dict[str, str]:
    """Return the tables of the store that a backup does not contain, and why."""
    unknown = "this program does not know it: a newer one has written it, or it is another deployment's"
    omitted = {}
    for table in sorted(existing):
        stored = STORED_TABLES.get(table)
        if stored is None:
            omitted[table] = unknown
        elif stored.omitted:
            omitted[table] = stored.omitted
    return omitted


_BYTES: Final = 32
_MODULUS: Final = 1 << (8 * _BYTES)


@dataclass(slots=True)
class TableDigest:
    """The number of rows, and the sum of their SHA-256 modulo 2^256. Etags do not count: each store has its own."""

    rows: int = 0
    total: int = 0

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            # With their lengths, so that two different rows have different texts.
            text = f"{len(row.partition)} {len(row.key)} {row.partition}{row.key}{row.body}"
            self.total += int.from_bytes(sha256(text.encode()).digest(), "big")
            self.rows += 1
        self.total %= _MODULUS

    @property
    def text(self) -> str:
        return self.total.to_bytes(_BYTES, "big").hex()

    @staticmethod
    def from_text(rows: int, text: str) -> TableDigest:
        """Raises ValueError."""
        return TableDigest(rows, int(text, 16))


def find_differences(expected: Mapping[str, TableDigest], restored: Mapping[str, TableDigest]) -> list[str]:
    """Return a sentence for each table that differs."""
    nothing = TableDigest()
    sentences = []
    for table in sorted({*expected, *restored}):
        before, after = expected.get(table, nothing), restored.get(table, nothing)
        if before.rows != after.rows:
            sentences.append(f"{table}: expected {format_count(before.rows, 'row')}, found {after.rows}")
        elif before.total != after.total:
            sentences.append(f"{table}: {format_count(after.rows, 'row')}, some of which differ")
    return sentences
