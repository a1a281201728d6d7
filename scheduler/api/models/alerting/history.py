"""Response models of the transitions and decisions of an incident."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from jobs.incidents.values import AlertDecision, Transition
from scheduler.api.model_base import ResponseModel, example_values
from scheduler.stores.alerting.incident_log import EntryPage

EVIDENCE = "3 of 3 runs failed: Expected status 200, got 503."
"""Of examples."""

TransitionName = Literal[
    "opened",
    "reopened",
    "joined",
    "left",
    "raised",
    "flapping",
    "acknowledged",
    "snoozed",
    "unacknowledged",
    "note_added",
    "reminded",
    "escalated",
    "resolved",
]


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
