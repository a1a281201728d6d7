"""The alerts that are not inactive, cached, and the only place that writes them. Used by evaluator.

Several processes write: a conflict is found by the etag of the row, which is then read and decided again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from jobs.alerting.alert import Alert, AlertStatus
from jobs.incidents.values import AlertKey
from jobs.ports import Clock
from scheduler.stores.alerting.alert_rows import AlertRows, StoredAlert
from scheduler.stores.port import RowChanged, RowExists, StoreError, StoreUnavailable

MAX_CONFLICTS = 10
_NONE: Mapping[str, StoredAlert] = {}

AlertDecision = Callable[[Alert], Alert]
"""Returns the alert after a judgement; the same value if nothing changes. Called again after a conflict."""


class KnownAlerts:
    """Methods that await raise StoreError."""

    def __init__(self, rows: AlertRows, clock: Clock) -> None:
        self._rows = rows
        self._clock = clock
        self._by_subject: dict[str, dict[str, StoredAlert]] = {}
        self._written: set[AlertKey] = set()
        """Alerts that were written during a refresh."""
        self._pending: set[AlertKey] = set()
        self._read_at: float | None = None

    async def refresh(self, max_age: float = 0.0) -> None:
        """Read all alerts, unless the last read was less than `max_age` seconds ago."""
        now = self._clock.monotonic()
        if self._read_at is not None and now - self._read_at < max_age:
            return
        self._written = set()
        read = {each.key: each for each in await self._rows.list_all()}
        for key in self._written:
            # What this process wrote meanwhile is newer than what was read.
            known = self._by_subject.get(key.subject, _NONE).get(key.rule)
            read.pop(key, None)
            if known is not None:
                read[key] = known
        self._by_subject = {}
        for key, stored in read.items():
            self._by_subject.setdefault(key.subject, {})[key.rule] = stored
        self._pending = {key for key, stored in read.items() if stored.alert.status is AlertStatus.PENDING}
        self._read_at = now

    def has_any(self, subject: str) -> bool:
        return subject in self._by_subject

    def find(self, key: AlertKey) -> Alert:
        """Return the known alert; an inactive one without a row."""
        stored = self._by_subject.get(key.subject, _NONE).get(key.rule)
        return Alert(key.subject, key.rule) if stored is None else stored.alert

    def list_all(self) -> Iterator[Alert]:
        """Yield the alerts that are not inactive; a copy, which later writes do not change."""
        for rules in tuple(self._by_subject.values()):
            for stored in tuple(rules.values()):
                yield stored.alert

    def list_pending(self) -> list[Alert]:
        """Return the alerts that fire once their condition was met for long enough."""
        return [self._by_subject[key.subject][key.rule].alert for key in self._pending]

    async def change(self, key: AlertKey, decide: AlertDecision) -> Alert | None:
        """Store what `decide` makes of the alert. Return it, or None if nothing changes."""
        stored = self._by_subject.get(key.subject, _NONE).get(key.rule) or StoredAlert(Alert(key.subject, key.rule))
        for _ in range(MAX_CONFLICTS):
            alert = decide(stored.alert)
            if alert is stored.alert or alert == stored.alert:
                return None
            try:
                self._remember(await self._rows.write(alert, stored.etag))
            except (RowExists, RowChanged):
                stored = await self._rows.read(key)
                self._remember(stored)
                continue
            except StoreUnavailable:
                self._read_at = None  # it is not known whether it was written
                raise
            return alert
        raise StoreError(f"other processes changed the alert {key.rule} of {key.subject} {MAX_CONFLICTS} times")

    def _remember(self, stored: StoredAlert) -> None:
        key = stored.key
        self._written.add(key)
        if stored.alert.status is AlertStatus.PENDING:
            self._pending.add(key)
        else:
            self._pending.discard(key)
        if stored.alert.status is not AlertStatus.INACTIVE:
            self._by_subject.setdefault(key.subject, {})[key.rule] = stored
            return
        rules = self._by_subject.get(key.subject)
        if rules is not None:
            rules.pop(key.rule, None)
            if not rules:
                del self._by_subject[key.subject]
