"""The routes that list alerts and explain them, with their models.

The explanation is not for callers that are limited to tags: parents and incidents name other jobs.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Query

from jobs.alerting.alert import Alert, AlertStatus
from scheduler.api.problems import InvalidInput, UnusableValue
from scheduler.api.routing import ApiRouter, Continuation, JobName, JobParameter, Limit, ServicesDep
from scheduler.features.alerts.explanation import AlertExplanation, explanation_fields
from scheduler.features.alerts.queries import AlertFilter
from scheduler.features.incidents.models import EVIDENCE
from scheduler.features.statistics.periods import InvalidTimeRange, parse_time_range
from scheduler.model_base import ResponseModel, example_values


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

    @classmethod
    def from_alert(cls, alert: Alert) -> AlertModel:
        return cls(
            subject=alert.subject,
            rule=alert.rule,
            status="firing" if alert.is_firing else "pending",
            since=alert.changed_at,
            failing_since=alert.failing_since,
            evidence=alert.evidence,
        )


class AlertListModel(ResponseModel):
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

    @classmethod
    def from_explanation(cls, found: AlertExplanation) -> AlertExplanationModel:
        return cls.model_validate(explanation_fields(found))


alerts_router = ApiRouter("incidents", by_tag=True)


@alerts_router.read("/api/alerts")
async def list_alerts(
    services: ServicesDep,
    job: JobParameter = None,
    status: Annotated[
        str | None,
        Query(
            description="Only pending or only firing ones",
            pattern="^(pending|firing)$",
            json_schema_extra={"enum": ["pending", "firing"]},
        ),
    ] = None,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> AlertListModel:
    """List the rules whose condition is met now, by job or group. `job`: also a group."""
    criteria = AlertFilter(job, None if status is None else AlertStatus(status))
    page = await services.alerts.list_alerts(criteria, limit=limit, after=continuation or "")
    return AlertListModel(alerts=[AlertModel.from_alert(each) for each in page.alerts], continuation=page.continuation)


explanations_router = ApiRouter("incidents")


@explanations_router.read("/api/jobs/{name}/alert-explanation")
async def explain_alert(
    services: ServicesDep,
    name: JobName,
    at: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=50,
            description="Instant: ISO 8601, UTC without an offset; or a duration before now, 8h. Default: now",
            examples=["2026-11-25T01:00:00Z"],
        ),
    ] = None,
    rule: Annotated[str | None, Query(max_length=100, description="Only this rule of the job")] = None,
) -> AlertExplanationModel:
    """Explain in English why an alert of a job did or did not notify at an instant, and what would have happened
    otherwise.
    """
    try:
        instant = parse_time_range(None, at, services.clock.now()).until
    except InvalidTimeRange as error:
        raise UnusableValue(InvalidInput(location="query.at", message=error.message, hint=error.hint)) from None
    return AlertExplanationModel.from_explanation(await services.alert_explainer.explain(name, instant, rule))
