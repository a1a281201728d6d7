"""What an attempt has seen beyond its status: steps, the TLS session with its certificate, DNS records. Pure values.

Made by jobs.running.attempt_details from an observation, with limits on number and length and without secrets; stored,
shown and sent by everything above.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from jobs.fast_frozen import value

_DAY = 86_400


class StepOutcome(StrEnum):
    """How a step ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


@value(frozen=True, slots=True)
class StepDetail:
    """One request of a check with several steps."""

    name: str
    status: int | None
    took_ms: float
    outcome: StepOutcome = StepOutcome.SUCCEEDED
    error: str = ""
    """The error class by its name; "" if it succeeded."""
    cleanup: bool = False
    """Whether it is a step of `cleanup`, which runs at the end in any case."""


@value(frozen=True, slots=True)
class CertificateDetail:
    """The certificate of the target. `names` may hold fewer than the certificate, which has `name_count`."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    name_count: int
    expires_at: datetime
    """Aware UTC, to the second."""

    def days_left(self, at: datetime) -> int:
        """Whole days from `at` until it expires, rounded down; negative if it had expired."""
        return int((self.expires_at - at).total_seconds() // _DAY)


@value(frozen=True, slots=True)
class TlsDetail:
    """The TLS session of the last connection. `version`: such as TLSv1.3."""

    version: str
    certificate: CertificateDetail | None = None
    """None if the target showed none that can be read."""


@value(frozen=True, slots=True)
class DnsDetail:
    """The answer of a name server. `records` may hold fewer than the answer, which had `record_count`."""

    rcode: str
    records: tuple[str, ...]
    record_count: int
    ttl_s: int | None
    server: str


@value(frozen=True, slots=True)
class Details:
    """All of them; an attempt that saw none of these has no details at all."""

    steps: tuple[StepDetail, ...] = ()
    tls: TlsDetail | None = None
    dns: DnsDetail | None = None
