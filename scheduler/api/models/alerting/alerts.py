"""Response models of alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from jobs.alerting.alert import Alert
from scheduler.api.model_base import ResponseModel, example_values
from scheduler.api.models.alerting.history import EVIDENCE


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
