"""The incidents of a replay: passes of the engine over alerts and facts, and what they decided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jobs.alerting.alert import Alert
from jobs.incidents.actions import ActionRefused, acknowledge, add_note, resolve_by_hand, snooze, unacknowledge
from jobs.incidents.engine.facts import AlertFacts
from jobs.incidents.engine.passing import PassResult, run_pass
from jobs.incidents.engine.step import IncidentStep
from jobs.incidents.values import AlertDecision, Incident, Notification, Transition
from scheduler.alerting.replay.history import ActionKind, RecordedAction


@dataclass(slots=True)
class ReplayedIncident:
    """`incident`: its latest value; the others: what was added to it, in the order of time."""

    incident: Incident
    transitions: list[Transition] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    decisions: list[AlertDecision] = field(default_factory=list)


class ReplayedIncidents:
    """`found`: every incident by id. `due_at`: when the next pass is due even if nothing happens."""

    def __init__(self) -> None:
        self.found: dict[str, ReplayedIncident] = {}
        self.due_at: datetime | None = None
        self._live: dict[str, Incident] = {}

    @property
    def open(self) -> list[Incident]:
        return [incident for incident in self._live.values() if incident.is_open]

    def run_pass(self, alerts: Iterable[Alert], facts: AlertFacts) -> PassResult:
        ended = [incident for incident in self._live.values() if not incident.is_open]
        ended.sort(key=lambda each: (each.resolved_at or each.opened_at, each.id), reverse=True)
        result = run_pass(self.open, alerts, facts, resolved=ended)
        for step in result.steps:
            self._store(step)
        for incident in result.expired:
            self._live.pop(incident, None)
        self.due_at = result.due_at
        return result

    def act(self, action: RecordedAction) -> None:
        """Repeat what a person did, if the alert leads an open incident now."""
        for incident in self.open:
            if incident.lead == action.lead:
                try:
                    self._store(_step_of(action, incident))
                except ActionRefused:
                    return

    def unannounced(self) -> Sequence[Incident]:
        return [incident for incident in self.open if not incident.is_announced]

    def _store(self, step: IncidentStep) -> None:
        incident = step.incident
        self._live[incident.id] = incident
        stored = self.found.setdefault(incident.id, ReplayedIncident(incident))
        stored.incident = incident
        stored.transitions += step.transitions
        stored.notifications += step.notifications
        stored.decisions += step.decisions


def _step_of(action: RecordedAction, incident: Incident) -> IncidentStep:
    match action.kind:
        case ActionKind.ACKNOWLEDGE:
            return acknowledge(incident, action.actor, action.at, action.note)
        case ActionKind.SNOOZE:
            return snooze(incident, action.actor, action.at, action.until or action.at, action.note)
        case ActionKind.UNACKNOWLEDGE:
            return unacknowledge(incident, action.actor, action.at, action.note)
        case ActionKind.NOTE:
            return add_note(incident, action.actor, action.at, action.note)
        case ActionKind.RESOLVE:
            return resolve_by_hand(incident, action.actor, action.at, action.note)
