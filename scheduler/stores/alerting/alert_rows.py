"""Stores alerts, one row each. Written by evaluators, read by scheduler.alerting.engine_runner. An inactive alert has
no row, so that jobs in good health cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.alerting.alert import Alert, AlertStatus
from jobs.incidents.values import AlertKey
from scheduler.stores.alerting.codec import ALERTS
from scheduler.stores.alerting.keys import ALERT_PREFIX, ALERTING_PARTITION, ALERTING_TABLE, alert_key, end_of
from scheduler.stores.alerting.large_work import run_sized
from scheduler.stores.port import Delete, Insert, Replace, Row, Store
from scheduler.stores.rows import list_all_rows


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """`etag`: empty for an alert without a row."""

    alert: Alert
    etag: str = ""

    @property
    def key(self) -> AlertKey:
        return AlertKey(self.alert.subject, self.alert.rule)


class AlertRows:
    """All methods raise StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, key: AlertKey) -> StoredAlert:
        """Return the alert; an inactive one if it has no row."""
        row = await self._store.get_row(ALERTING_TABLE, ALERTING_PARTITION, alert_key(key))
        return StoredAlert(Alert(key.subject, key.rule)) if row is None else _read(row)

    async def list_all(self) -> list[StoredAlert]:
        """Return the alerts that are not inactive."""
        rows = await list_all_rows(
            self._store, ALERTING_TABLE, ALERTING_PARTITION, after=ALERT_PREFIX, until=end_of(ALERT_PREFIX)
        )
        return await run_sized(len(rows), lambda: [_read(row) for row in rows])

    async def list_of(self, subject: str) -> list[StoredAlert]:
        """Return the alerts of a subject that are not inactive."""
        prefix = alert_key(AlertKey(subject, ""))
        rows = await list_all_rows(self._store, ALERTING_TABLE, ALERTING_PARTITION, after=prefix, until=end_of(prefix))
        return [_read(row) for row in rows]

    async def write(self, alert: Alert, etag: str) -> StoredAlert:
        """Store an alert; an inactive one is deleted. `etag`: of the alert that was read, empty without a row.

        Raises:
            RowExists, RowChanged: another process, or a pass of the engine, has changed it: read it again.
        """
        stored = StoredAlert(alert)
        place = (ALERTING_TABLE, ALERTING_PARTITION, alert_key(stored.key))
        if alert.status is AlertStatus.INACTIVE:
            if etag:
                await self._store.apply(Delete(*place, etag))
            return stored
        body = ALERTS.encode(alert)
        (written,) = await self._store.apply(Replace(*place, body, etag) if etag else Insert(*place, body))
        return StoredAlert(alert, written)


def _read(row: Row) -> StoredAlert:
    return StoredAlert(ALERTS.decode(row.body), row.etag)
