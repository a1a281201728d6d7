"""Response models of incidents, their transitions and their decisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from jobs.incidents.headline import sort_members
from jobs.incidents.values import AlertDecision, Member, Transition
from scheduler.features.incidents.facts import MemberFacts
from scheduler.features.incidents.queries import IncidentDetails, IncidentView
from scheduler.features.incidents.texts import EVIDENCE, INCIDENT_ID, TransitionName
from scheduler.model_base import ResponseModel, example_values
from scheduler.stores.alerting.incident_log import EntryPage


class TransitionModel(ResponseModel):
    """A change of an incident. `number`: 1 for the opening. `actor`: who caused it; empty if the scheduler did.

    `subject`, `rule`: of the alert that it is about; null for the whole incident.
    """

    model_config = example_values(
        number=1, kind="opened", text=f"checkout-api: {EVIDENCE}", actor="", subject="checkout-api", rule="failed"
    )

    number: int
    kind: TransitionName
    at: datetime
    text: str
    actor: str
    subject: str | None
    rule: str | None

    @classmethod
    def from_transition(cls, transition: Transition) -> TransitionModel:
        return cls(
            number=transition.number,
            kind=transition.kind.value,
            at=transition.at,
            text=transition.text,
            actor=transition.actor,
            subject=transition.key.subject if transition.key else None,
            rule=transition.key.rule if transition.key else None,
        )


class SuppressionModel(ResponseModel):
    """What holds back notifications. `name`: of the window, route or parent, or the id of the silence. `title`: for
    people. `until` null: not known.
    """

    model_config = example_values(name="patching", title="window patching", reason="patches of the database (CHG0042)")

    kind: Literal["window", "silence", "mute_time", "parent", "blind", "snoozed", "acknowledged"]
    name: str
    title: str
    reason: str
    until: datetime | None


class DecisionModel(ResponseModel):
    """Why something was announced, held back, delivered or changed. `inputs`: the values that decided."""

    model_config = example_values(
        code="held_back_window",
        text="held back by the window patching (until 2026-11-28 10:00 UTC): patches of the database (CHG0042)",
        subject=None,
        rule=None,
        inputs={},
    )

    at: datetime
    code: str
    text: str
    subject: str | None
    rule: str | None
    suppression: SuppressionModel | None
    inputs: dict[str, str]

    @classmethod
    def from_decision(cls, decision: AlertDecision) -> DecisionModel:
        found = decision.suppression
        return cls(
            at=decision.at,
            code=decision.code,
            text=decision.text,
            subject=decision.key.subject if decision.key else None,
            rule=decision.key.rule if decision.key else None,
            suppression=None
            if found is None
            else SuppressionModel(
                kind=found.kind.value, name=found.name, title=found.titles, reason=found.reason, until=found.until
            ),
            inputs=dict(decision.inputs),
        )


class TransitionListModel(ResponseModel):
    """Transitions, oldest first. `continuation` fetches later ones; null on the last page."""

    transitions: list[TransitionModel]
    continuation: str | None

    @classmethod
    def from_page(cls, page: EntryPage[Transition]) -> TransitionListModel:
        found = [TransitionModel.from_transition(each) for each in page.entries]
        return cls(transitions=found, continuation=page.continuation or None)


class DecisionListModel(ResponseModel):
    """Decisions, oldest first. `continuation` fetches later ones; null on the last page."""

    decisions: list[DecisionModel]
    continuation: str | None

    @classmethod
    def from_page(cls, page: EntryPage[AlertDecision]) -> DecisionListModel:
        found = [DecisionModel.from_decision(each) for each in page.entries]
        return cls(decisions=found, continuation=page.continuation or None)


class IncidentMemberModel(ResponseModel):
    """An alert of an incident. `subject`: a job or a group. `parent`: the subject whose failure explains this one.

    `target`: what the job checks, without secrets; `expected`, `observed`, `answer`: of its latest failed run, `answer`
    being the first 200 characters that the target answered. What is not known is empty; a group has no target.
    """

    model_config = example_values(
        subject="checkout-api",
        rule="failed",
        severity="down",
        evidence=EVIDENCE,
        parent="",
        resolved_at=None,
        target="GET https://checkout.internal/health",
        description="Health of the checkout API",
        expected="status 200",
        observed="503",
        answer="no healthy upstream",
    )

    subject: str
    rule: str
    severity: str
    fired_at: datetime
    failing_since: datetime
    evidence: str
    parent: str
    resolved_at: datetime | None
    target: str = ""
    description: str = ""
    expected: str = ""
    observed: str = ""
    answer: str = ""

    @classmethod
    def from_member(cls, member: Member, facts: MemberFacts) -> IncidentMemberModel:
        return cls(
            subject=member.key.subject,
            rule=member.key.rule,
            severity=member.severity,
            fired_at=member.fired_at,
            failing_since=member.failing_since,
            evidence=member.evidence,
            parent=member.parent,
            resolved_at=member.resolved_at,
            target=facts.target,
            description=facts.description,
            expected=facts.expected,
            observed=facts.observed,
            answer=facts.answer,
        )


class IncidentSummary(ResponseModel):
    """An incident. `subject`, `rule`, `severity`, `evidence`, `failing_since`: of the open alert that leads it, the
    worst that no parent explains, and of several the one that fails for the longest time. `cause`: what they share.

    `announced`: the channels that were sent the opening. `suppression`: why notifications are held back; `handling`:
    who has acknowledged or snoozed it. Both are texts, empty if nothing applies. `resolved_by`: who resolved it by
    hand.
    """

    model_config = example_values(
        id=INCIDENT_ID,
        subject="checkout-api",
        rule="failed",
        severity="down",
        cause="",
        evidence=EVIDENCE,
        opened_at="2026-11-28T09:00:40Z",
        failing_since="2026-11-28T09:00:00.120Z",
        resolved_at=None,
        reopened_at=None,
        announced=["team-teams"],
        suppression="",
        handling="acknowledged by entra:ada at 2026-11-28 09:02:00Z",
        acknowledged_by="entra:ada",
        snoozed_until=None,
        url=f"/api/incidents/{INCIDENT_ID}",
    )

    id: str
    status: Literal["open", "resolved"]
    severity: str
    subject: str
    rule: str
    cause: str
    evidence: str
    member_count: int
    failing_since: datetime
    opened_at: datetime
    reopened_at: datetime | None
    resolved_at: datetime | None
    resolved_by: str
    is_flapping: bool
    announced: list[str]
    suppression: str
    handling: str
    acknowledged_by: str
    snoozed_until: datetime | None
    url: str

    @classmethod
    def from_view(cls, view: IncidentView) -> IncidentSummary:
        return cls(**_summary_fields(view))


class IncidentDetail(IncidentSummary):
    """An incident with its alerts, the worst first, and its first transitions. `transitions_continuation`: for GET
    /api/incidents/{id}/transitions; null if these are all."""

    members: list[IncidentMemberModel]
    transitions: list[TransitionModel]
    transitions_continuation: str | None

    @classmethod
    def from_details(cls, details: IncidentDetails) -> IncidentDetail:
        return cls(
            **_summary_fields(details.view),
            members=[
                IncidentMemberModel.from_member(each, details.facts[each.key])
                for each in sort_members(details.view.incident)
            ],
            transitions=[TransitionModel.from_transition(each) for each in details.transitions],
            transitions_continuation=details.continuation or None,
        )


class IncidentListModel(ResponseModel):
    """Incidents, newest first. `continuation` fetches older ones; null on the last page."""

    incidents: list[IncidentSummary]
    continuation: str | None


def _summary_fields(view: IncidentView) -> dict[str, Any]:
    incident = view.incident
    return {
        "id": incident.id,
        "status": incident.status.value,
        "severity": incident.severity,
        "subject": incident.leading.key.subject,
        "rule": incident.leading.key.rule,
        "cause": incident.cause,
        "evidence": incident.leading.evidence,
        "member_count": len(incident.members),
        "failing_since": incident.failing_since,
        "opened_at": incident.opened_at,
        "reopened_at": incident.reopened_at,
        "resolved_at": incident.resolved_at,
        "resolved_by": incident.resolved_by,
        "is_flapping": incident.is_flapping,
        "announced": list(dict.fromkeys(each.channel for each in incident.announced)),
        "suppression": view.suppression,
        "handling": view.handling,
        "acknowledged_by": incident.acknowledged_by,
        "snoozed_until": incident.snoozed_until,
        "url": f"/api/incidents/{incident.id}",
    }
