"""The row of an hour, to which each finished run is added, and the cache of the current hours' rows.

The text is JSON with a line for the counts, and one for each histogram. A run changes one number of each histogram in
its text: decoding and encoding them would take four times as long.

    [[[58,2,0,0,0,0],60,0,0,[AVAILABILITY]],
    {"97":12,"98":48},
    {"96":60},
    {"73":60}]

The row of each job's current hour is cached, so that counting a run reads nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jobs.runs import Outcome, Run, Trigger
from jobs.runs.histogram import bucket_of
from jobs.runs.outcomes import ReasonCode
from jobs.runs.uptime import UptimeSample
from scheduler.stores.rows import decode_json, encode_json
from scheduler.stores.runs.rollups.keys import hour_of
from scheduler.stores.runs.rollups.tally import PLACES, Availability, Tally

_DURATION, _RESPONSE_TIME, _LATENESS = range(3)


@dataclass(slots=True)
class HourCounts:
    """The counts of an hour that one process writes. `histograms`: of duration, response time and lateness, as JSON."""

    outcomes: list[int] = field(default_factory=lambda: [0] * len(PLACES))
    attempts: int = 0
    retried: int = 0
    degraded: int = 0
    availability: Availability | None = None
    histograms: list[str] = field(default_factory=lambda: ["{}", "{}", "{}"])
    unknown: int = 0

    @property
    def tally(self) -> Tally:
        counts = [self.outcomes, self.attempts, self.retried, self.degraded]
        return Tally.decode([*counts, *map(decode_json, self.histograms), self.unknown])

    def add_run(self, run: Run) -> None:
        self.outcomes[PLACES[run.outcome]] += 1
        self._add_sample(run)
        attempts = run.attempts
        if run.is_unknown:  # its times are not those of the target
            self.unknown += 1
            return
        if not attempts:
            return
        self.attempts += len(attempts)
        self.retried += len(attempts) > 1
        self.degraded += run.degraded
        self._count(_DURATION, run.duration_ms)
        if not attempts[-1].starved:
            self._count(_RESPONSE_TIME, attempts[-1].phases.total_ms)
        if not run.trigger.is_rerun:
            self._count(_LATENESS, run.lateness_ms)

    def _add_sample(self, run: Run) -> None:
        sample = uptime_sample(run)
        if sample is None:
            return
        if self.availability is None:
            self.availability = Availability.begin(run.started_at, sample)
        else:
            self.availability.add(run.started_at, sample)

    def _count(self, histogram: int, milliseconds: float) -> None:
        bucket = bucket_of(milliseconds)
        before, key, after = self.histograms[histogram].partition(f'"{bucket}":')
        if key:
            number, separator, rest = after.partition(",")
            count = int(number) + 1 if separator else int(number[:-1]) + 1
            self.histograms[histogram] = f"{before}{key}{count}{separator or '}'}{rest}"
        else:
            comma = "," if len(before) > 2 else ""
            self.histograms[histogram] = f'{before[:-1]}{comma}"{bucket}":1}}'

    def encode(self) -> str:
        availability = None if self.availability is None else self.availability.encode()
        counts: list[Any] = [self.outcomes, self.attempts, self.retried, self.degraded, availability]
        if self.unknown:
            counts.append(self.unknown)
        return "[" + ",\n".join([encode_json(counts), *self.histograms]) + "]"

    @staticmethod
    def decode(body: str) -> HourCounts:
        counts, *histograms = body[1:-1].split(",\n")
        outcomes, attempts, retried, degraded, availability, *unknown = decode_json(counts)
        if len(outcomes) < len(PLACES):
            outcomes += [0] * (len(PLACES) - len(outcomes))
        observed = None if availability is None else Availability.decode(availability)
        return HourCounts(outcomes, attempts, retried, degraded, observed, histograms[:3], *unknown[:1])


class HourSum:
    """The sum of many hours, without their availability. Each hour costs a third of a merged `HourCounts`."""

    def __init__(self) -> None:
        self._outcomes = [0] * len(PLACES)
        self._others = [0, 0, 0]
        self._histograms: tuple[dict[str, int], ...] = ({}, {}, {})
        self._unknown = 0

    def add(self, body: str) -> None:
        """Add the text of an hour's row."""
        counts, *histograms = body[1:-1].split(",\n")
        outcomes, *others = decode_json(counts)
        self._unknown += sum(others[4:5])
        for place, count in enumerate(outcomes):
            self._outcomes[place] += count
        for place, count in enumerate(others[:3]):
            self._others[place] += count
        for total, text in zip(self._histograms, histograms, strict=False):
            for bucket, count in decode_json(text).items():
                total[bucket] = total.get(bucket, 0) + count

    def to_tally(self) -> Tally:
        return Tally.decode([self._outcomes, *self._others, *self._histograms, self._unknown])


