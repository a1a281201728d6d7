"""The alerts that are not inactive, cached, and the only place that writes them. Used by evaluator.

Several processes write: a conflict is found by the etag of the row, which is then read and decided again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping

from jobs.alerting.alert import Alert, AlertStatus
from jobs.incidents.values import AlertKey
from jobs.ports import Clock
from scheduler.stores.alerting.engine import AlertRows, StoredAlert
from scheduler.stores.port import RowChanged, RowExists, StoreError, StoreUnavailable

MAX_CONFLICTS = 10
SHARED_ALERTS_MAX_AGE = 60.0
"""Seconds, where other processes judge runs and this one perhaps has no ticks."""
_NONE: Mapping[str, StoredAlert] = {}

AlertDecision = Callable[[Alert], Alert]
"""Returns the alert after a judgement; the same value if nothing changes. Called again after a conflict."""
ReadAgain = Callable[[], Awaitable[None]]
"""Reads again what a decision depends on."""


async def _read_nothing() -> None:
    """For decisions that depend on nothing that is stored."""


class KnownAlerts:
    """Methods that await raise StoreError. `max_age`: seconds after which alerts that were read are not relied on."""

    def __init__(self, rows: AlertRows, clock: Clock, max_age: float = float("inf")) -> None:
        self._rows = rows
        self._clock = clock
        self._max_age = max_age
        self._by_subject: dict[str, dict[str, StoredAlert]] = {}
        self._written: set[AlertKey] = set()
        """Alerts that were written, or read separately, since the latest refresh began."""
        self._pending: set[AlertKey] = set()
        self._read_at: float | None = None
        self._lock = asyncio.Lock()

    async def refresh(self, max_age: float = 0.0) -> None:
        """Read all alerts, unless the last read began less than `max_age` seconds ago."""
        if self._is_known_since(max_age):
            return
        async with self._lock:
            if not self._is_known_since(max_age):
                await self._refresh()

    async def refresh_subject(self, subject: str) -> None:
        """Read the alerts of one subject, which another process may have changed."""
        read = {each.key: each for each in await self._rows.list_of(subject)}
        for rule in self._by_subject.get(subject, _NONE):
            read.setdefault(AlertKey(subject, rule), StoredAlert(Alert(subject, rule)))
        for stored in read.values():
            self._remember(stored)

    def _is_known_since(self, max_age: float) -> bool:
        return self._read_at is not None and self._clock.monotonic() - self._read_at < max_age

    async def _refresh(self) -> None:
        self._written, self._read_at = set(), self._clock.monotonic()
        try:
            read = {each.key: each for each in await self._rows.list_all()}
        except BaseException:
            self._read_at = None
            raise
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

    def has_any(self, subject: str) -> bool:
        """Return whether the subject has an alert, or may have one because the alerts must be read again."""
        return subject in self._by_subject or not self._is_known_since(self._max_age)

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

    def list_of(self, subject: str) -> list[Alert]:
        """Return the alerts of a subject that are not inactive."""
        return [stored.alert for stored in self._by_subject.get(subject, _NONE).values()]

    async def change(self, key: AlertKey, decide: AlertDecision, read_again: ReadAgain = _read_nothing) -> Alert | None:
        """Store what `decide` makes of the alert. Return it, or None if nothing changes.

        `read_again`: called after a conflict: what the other process has judged may be newer than what was read here.
        """
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
                await read_again()
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
