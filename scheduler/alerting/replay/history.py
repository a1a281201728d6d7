"""What a replay is given, and the incidents that follow.

Given are the runs of jobs, what cannot be derived from runs, and the definitions (rules, windows, silences and routes)
as they were at an instant of the replay: pure values, read from the store or made by tests. Incidents are made by
passes of the engine over alerts and facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from jobs.alerting.alert import Alert
from jobs.alerting.comparison import ComparedHours, HoursNeed
from jobs.alerting.facts import Sample
from jobs.fast_frozen import fast_frozen
from jobs.incidents.engine.announcing import (
    ActionRefused,
    acknowledge,
    add_note,
    resolve_by_hand,
    snooze,
    unacknowledge,
)
from jobs.incidents.engine.facts import GROUP_WAIT, AlertFacts, IncidentStep
from jobs.incidents.engine.passing import PassResult, run_pass
from jobs.incidents.routes import RoutingTable
from jobs.incidents.suppression.finding import SuppressionSet
from jobs.incidents.values import AlertDecision, AlertKey, Incident, Notification, Suppression, Transition
from scheduler.alerting.rule_book import RuleBook


@fast_frozen(frozen=True, slots=True)
class ReplayRun:
    """A finished run. `sample`: None if it takes no place. `causes`: what its failure may share with others."""

    due_at: datetime
    finished_at: datetime
    sample: Sample | None = None
    causes: tuple[str, ...] = ()


@fast_frozen(frozen=True, slots=True)
class PauseSpan:
    """A time in which a job was paused. `end`: None if it lasts."""

    begin: datetime
    end: datetime | None
    suppression: Suppression


@fast_frozen(frozen=True, slots=True)
class KnownCertificate:
    """The certificate that the newest run had obtained from an instant on."""

    at: datetime
    expires_at: datetime


@fast_frozen(frozen=True, slots=True)
class JobHistory:
    """`runs`: by the instant at which they finished.

    Runs between them may be missing if they could not change an alert: those of a time in which all were good, or all
    were bad, apart from as many at both ends as the rules count.
    """

    job: str
    runs: tuple[ReplayRun, ...] = ()
    pauses: tuple[PauseSpan, ...] = ()
    certificates: tuple[KnownCertificate, ...] = ()
    compared: Mapping[datetime, Mapping[HoursNeed, ComparedHours]] = field(default_factory=dict)
    """What rules compare, by the ends of the hours at which their verdicts may change."""


@fast_frozen(frozen=True, slots=True)
class RecordedFiring:
    """When an alert fired whose condition cannot be derived from runs, such as an open circuit."""

    key: AlertKey
    fired_at: datetime
    failing_since: datetime
    evidence: str = ""
    resolved_at: datetime | None = None


class ActionKind(StrEnum):
    """What a person does with an incident."""

    ACKNOWLEDGE = "acknowledge"
    SNOOZE = "snooze"
    UNACKNOWLEDGE = "unacknowledge"
    NOTE = "note"
    RESOLVE = "resolve"


@fast_frozen(frozen=True, slots=True)
class RecordedAction:
    """What a person did with the open incident that an alert leads."""

    lead: AlertKey
    at: datetime
    kind: ActionKind
    actor: str
    note: str = ""
    until: datetime | None = None


@fast_frozen(frozen=True, slots=True)
class ReplayInput:
    """`begin`: where the replay starts, without any alert; it can be long before what is of interest."""

    begin: datetime
    end: datetime
    histories: tuple[JobHistory, ...] = ()
    firings: tuple[RecordedFiring, ...] = ()
    actions: tuple[RecordedAction, ...] = field(default=())


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


@dataclass(frozen=True)
class ReplayDefinitions:
    """`suppressions`: also those that have ended."""

    book: RuleBook
    suppressions: SuppressionSet = field(default_factory=SuppressionSet)
    routing: RoutingTable = field(default_factory=RoutingTable)
    group_wait: timedelta = GROUP_WAIT
    _known: dict[tuple[int, int], SuppressionSet] = field(default_factory=dict, repr=False, compare=False)

    def suppressions_at(self, now: datetime) -> SuppressionSet:
        """Return those that had been requested at an instant: a silence holds back nothing before it was created."""
        every = self.suppressions
        requested = tuple(each for each in every.requested if each.created_at <= now)
        silences = tuple(each for each in every.silences if each.created_at <= now)
        key = len(requested), len(silences)
        if key not in self._known:
            self._known[key] = SuppressionSet(every.windows, requested, silences)
        return self._known[key]
