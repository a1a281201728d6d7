"""The condition `secret_days_below`: a secret that the job uses expires soon."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import Field

from jobs.alerting.alert import Verdict
from jobs.alerting.conditions.base import AlertCondition, describe_expiry
from jobs.alerting.facts import AlertNeeds, SampleHistory, SubjectFacts, Thresholds


class SecretDaysCondition(AlertCondition):
    """Secrets without a known expiry do not count."""

    EXAMPLE: ClassVar = "{secret_days_below: 14}"
    DEFAULT_SEVERITY: ClassVar = "degraded"

    secret_days_below: float = Field(gt=0, le=3650)

    def find_needs(self, thresholds: Thresholds) -> AlertNeeds:
        return AlertNeeds(has_secrets=True, is_timed=True)

    def judge(
        self, history: SampleHistory, facts: SubjectFacts, now: datetime, is_firing: bool, thresholds: Thresholds
    ) -> Verdict:
        if facts.secrets is None:
            return Verdict(None, "the expiry of the secrets is not known")
        expiring = sorted((each.expires_at, each.name) for each in facts.secrets if each.expires_at is not None)
        if not expiring:
            return Verdict(False, "no secret of the job has a known expiry")
        limit = timedelta(days=self.secret_days_below)
        soon = [name for expires_at, name in expiring if expires_at - now < limit]
        expires_at, name = expiring[0]
        more = f"; {len(soon) - 1} more expire soon: {', '.join(soon[1:4])}" if len(soon) > 1 else ""
        evidence = f"the secret {name} {describe_expiry(expires_at, now)}{more}"
        return Verdict(bool(soon), evidence, expires_at - limit if soon else None)