def uptime_sample(run: Run) -> UptimeSample | None:
    """Return the run's sample of its target; None if it has none.

    A run that was skipped for a pause means maintenance: from then on nothing is known, which is not downtime. A
    backfill observes the target at another instant than its own.
    """
    if run.trigger is Trigger.BACKFILL:
        return None
    if run.outcome.down:
        return UptimeSample("down")
    if run.outcome is Outcome.SKIPPED and run.reason is ReasonCode.JOB_PAUSED:
        return UptimeSample("maintenance")
    return UptimeSample("up", run.reliable_response_ms) if run.outcome is Outcome.SUCCEEDED else None


MAX_CACHED_JOBS = 10_000
MAX_CACHED_CHARACTERS = 5_000_000
"""Of all bodies: with keys, etags and the dictionary, 10,000 jobs take less than 10 MiB."""
MAX_DECODED_JOBS = 400
"""Rows whose decoded counts are cached as well. Each takes about 1 KB more."""


class HourRow(NamedTuple):
    """The row of an hour as it was last read or written."""

    key: str
    body: str
    etag: str


class HourCache:
    """One row a job. When it is full, rows of earlier hours are evicted, the least recently used one first.

    A row of the current hour is not evicted for another one: with more jobs than fit, the cache would hold none of them
    when it is due again.
    """

    def __init__(self) -> None:
        self._rows: dict[str, HourRow] = {}
        self._decoded: dict[str, HourCounts] = {}
        self._characters = 0

    def get(self, job: str, key: str) -> HourRow | None:
        """Return the row of this key; None if it is not cached."""
        row = self._rows.get(job)
        return row if row is not None and row.key == key else None

    def take_counts(self, job: str, row: HourRow) -> HourCounts | None:
        """Remove the decoded counts of this row, and return them for a change; None if they are not cached."""
        return self._decoded.pop(job, None) if self._rows.get(job) is row else None

    def put(self, job: str, row: HourRow, counts: HourCounts | None = None) -> None:
        """Cache the row, unless one of a later hour is cached, or the cache is full with rows of its hour.

        `counts`: what the row contains.
        """
        cached = self._rows.get(job)
        if cached is not None and cached.key > row.key:
            return
        self.discard(job)
        while self.is_full(len(row.body)):
            oldest = next(iter(self._rows), None)
            if oldest is None or hour_of(self._rows[oldest].key) >= hour_of(row.key):
                return
            self.discard(oldest)
        self._rows[job] = row
        self._characters += len(row.body)
        if counts is not None and len(self._decoded) < MAX_DECODED_JOBS:
            self._decoded[job] = counts

    def discard(self, job: str) -> None:
        row = self._rows.pop(job, None)
        self._decoded.pop(job, None)
        if row is not None:
            self._characters -= len(row.body)

    def is_full(self, characters: int = 0) -> bool:
        """Return whether a body of this length does not fit."""
        return len(self._rows) >= MAX_CACHED_JOBS or self._characters + characters > MAX_CACHED_CHARACTERS
