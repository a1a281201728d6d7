"""What a check observed, and the expectations that failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from jobs.fast_frozen import fast_frozen
from jobs.runs.error_classes import ErrorClass
from jobs.runs.health import HealthDetail


@fast_frozen(frozen=True, slots=True)
class Phases:
    """Milliseconds of each phase of an attempt; None if the phase did not happen or did not end."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    """From the end of the request to the first byte of the answer."""
    total_ms: float = 0.0


_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_NO_FACTS: Mapping[str, Any] = MappingProxyType({})


@fast_frozen(frozen=True, slots=True)
class Observation:
    """What a check observed. Not judged: `error` is set only if no complete answer was received."""

    phases: Phases
    status: int | None = None
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS)
    """Lower-case names; repeated fields are joined by a comma."""
    body: bytes = b""
    body_truncated: bool = False
    error: ErrorClass | None = None
    message: str = ""
    pending: str = ""
    """Why the target cannot be judged yet, a sentence: unless an expectation fails, the run is skipped."""
    retry_after_s: float | None = None
    """Seconds that the target requested with Retry-After (429 or 503)."""
    facts: Mapping[str, Any] = field(default_factory=lambda: _NO_FACTS)
    """Other results of the check's kind, as JSON values: `http_version`, `tls_version`, `rcode`, `answers`, ..."""
    failures: tuple[Failure, ...] = ()
    """For checks with steps: failed expectations of earlier answers that only degrade the run."""
    certificates: tuple[bytes, ...] = ()
    """The certificates of the TLS handshake, DER, the target's own first."""
    health: HealthDetail | None = None
    """The health document that an expectation has read; its texts are not redacted."""


class Severity(StrEnum):
    """The effect of a failed expectation on its attempt: a failure, or a degraded success."""

    FAIL = "fail"
    DEGRADED = "degraded"


@fast_frozen(frozen=True, slots=True)
class Failure:
    """A failed expectation. `expectation` is its key, such as `status` or `json $.status`."""

    expectation: str
    expected: str
    observed: str
    severity: Severity = Severity.FAIL

    def __str__(self) -> str:
        return f"{self.expectation}: expected {self.expected}, observed {self.observed}"
