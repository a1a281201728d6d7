"""Alerts, and the explanation of those of a job, as the API, the command and the page show them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from scheduler.features.incidents.models import EVIDENCE
from scheduler.model_base import ListModel, ResponseModel, example_values


class AlertModel(ResponseModel):
    """A rule whose condition is met for a subject. `pending`: not as long as the rule requires."""

    model_config = example_values(
        subject="checkout-api", rule="failed", failing_since="2026-11-28T09:00:00.120Z", evidence=EVIDENCE
    )

    subject: str
    rule: str
    status: Literal["pending", "firing"]
    since: datetime | None
    failing_since: datetime | None
    evidence: str


class AlertListModel(ListModel[AlertModel]):
    """Alerts by subject, then rule. `continuation` fetches the next page; null on the last."""

    alerts: list[AlertModel]
    continuation: str | None


class HeldBackModel(ResponseModel):
    """What holds back notifications. `kind`: window, silence or mute_time. `until`: null if its end is not known."""

    model_config = example_values(kind="window", name="patching", reason="release 42")

    kind: str
    name: str
    reason: str
    until: datetime | None


class ExplainedRuleModel(ResponseModel):
    """A rule, with its alert at the instant. `needed`: what was missing for it to fire; empty if nothing was.

    `routing`: the channels, and the rule or route that names them.
    """

    model_config = example_values(
        name="failed",
        rule="failed: failed, open_after 3 of 5, severity down",
        status="inactive",
        since=None,
        evidence="2 of the last 5 runs failed: connection refused",
        needed="2 of the last 5 are bad, 3 of 5 are needed",
        channels=["mail"],
        routing="notifies mail by route 1 (route 1: matched)",
    )

    name: str
    rule: str
    status: str
    since: datetime | None
    evidence: str
    needed: str
    channels: list[str]
    routing: str
    held_back_by: HeldBackModel | None


class ExplainedIncidentModel(ResponseModel):
    """An incident near the instant. `lines`: what was recorded about the job in it, the oldest first."""

    model_config = example_values(
        id="1795867338085-2a5d2129",
        status="open",
        lead="router",
        lines=["12:02:28 router, on which shop depends, fails: no separate notification"],
    )

    id: str
    status: str
    lead: str
    lines: list[str]


class AlertExplanationModel(ResponseModel):
    """`summary`: the answer. `reasons`: what prevents notifications, the most important first. `origin`: of the rules.

    `counterfactuals`: what would have happened without what holds notifications back. `notes`: what is not known.
    """

    model_config = example_values(
        job="shop",
        summary="shop has no alert at 2026-11-28 12:02:45 UTC: failed: 2 of the last 5 are bad, 3 of 5 are needed.",
        origin="alerts of the job (jobs/shop.yaml:7)",
        reasons=["failed: 2 of the last 5 are bad, 3 of 5 are needed"],
        counterfactuals=[],
        notes=[],
    )

    job: str
    at: datetime
    summary: str
    origin: str
    rules: list[ExplainedRuleModel]
    reasons: list[str]
    counterfactuals: list[str]
    incidents: list[ExplainedIncidentModel]
    notes: list[str]
