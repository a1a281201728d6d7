"""Reads the incidents of a time, and derives from them what a replay cannot derive from runs.

Used by scheduler.alerting.backtest.backtester.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from datetime import UTC, datetime

from jobs.incidents.values import AlertDecision, AlertKey, Incident, Transition, TransitionKind
from scheduler.alerting.backtest.messages import IncidentHistory, history_of_stored
from scheduler.alerting.replay.history import ActionKind, RecordedAction, RecordedFiring
from scheduler.stores.alerting.incident_log import IncidentLog

_PAGE = 200
_ENTRIES = 1000
_UNTIL = re.compile(r" until (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC")
_ACTIONS = {
    TransitionKind.ACKNOWLEDGED: ActionKind.ACKNOWLEDGE,
    TransitionKind.SNOOZED: ActionKind.SNOOZE,
    TransitionKind.UNACKNOWLEDGED: ActionKind.UNACKNOWLEDGE,
    TransitionKind.NOTE_ADDED: ActionKind.NOTE,
    TransitionKind.RESOLVED: ActionKind.RESOLVE,
}


async def read_incidents(
    log: IncidentLog, since: datetime, until: datetime, subject: str | None = None, known: Container[str] = ()
) -> list[IncidentHistory]:
    """Return the incidents whose first alert fired in this time, apart from known ones. Raises StoreError."""
    found: list[IncidentHistory] = []
    after = ""
    while True:
        page = await log.list_page(subject=subject, since=since, until=until, limit=_PAGE, after=after)
        new = [incident for incident in page.incidents if incident.id not in known]
        found += await (_read_page(log, new) if subject is None else _read_each(log, new))
        after = page.continuation
        if not after:
            return found[::-1]


async def _read_page(log: IncidentLog, incidents: Sequence[Incident]) -> list[IncidentHistory]:
    """Read incidents that follow each other."""
    if not incidents:
        return []
    ids = [incident.id for incident in incidents]
    transitions = await log.list_transitions_between(min(ids), max(ids))
    decisions = await log.list_decisions_between(min(ids), max(ids))
    return [history_of_stored(one, transitions.get(one.id, []), decisions.get(one.id, [])) for one in incidents]


async def _read_each(log: IncidentLog, incidents: Sequence[Incident]) -> list[IncidentHistory]:
    return [await read_history(log, incident) for incident in incidents]


async def read_history(log: IncidentLog, incident: Incident) -> IncidentHistory:
    """Return an incident with its transitions and decisions. Raises StoreError."""
    transitions: list[Transition] = []
    decisions: list[AlertDecision] = []
    after = ""
    while True:
        page = await log.list_transitions(incident.id, limit=_ENTRIES, after=after)
        transitions += page.entries
        after = page.continuation
        if not after:
            break
    while True:
        decided = await log.list_decisions(incident.id, limit=_ENTRIES, after=after)
        decisions += decided.entries
        after = decided.continuation
        if not after:
            return history_of_stored(incident, transitions, decisions)


def list_actions(histories: Iterable[IncidentHistory]) -> Iterator[RecordedAction]:
    """Yield what people did with the incidents."""
    for history in histories:
        for each in history.transitions:
            kind = _ACTIONS.get(each.kind) if each.actor else None
            if kind is not None:
                until = _UNTIL.search(each.text)
                end = None if until is None else datetime.strptime(until[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
                note = each.text if kind is ActionKind.NOTE else each.text.partition(f"{each.actor}: ")[2]
                yield RecordedAction(history.incident.lead, each.at, kind, each.actor, note, end)


def list_firings(
    histories: Iterable[IncidentHistory], is_recorded: Callable[[AlertKey], bool]
) -> Iterator[RecordedFiring]:
    """Yield when alerts fired whose condition is not derived from runs."""
    for history in histories:
        for member in history.incident.members:
            if is_recorded(member.key):
                yield RecordedFiring(
                    member.key, member.fired_at, member.failing_since, member.evidence, member.resolved_at
                )
