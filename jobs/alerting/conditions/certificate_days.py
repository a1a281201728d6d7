"""The condition `certificate_days_below`: the certificate of the target expires soon."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import Field

from jobs.alerting.alert import Verdict
from jobs.alerting.conditions.base import AlertCondition, describe_expiry
from jobs.alerting.facts import AlertNeeds, Sample, SampleHistory, SubjectFacts, Thresholds


class CertificateDaysCondition(AlertCondition):
    """The certificate is that of the newest run that obtained one."""

    EXAMPLE: ClassVar = "{certificate_days_below: 14}"
    DEFAULT_SEVERITY: ClassVar = "degraded"

    certificate_days_below: float = Field(gt=0, le=3650)

    def find_needs(self, thresholds: Thresholds) -> AlertNeeds:
        return AlertNeeds(samples=1, has_certificate=True, is_timed=True)

    def is_bad(self, sample: Sample) -> bool:
        expires_at = sample.certificate_expires_at
        return expires_at is not None and expires_at - sample.finished_at < self.limit

    def judge(
        self, history: SampleHistory, facts: SubjectFacts, now: datetime, is_firing: bool, thresholds: Thresholds
    ) -> Verdict:
        found = (sample.certificate_expires_at for sample in reversed(history.samples))
        expires_at = next((each for each in found if each is not None), facts.certificate_expires_at)
        if expires_at is None:
            return Verdict(None, "no run has obtained a certificate")
        is_met = expires_at - now < self.limit
        evidence = f"the certificate {describe_expiry(expires_at, now)}"
        return Verdict(is_met, evidence, expires_at - self.limit if is_met else None)

    @property
    def limit(self) -> timedelta:
        """Return the time before the expiry from which on the condition is met."""
        return timedelta(days=self.certificate_days_below)
