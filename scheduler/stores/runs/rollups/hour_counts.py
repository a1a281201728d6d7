"""The row of an hour, to which each finished run is added. Used by runs.rollups.

The text is JSON with a line for the counts, and one for each histogram. A run changes one number of each histogram in
its text: decoding and encoding them would take four times as long.

    [[[58,2,0,0,0,0],60,0,0,[AVAILABILITY]],
    {"97":12,"98":48},
    {"96":60},
    {"73":60}]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jobs.runs import Outcome, Run, Trigger
from jobs.runs.histogram import bucket_of
from jobs.runs.outcomes import ReasonCode
from jobs.runs.uptime import UptimeSample
from scheduler.stores.rows import decode_json, encode_json
from scheduler.stores.runs.rollups.availability import Availability
from scheduler.stores.runs.rollups.tally import PLACES, Tally

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

    @property
    def tally(self) -> Tally:
        counts = [self.outcomes, self.attempts, self.retried, self.degraded]
        return Tally.decode([*counts, *map(decode_json, self.histograms)])

    def add_run(self, run: Run) -> None:
        self.outcomes[PLACES[run.outcome]] += 1
        self._add_sample(run)
        attempts = run.attempts
        if not attempts:
            return
        self.attempts += len(attempts)
        self.retried += len(attempts) > 1
        self.degraded += run.degraded
        self._count(_DURATION, run.duration_ms)
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
        before, key, after = self.histograms[histogram].partition(f'"{bucket_of(milliseconds)}":')
        if key:
            number, separator, rest = after.partition(",")
            count = int(number) + 1 if separator else int(number[:-1]) + 1
            self.histograms[histogram] = f"{before}{key}{count}{separator or '}'}{rest}"
        else:
            comma = "," if len(before) > 2 else ""
            self.histograms[histogram] = f'{before[:-1]}{comma}"{bucket_of(milliseconds)}":1}}'

    def encode(self) -> str:
        availability = None if self.availability is None else self.availability.encode()
        counts: list[Any] = [self.outcomes, self.attempts, self.retried, self.degraded, availability]
        return "[" + ",\n".join([encode_json(counts), *self.histograms]) + "]"

    @staticmethod
    def decode(body: str) -> HourCounts:
        counts, *histograms = body[1:-1].split(",\n")
        outcomes, attempts, retried, degraded, availability, *_ = decode_json(counts)
        if len(outcomes) < len(PLACES):
            outcomes += [0] * (len(PLACES) - len(outcomes))
        observed = None if availability is None else Availability.decode(availability)
        return HourCounts(outcomes, attempts, retried, degraded, observed, histograms[:3])


class HourSum:
    """The sum of many hours, without their availability. Each hour costs a third of a merged `HourCounts`."""

    def __init__(self) -> None:
        self._outcomes = [0] * len(PLACES)
        self._others = [0, 0, 0]
        self._histograms: tuple[dict[str, int], ...] = ({}, {}, {})

    def add(self, body: str) -> None:
        """Add the text of an hour's row."""
        counts, *histograms = body[1:-1].split(",\n")
        outcomes, *others = decode_json(counts)[:4]
        for place, count in enumerate(outcomes):
            self._outcomes[place] += count
        for place, count in enumerate(others):
            self._others[place] += count
        for total, text in zip(self._histograms, histograms, strict=False):
            for bucket, count in decode_json(text).items():
                total[bucket] = total.get(bucket, 0) + count

    def to_tally(self) -> Tally:
        return Tally.decode([self._outcomes, *self._others, *self._histograms])


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
    return UptimeSample("up", run.response_time_ms) if run.outcome is Outcome.SUCCEEDED else None
