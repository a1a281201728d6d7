"""Details of an attempt: steps, the TLS session with its certificate, DNS records, the entries of a health document.

Pure values, built by jobs.running.run_factories from an observation, limited in number and length and without secrets;
stored, displayed and published by the packages above. jobs.expectations.health reads health documents,
jobs.runs.health_history compares their entries from run to run.
"""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from enum import StrEnum

from jobs.fast_frozen import fast_frozen


class EntryStatus(StrEnum):
    """The status that a word of a framework stands for. The values are stored: add, never rename."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"
    """The framework's own `UNKNOWN`, or a word that no supported framework has."""


class EntryEffect(StrEnum):
    """What an entry counts for the job. The values are stored: add, never rename."""

    NONE = "none"
    """It is up or unknown, or the job ignores it."""
    DEGRADED = "degraded"
    DOWN = "down"


@fast_frozen(frozen=True, slots=True)
class ReportedEntry:
    """One entry. `name`: the path of a nested one, such as `db/primary`. `word`: the status as the target wrote it."""

    name: str
    status: EntryStatus
    word: str
    text: str = ""
    """The error, or the description."""
    duration_ms: float | None = None
    observed: str = ""
    """A measured value with its unit, such as `250 ms`."""
    effect: EntryEffect = EntryEffect.NONE


@fast_frozen(frozen=True, slots=True)
class HealthDetail:
    """A health document, or a list whose rows are entries. `word` and `status`: of the whole.

    `entries` may be shortened; `entry_count` is the number.
    """

    word: str
    status: EntryStatus
    entries: tuple[ReportedEntry, ...]
    entry_count: int
    rest: tuple[ReportedEntry, ...] = field(default=(), compare=False)
    """The other entries, for their states: not stored with the run."""


MAX_HEALTH_ENTRIES = 50
"""Entries that the row of a run has of a document."""

_RANK = {EntryEffect.DOWN: 0, EntryEffect.DEGRADED: 1, EntryEffect.NONE: 2}


def split_entries(
    entries: tuple[ReportedEntry, ...],
) -> tuple[tuple[ReportedEntry, ...], tuple[ReportedEntry, ...]]:
    """Return the entries that the row of a run has, in order, and the others.

    Those that count are first, then those that are not up.
    """
    if len(entries) <= MAX_HEALTH_ENTRIES:
        return entries, ()
    ranked = sorted(
        range(len(entries)), key=lambda at: (_RANK[entries[at].effect], entries[at].status is EntryStatus.UP)
    )
    first, rest = sorted(ranked[:MAX_HEALTH_ENTRIES]), sorted(ranked[MAX_HEALTH_ENTRIES:])
    return tuple(entries[at] for at in first), tuple(entries[at] for at in rest)


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
    """The TLS session of the last connection. `version`: for example TLSv1.3; empty if it was not agreed on."""

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
