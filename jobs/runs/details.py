"""Details of an attempt: steps, the TLS session with its certificate, DNS records, health. Pure values.

Built by jobs.running.attempt_details from an observation, limited in number and length and without secrets; stored,
displayed and published by the packages above.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from jobs.fast_frozen import fast_frozen
from jobs.runs.health import HealthDetail

_DAY = 86_400


class StepOutcome(StrEnum):
    """The result of a step."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


@fast_frozen(frozen=True, slots=True)
class StepDetail:
    """One request of a check of kind `steps`."""

    name: str
    status: int | None
    took_ms: float
    outcome: StepOutcome = StepOutcome.SUCCEEDED
    error: str = ""
    """The error class by its name; "" if it succeeded."""
    cleanup: bool = False
    """Whether the step belongs to `cleanup`, which always runs at the end."""


@fast_frozen(frozen=True, slots=True)
class CertificateDetail:
    """The target's certificate. `names` may be shortened; `name_count` is the number in the certificate."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    name_count: int
    expires_at: datetime
    """Aware UTC, to the second."""

    def days_left(self, at: datetime) -> int:
        """Return the whole days from `at` until it expires, rounded down; negative after that."""
        return int((self.expires_at - at).total_seconds() // _DAY)


@fast_frozen(frozen=True, slots=True)
class TlsDetail:
    """The TLS session of the last connection. `version`: for example TLSv1.3."""

    version: str
    certificate: CertificateDetail | None = None
    """None if the target did not send a readable one."""


@fast_frozen(frozen=True, slots=True)
class DnsDetail:
    """The answer of a name server. `records` may be shortened; `record_count` is the number in the answer."""

    rcode: str
    records: tuple[str, ...]
    record_count: int
    ttl_s: int | None
    server: str


@fast_frozen(frozen=True, slots=True)
class Details:
    """The details of one attempt. An attempt without any has None instead."""

    steps: tuple[StepDetail, ...] = ()
    tls: TlsDetail | None = None
    dns: DnsDetail | None = None
    health: HealthDetail | None = None
