"""What rules judge: samples of runs and facts about a subject, what a condition reads of them, and counts of bad ones.

Pure values, filled by the caller of jobs.alerting.rule, who reads only what `AlertNeeds` requires. Without a
fact, the verdict of a condition about it is not known.

A sample takes one place in the window of a rule. A rejected run is bad, because an open circuit must not hide an
outage. Skipped, cancelled and replayed runs, and those of a target that the settings deny, are not samples. Which
triggers count is a matter of the rule, and an unknown run is a sample only for the condition about such runs.

A series is a value: adding a sample returns another one. A sample that is not newer than the newest one, such as that
of a redelivered run, changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from jobs.alerting.comparison import ComparedHours, HoursNeed
from jobs.fast_frozen import fast_frozen
from jobs.objectives import SliCounts
from jobs.runs.details import CertificateDetail
from jobs.runs.outcomes import ErrorClass, Outcome, Trigger
from jobs.runs.run import Run
from jobs.runs.waits import StartWait

COUNTED_TRIGGERS = frozenset({Trigger.SCHEDULE, Trigger.DEPENDENCY})
"""Of a rule without `triggers`. What a person or a pipeline requests neither opens nor closes an alert."""


@fast_frozen(frozen=True, slots=True)
class Sample:
    """One finished run. Samples are ordered by `position`."""

    due_at: datetime
    run: str
    finished_at: datetime
    is_failed: bool
    is_degraded: bool = False
    trigger: Trigger = Trigger.SCHEDULE
    error: ErrorClass | None = None
    message: str = ""
    response_ms: float | None = None
    lateness_ms: float = 0.0
    waits: tuple[StartWait, ...] = ()
    certificate_expires_at: datetime | None = None
    is_unknown: bool = False
    """Neither good nor bad: it does not show its target."""
    certificate: CertificateDetail | None = None
    address: str = ""
    """The address that was connected to, if the target does not name it."""

    @property
    def position(self) -> tuple[datetime, str]:
        return self.due_at, self.run

    @property
    def is_good(self) -> bool:
        return not (self.is_failed or self.is_degraded)


def sample_of_run(run: Run) -> Sample | None:
    """Return what the run counts as; None if it takes no place."""
    if run.trigger is Trigger.REPLAY or run.error is ErrorClass.TARGET_DENIED:
        return None
    if run.is_unknown:
        message, trigger = run.message, run.trigger
        return Sample(run.due_at, run.id, run.finished_at, False, trigger=trigger, message=message, is_unknown=True)
    if run.outcome is not Outcome.SUCCEEDED and not run.outcome.down:
        return None
    certificate = certificate_of(run)
    return Sample(
        due_at=run.due_at,
        run=run.id,
        finished_at=run.finished_at,
        is_failed=run.outcome.down,
        is_degraded=run.degraded,
        trigger=run.trigger,
        error=run.error,
        message=run.message,
        response_ms=run.reliable_response_ms,
        lateness_ms=run.lateness_ms,
        waits=run.waits,
        certificate_expires_at=None if certificate is None else certificate.expires_at,
        certificate=certificate,
        address=run.attempts[-1].address if run.attempts else "",
    )


def certificate_of(run: Run) -> CertificateDetail | None:
    """Return the certificate that the target has shown in the last attempt."""
    details = run.attempts[-1].details if run.attempts else None
    return None if details is None or details.tls is None else details.tls.certificate


@fast_frozen(frozen=True, slots=True)
class SampleHistory:
    """Samples ordered by position, the newest last, each once. Runs of a blind scheduler are not among them.

    `counts_from`: the end of the latest pause. Samples that were due before do not count.
    """

    samples: tuple[Sample, ...] = ()
    counts_from: datetime | None = None

    def select_counted(self, triggers: Collection[Trigger], *, with_unknown: bool = False) -> SampleHistory:
        """Return the history as a rule with these triggers counts it. `with_unknown`: unknown runs count."""
        start = self.counts_from
        counted = tuple(
            sample
            for sample in self.samples
            if sample.trigger in triggers
            and (with_unknown or not sample.is_unknown)
            and (start is None or sample.due_at >= start)
        )
        return SampleHistory(counted, start)

    def select_window(self, now: datetime, window: timedelta) -> tuple[Sample, ...]:
        """Return the samples of runs that ended within a window up to now."""
        start = now - window
        return tuple(sample for sample in self.samples if sample.finished_at > start)


def history_of(samples: Iterable[Sample], counts_from: datetime | None = None) -> SampleHistory:
    """Return the history of samples in any order. A run that occurs twice, as after a redelivery, counts once."""
    by_position = {sample.position: sample for sample in samples}
    return SampleHistory(tuple(by_position[position] for position in sorted(by_position)), counts_from)


@fast_frozen(frozen=True, slots=True)
class CircuitFact:
    """`is_open`: open or half-open, since `since`."""

    is_open: bool
    since: datetime | None = None


@fast_frozen(frozen=True, slots=True)
class SecretExpiryFact:
    """A secret that the job uses. `expires_at`: None if it does not expire, or if that is not known."""

    name: str
    expires_at: datetime | None = None


@fast_frozen(frozen=True, slots=True)
class SubjectFacts:
    """What is known of a job in addition to its samples. None: not read, or not known."""

    circuit: CircuitFact | None = None
    certificate_expires_at: datetime | None = None
    """Of the target, if it is not in the newest sample."""
    secrets: tuple[SecretExpiryFact, ...] | None = None
    dead_letters: tuple[datetime, ...] | None = None
    """When each dead letter of the job was created, those of the window at least."""
    run_counts: Mapping[tuple[timedelta, bool], SliCounts] | None = None
    """By window up to now, and by whether degraded runs are bad."""
    compared: Mapping[HoursNeed, ComparedHours] | None = None
    unfinished_since: datetime | None = None
    """The first due instant after that of the last finished run. None if the job is disabled, paused, or without a
    schedule."""
    longest_run: timedelta = timedelta()
    """From the due instant to the end of a run, with its waits and its timeout."""


@fast_frozen(frozen=True, slots=True)
class AlertNeeds:
    """Needs of one condition, or of several by `|`."""

    samples: int = 0
    """The newest samples that the rule counts, at least so many if they exist."""
    window: timedelta = timedelta()
    """The samples of runs that ended within this time."""
    has_circuit: bool = False
    has_certificate: bool = False
    has_secrets: bool = False
    dead_letters_within: timedelta = timedelta()
    has_schedule: bool = False
    """`unfinished_since` and `longest_run`."""
    counts_within: frozenset[tuple[timedelta, bool]] = frozenset()
    """Counts of the runs in these windows, and whether degraded runs are bad in them."""
    compared: frozenset[HoursNeed] = frozenset()
    """Hours of response times that are compared with earlier ones, after each hour."""
    met_within: timedelta = timedelta()
    """After a bad run, of conditions that read counts: later, without another one, they are not met."""
    has_unknown: bool = False
    """Runs that are unknown."""
    is_timed: bool = False
    """The verdict can change without a run, so the tick judges it too."""

    @property
    def longest_window(self) -> timedelta:
        """Return the time for which a bad run can open an alert."""
        return max(self.window, self.met_within)

    def __or__(self, other: AlertNeeds) -> AlertNeeds:
        return AlertNeeds(
            max(self.samples, other.samples),
            max(self.window, other.window),
            self.has_circuit or other.has_circuit,
            self.has_certificate or other.has_certificate,
            self.has_secrets or other.has_secrets,
            max(self.dead_letters_within, other.dead_letters_within),
            self.has_schedule or other.has_schedule,
            self.counts_within | other.counts_within,
            self.compared | other.compared,
            max(self.met_within, other.met_within),
            self.has_unknown or other.has_unknown,
            self.is_timed or other.is_timed,
        )


MAX_WINDOW = 100
"""Samples. They are bits of an integer that is held for each job."""
_TEXT = re.compile(r"(\d{1,3})(?: of (\d{1,3}))?")
_FORM = "write a number of consecutive runs, such as 3, or 3 of 5"


@fast_frozen(frozen=True, slots=True)
class Threshold:
    """At least `count` of the last `window` samples. Equal numbers mean consecutive samples."""

    count: int
    window: int

    @property
    def is_consecutive(self) -> bool:
        return self.count == self.window

    def is_reached(self, bits: int) -> bool:
        """Return whether enough of the last samples count. `bits`: one a sample that counts, the newest lowest."""
        return (bits & ((1 << self.window) - 1)).bit_count() >= self.count

    def __str__(self) -> str:
        return str(self.count) if self.is_consecutive else f"{self.count} of {self.window}"


def parse_threshold(value: object) -> Threshold:
    """Parse `3`, `"3"` or `"3 of 5"`. Raises ValueError."""
    if isinstance(value, Threshold):
        return value
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = _TEXT.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{value!r} is not a threshold: {_FORM}")
    count = int(found[1])
    window = int(found[2] or count)
    if not 1 <= count <= window <= MAX_WINDOW:
        raise ValueError(f"{value!r}: expected 1 to {MAX_WINDOW} runs, and not more than the runs that they are of")
    return Threshold(count, window)


def _read(value: Any) -> Threshold:
    return parse_threshold(value)


def _written(value: Threshold) -> int | str:
    return value.count if value.is_consecutive else str(value)


ThresholdField = Annotated[
    Threshold,
    PlainValidator(_read),
    PlainSerializer(_written, return_type=int | str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MAX_WINDOW},
                {"type": "string", "pattern": r"^\s*\d{1,3}( of \d{1,3})?\s*$", "examples": ["3 of 5"]},
            ]
        }
    ),
]


@fast_frozen(frozen=True, slots=True)
class Thresholds:
    """When a rule about samples opens and closes its alert.

    `close_after`: good samples in a row; None: the threshold is not reached and the latest sample is good.
    """

    open_after: Threshold = Threshold(1, 1)
    close_after: int | None = None


_MASK = (1 << MAX_WINDOW) - 1


@fast_frozen(frozen=True, slots=True)
class Series:
    """`bits`: one a bad sample, the newest lowest. `count`: samples, at most MAX_WINDOW."""

    bits: int = 0
    count: int = 0
    newest: tuple[datetime, str] | None = None
    bad_times: tuple[datetime, ...] = ()
    """The ends of the runs of the bad samples within the window, oldest first."""

    def add(self, sample: Sample, is_bad: bool, window: int) -> Series:
        """Return the series with a newer sample. `window`: samples whose times are held."""
        if self.newest is not None and sample.position <= self.newest:
            return self
        bits = ((self.bits << 1) | is_bad) & _MASK
        times = (*self.bad_times, sample.finished_at) if is_bad else self.bad_times
        held = (bits & ((1 << window) - 1)).bit_count()
        return Series(bits, min(self.count + 1, MAX_WINDOW), sample.position, times[len(times) - held :])

    @property
    def is_last_bad(self) -> bool:
        return bool(self.bits & 1)

    @property
    def good_in_a_row(self) -> int:
        """The number of good samples since the last bad one."""
        return self.count if not self.bits else (self.bits & -self.bits).bit_length() - 1

    def failing_since(self, threshold: Threshold) -> datetime | None:
        """Return when the first of the bad samples ended that reach the threshold; None without any."""
        if not self.bad_times:
            return None
        if not threshold.is_consecutive:
            return self.bad_times[0]
        in_a_row = (~self.bits & -~self.bits).bit_length() - 1
        return self.bad_times[-min(in_a_row, len(self.bad_times))] if in_a_row else self.bad_times[0]


def series_of(samples: Iterable[tuple[Sample, bool]], window: int) -> Series:
    """Return the series of these samples, each with whether it is bad, oldest first."""
    series = Series()
    for sample, is_bad in samples:
        series = series.add(sample, is_bad, window)
    return series
