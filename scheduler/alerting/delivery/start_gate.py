"""Hold back messages that were stored before the scheduler started, until the jobs that they are about have run again.

A reminder that a process stored before it was killed would report hours later that a job fails which is well. When the
job recovers in its first run, the resolution is stored, and both are one message. Built by
scheduler.app.alerting_setup, called by the passes over a channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from jobs.incidents.values import Incident, TransitionKind
from jobs.notifications.outbox import REPEATED_KINDS, OutboxRow
from jobs.ports import Clock
from scheduler.stores.schedules import LONGEST_TICK_GAP

_OPENINGS = frozenset({TransitionKind.OPENED, TransitionKind.REOPENED, TransitionKind.JOINED, TransitionKind.RAISED})
_POLL_INTERVAL = timedelta(seconds=10)
"""Between two checks whether the jobs have run."""


class FirstRunFacts(Protocol):
    async def find_first_runs_end(self, incident: Incident, now: datetime, *, is_missed: bool) -> datetime | None:
        """See scheduler.alerting.facts_source."""
        ...


class IncidentReads(Protocol):
    async def find(self, incident: str) -> Incident | None: ...


class StartGate:
    """Implements DeliveryGate."""

    def __init__(self, incidents: IncidentReads, facts: FirstRunFacts, clock: Clock) -> None:
        self._incidents = incidents
        self._facts = facts
        self._clock = clock
        self._began_at = clock.now()

    async def hold(self, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        now, held = self._clock.now(), dict[str, datetime]()
        for incident in dict.fromkeys(row.notification.incident for row in rows):
            kinds = {row.notification.kind for row in rows if row.notification.incident == incident}
            due_at = max(row.notification.due_at for row in rows if row.notification.incident == incident)
            is_fresh = due_at >= self._began_at and due_at + LONGEST_TICK_GAP >= now
            if is_fresh or not kinds <= REPEATED_KINDS | _OPENINGS:
                continue
            found = await self._incidents.find(incident)
            if found is not None and (end := await self._find_end(found, kinds, now)) is not None:
                held[incident] = end
        return [_postpone(row, held.get(row.notification.incident)) for row in rows]

    async def _find_end(self, incident: Incident, kinds: set[TransitionKind], now: datetime) -> datetime | None:
        if not incident.is_open:
            return None  # the resolution follows, and replaces these messages
        is_missed = bool(kinds & _OPENINGS)
        end = await self._facts.find_first_runs_end(incident, now, is_missed=is_missed)
        return None if end is None else min(end, now + _POLL_INTERVAL)


def _postpone(row: OutboxRow, until: datetime | None) -> OutboxRow:
    return row if until is None else replace(row, next_attempt_at=max(until, row.next_attempt_at or until))
