"""Acknowledges, snoozes and resolves incidents, withdraws an acknowledgement or a snooze, and adds notes.

Each change is in the audit trail before it is made. A caller that is limited to tags changes the incidents that it sees
(scheduler.features.incidents.visibility).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from jobs.formats import format_instant, format_iso_instant
from jobs.incidents.engine.announcing import (
    MAX_NOTE,
    ActionRefused,
    acknowledge,
    add_note,
    resolve_by_hand,
    snooze,
    unacknowledge,
)
from jobs.incidents.engine.facts import IncidentStep
from jobs.incidents.values import Incident
from jobs.ports import Clock
from scheduler.alerting.engine_runner import Action, IncidentChanges, UnknownIncident
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Catalog, Operation
from scheduler.errors import Conflict, InvalidArgument, NotFound
from scheduler.features.incidents.models import IncidentSummary
from scheduler.features.incidents.queries import incident_not_found, summarize_incident, view_incident
from scheduler.features.incidents.visibility import SubjectVisibility
from scheduler.identity.principal import Caller
from scheduler.operations import find_end
from scheduler.stores.alerting.incident_log import IncidentLog

MAX_SNOOZE: Final = timedelta(days=30)


class IncidentManager(Operation):
    """All methods return the changed incident as the caller sees it, and raise:

    NotFound: it does not exist for the caller.
    Conflict: it is resolved, or has this state already.
    InvalidArgument: a note is empty or too long, or an instant is in the past.
    StoreError: the change could not be recorded, and nothing was changed; or it is unknown whether it was changed.
    """

    def __init__(
        self, catalog: Catalog, log: IncidentLog, changes: IncidentChanges, clock: Clock, audit: AuditTrail
    ) -> None:
        self._catalog = catalog
        self._log = log
        self._changes = changes
        self._clock = clock
        self._audit = audit

    async def acknowledge(self, incident: str, *, note: str = "", caller: Caller) -> IncidentSummary:
        """Hold back reminders and escalations until the incident is resolved."""
        actor = caller.principal.id
        _check_note(note)
        return await self._change(
            incident,
            "incident.acknowledge",
            "was acknowledged",
            {"acknowledged_by": actor, "note": note},
            lambda current, now: acknowledge(current, actor, now, note),
            caller,
        )

    async def snooze(
        self,
        incident: str,
        *,
        until: datetime | None = None,
        seconds: float | None = None,
        note: str = "",
        caller: Caller,
    ) -> IncidentSummary:
        """Hold back reminders and escalations until an instant, or for a time. One of both is required."""
        end = self._find_end(until, seconds)
        actor = caller.principal.id
        _check_note(note)
        return await self._change(
            incident,
            "incident.snooze",
            f"was snoozed until {format_instant(end)}",
            {"snoozed_by": actor, "snoozed_until": format_iso_instant(end), "note": note},
            lambda current, now: snooze(current, actor, now, end, note),
            caller,
        )

    async def unacknowledge(self, incident: str, *, note: str = "", caller: Caller) -> IncidentSummary:
        """Withdraw the acknowledgement or the snooze. An open incident that has neither is unchanged."""
        actor = caller.principal.id
        _check_note(note)

        def withdraw(current: Incident, now: datetime) -> IncidentStep:
            is_withdrawn = current.is_open and not current.is_handled
            return IncidentStep(current, current) if is_withdrawn else unacknowledge(current, actor, now, note)

        return await self._change(
            incident,
            "incident.unacknowledge",
            "is not acknowledged any more",
            {"note": note},
            withdraw,
            caller,
        )

    async def add_note(self, incident: str, note: str, *, caller: Caller) -> IncidentSummary:
        """Add a text to the history of the incident."""
        _check_note(note)
        if not note.strip():
            raise InvalidArgument("note", "is empty: write what the others should know")
        actor = caller.principal.id
        return await self._change(
            incident,
            "incident.note",
            "has a new note",
            {"note": note.strip()},
            lambda current, now: add_note(current, actor, now, note),
            caller,
        )

    async def resolve(self, incident: str, *, note: str = "", caller: Caller) -> IncidentSummary:
        """Resolve the incident although its alerts fire. Each of them opens an incident only when it fires anew."""
        actor = caller.principal.id
        _check_note(note)
        return await self._change(
            incident,
            "incident.resolve",
            "was resolved by hand",
            {"status": "resolved", "resolved_by": actor, "note": note},
            lambda current, now: resolve_by_hand(current, actor, now, note),
            caller,
        )

    async def _change(
        self, incident: str, action: str, summary: str, after: Mapping[str, Any], act: Action, caller: Caller
    ) -> IncidentSummary:
        stored = await self._log.find(incident)
        if stored is None:
            raise incident_not_found(incident)
        visibility = SubjectVisibility(self._catalog)

        def act_if_visible(current: Incident, now: datetime) -> IncidentStep:
            if not visibility.sees(current):
                raise incident_not_found(incident)
            try:
                return act(current, now)
            except ActionRefused as refused:
                raise Conflict(str(refused)) from None

        # What is refused or changes nothing is not in the audit trail.
        if act_if_visible(stored, self._clock.now()).incident is stored:
            return self._show(stored, visibility)
        jobs = tuple(sorted({each.key.subject for each in stored.members}))
        change = AuditedChange(
            action,
            incident,
            f"incident {incident} about {stored.leading.key.subject} {summary}",
            jobs,
            _describe_state(stored),
            {name: value for name, value in after.items() if value},
        )
        async with audited(self._audit, caller, change):
            try:
                changed = await self._changes.apply(incident, act_if_visible)
            except UnknownIncident:
                raise incident_not_found(incident) from None
        return self._show(changed, visibility)

    def _show(self, incident: Incident, visibility: SubjectVisibility) -> IncidentSummary:
        shown = visibility.show_incident(incident)
        if shown is None:
            raise NotFound(f"incident {incident.id} does not exist any more")
        return summarize_incident(view_incident(shown, visibility, self._clock.now()))

    def _find_end(self, until: datetime | None, seconds: float | None) -> datetime:
        now = self._clock.now()
        if seconds is not None and not 0 < seconds <= MAX_SNOOZE.total_seconds():
            raise InvalidArgument("for", f"a snooze lasts more than 0 s and at most {MAX_SNOOZE.days} days")
        end = find_end("until", until, seconds, now)
        if end <= now:
            raise InvalidArgument("until", f"{format_instant(end)} is in the past: it is {format_instant(now)}")
        if end - now > MAX_SNOOZE:
            raise InvalidArgument(
                "until", f"a snooze lasts at most {MAX_SNOOZE.days} days: acknowledge the incident instead"
            )
        return end


def _check_note(note: str) -> None:
    if len(note) > MAX_NOTE:
        raise InvalidArgument("note", f"{len(note)} characters, but at most {MAX_NOTE} are allowed")


def _describe_state(incident: Incident) -> dict[str, object]:
    """Return what the actions change of an incident, for the audit trail."""
    state = {
        "status": incident.status.value,
        "acknowledged_by": incident.acknowledged_by,
        "snoozed_until": None if incident.snoozed_until is None else format_iso_instant(incident.snoozed_until),
    }
    return {name: value for name, value in state.items() if value}
