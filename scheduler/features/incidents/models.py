"""Incidents, their alerts, transitions and decisions, as the API, the commands and the pages show them."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from pydantic import JsonValue

from scheduler.model_base import ListModel, ResponseModel, example_values

INCIDENT_ID = "1795856400000-5f2c1d9b"
"""Of examples."""
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


class TransitionListModel(ListModel[TransitionModel]):
    """Transitions, oldest first. `continuation` fetches later ones; null on the last page."""

    transitions: list[TransitionModel]
    continuation: str | None


class DecisionListModel(ListModel[DecisionModel]):
    """Decisions, oldest first. `continuation` fetches later ones; null on the last page."""

    decisions: list[DecisionModel]
    continuation: str | None


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


class IncidentMemberListModel(ListModel[IncidentMemberModel]):
    """Alerts in the order in which they fired. `continuation` fetches later ones; null on the last page."""

    members: list[IncidentMemberModel]
    continuation: str | None


class SharedCauseModel(ResponseModel):
    """What the lead of an incident shares with other jobs, and which of these are fine: they speak against the cause.
    `failing`, `sharing`, `fine_count`: jobs; those that are neither have not run since. `fine`: the first five.

    As it was when the latest alert joined. The first one leads the incident if `cause` of the incident names it.
    """

    model_config = example_values(
        cause="host api.example.com",
        failing=96,
        sharing=100,
        fine_count=2,
        fine=["cart-api", "search-api"],
        text="96 of 100 jobs on api.example.com fail, 2 not checked since, fine: cart-api, search-api",
    )

    cause: str
    failing: int
    sharing: int
    fine_count: int
    fine: list[str]
    text: str


_INCIDENT_EXAMPLE: Final[dict[str, JsonValue]] = {
    "id": INCIDENT_ID,
    "subject": "checkout-api",
    "rule": "failed",
    "severity": "down",
    "cause": "",
    "evidence": EVIDENCE,
    "opened_at": "2026-11-28T09:00:40Z",
    "failing_since": "2026-11-28T09:00:00.120Z",
    "resolved_at": None,
    "reopened_at": None,
    "announced": ["team-teams"],
    "suppression": "",
    "handling": "acknowledged by entra:ada at 2026-11-28 09:02:00Z",
    "acknowledged_by": "entra:ada",
    "snoozed_until": None,
    "url": f"/api/incidents/{INCIDENT_ID}",
}


class IncidentSummary(ResponseModel):
    """An incident. `subject`, `rule`, `severity`, `evidence`, `failing_since`: of the open alert that leads it, the
    worst that no parent explains, and of several the one that fails for the longest time. `cause`: what they share.

    `announced`: the channels that were sent the opening. `suppression`: why notifications are held back; `handling`:
    who has acknowledged or snoozed it. Both are texts, empty if nothing applies. `resolved_by`: who resolved it by
    hand.
    """

    model_config = example_values(**_INCIDENT_EXAMPLE)

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


class IncidentDetail(IncidentSummary):
    """An incident with its first 50 alerts, the worst first, and its first transitions. GET /api/incidents/{id}/members
    has all alerts. `transitions_continuation`: for GET /api/incidents/{id}/transitions; null if these are all.

    `shared`: what the lead shares with other jobs, with the counter-evidence; empty for callers that are limited to
    tags, as it counts jobs of others. `azure`: what Azure reports, by the setting `alerting.azure_health`.

    `affected`: how many subjects each severity has, `open_because_of`: the only rule that keeps it open after its first
    alert has ended. Both are texts, empty if nothing applies.
    """

    model_config = example_values(
        **_INCIDENT_EXAMPLE, affected="7 down, 2 degraded", open_because_of="", flapping_since=None
    )

    members: list[IncidentMemberModel]
    transitions: list[TransitionModel]
    transitions_continuation: str | None
    shared: list[SharedCauseModel] = []
    azure: list[str] = []
    affected: str = ""
    open_because_of: str = ""
    flapping_since: datetime | None = None


class IncidentListModel(ListModel[IncidentSummary]):
    """Incidents, newest first. `continuation` fetches older ones; null on the last page."""

    incidents: list[IncidentSummary]
    continuation: str | None
