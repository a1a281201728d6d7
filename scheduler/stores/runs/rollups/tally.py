"""What rollups count of runs, and the stored text of hours and days that are summed up. Used by runs.rollups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.runs import Outcome
from jobs.runs.histogram import Histogram, pack, unpack
from jobs.runs.uptime import Uptime, UptimeSegment
from scheduler.stores.runs.attempt_codec import from_microseconds, to_microseconds

_OUTCOMES = tuple(Outcome)
PLACES = {outcome: place for place, outcome in enumerate(_OUTCOMES)}
"""Of each outcome among the counts."""
_DOWN_PLACES = [place for outcome, place in PLACES.items() if outcome.down]
_SECOND = 1_000_000


@dataclass(slots=True)
class Tally:
    """Counts of runs. `outcomes`: in the order of Outcome.

    Duration and response time are of runs with an attempt, lateness of those not requested for a past instant.
    """

    outcomes: list[int] = field(default_factory=lambda: [0] * len(_OUTCOMES))
    attempts: int = 0
    retried: int = 0
    """Runs with more than one attempt."""
    degraded: int = 0
    duration: Histogram = field(default_factory=Histogram)
    response_time: Histogram = field(default_factory=Histogram)
    lateness: Histogram = field(default_factory=Histogram)

    @property
    def runs(self) -> int:
        return sum(self.outcomes)

    def count(self, outcome: Outcome) -> int:
        return self.outcomes[PLACES[outcome]]

    @property
    def down(self) -> int:
        return sum(map(self.outcomes.__getitem__, _DOWN_PLACES))

    def merge(self, other: Tally) -> None:
        self.outcomes = [own + more for own, more in zip(self.outcomes, other.outcomes, strict=True)]
        self.attempts += other.attempts
        self.retried += other.retried
        self.degraded += other.degraded
        self.duration.merge(other.duration)
        self.response_time.merge(other.response_time)
        self.lateness.merge(other.lateness)

    def encode(self) -> list[Any]:
        """Return the parts of a stored row."""
        histograms = (self.duration.encode(), self.response_time.encode(), self.lateness.encode())
        return [self.outcomes, self.attempts, self.retried, self.degraded, *histograms]

    @staticmethod
    def decode(parts: Sequence[Any]) -> Tally:
        outcomes, attempts, retried, degraded, duration, response_time, lateness, *_ = parts
        if len(outcomes) < len(_OUTCOMES):
            outcomes += [0] * (len(_OUTCOMES) - len(outcomes))
        histograms = Histogram.decode(duration), Histogram.decode(response_time), Histogram.decode(lateness)
        return Tally(outcomes, attempts, retried, degraded, *histograms)


_TALLY_PARTS = len(Tally().encode())


@dataclass(slots=True)
class Rollup:
    """The sum of an hour or a day, from all processes.

    `by_hour`: of a day, the runs of each hour and those of them that count as down: see `pack_hour`.
    """

    tally: Tally = field(default_factory=Tally)
    segment: UptimeSegment | None = None
    by_hour: int = 0

    def merge(self, other: Rollup) -> None:
        self.tally.merge(other.tally)
        if other.segment is not None:
            self.segment = other.segment if self.segment is None else self.segment + other.segment
        self.by_hour += other.by_hour

    def encode(self) -> list[Any]:
        """Return the parts of a stored row."""
        segment = None if self.segment is None else _segment_parts(self.segment)
        return [*self.tally.encode(), segment, unpack(self.by_hour)]

    @staticmethod
    def decode(parts: Sequence[Any]) -> Rollup:
        segment, by_hour, *_ = parts[_TALLY_PARTS:]
        if isinstance(by_hour, dict):
            packed = sum(pack_hour(int(hour), runs, down) for hour, (runs, down) in by_hour.items())
        else:
            packed = pack(by_hour)
        return Rollup(Tally.decode(parts), None if segment is None else _read_segment(segment), packed)


def pack_hour(hour: int, runs: int, down: int) -> int:
    """Return the counts of an hour of the day (0 to 23), as jobs.runs.histogram adds them: two places an hour."""
    return pack([2 * hour, runs, down])


def _segment_parts(segment: UptimeSegment) -> list[Any]:
    uptime, instants = segment.uptime, (to_microseconds(segment.first), to_microseconds(segment.last))
    states = int(segment.starts_down), int(segment.ends_down)
    counts = uptime.up, uptime.down, uptime.timed, round(uptime.total_ms, 3)
    return [*instants, *states, *counts, segment.outages, round(segment.seconds * _SECOND)]


def _read_segment(parts: Sequence[Any]) -> UptimeSegment:
    first, last, starts_down, ends_down, up, down, timed, total_ms, outages, down_us, *_ = parts
    instants: tuple[datetime, datetime] = from_microseconds(first), from_microseconds(last)
    states = bool(starts_down), bool(ends_down)
    return UptimeSegment(*instants, *states, down_us / _SECOND, outages, Uptime(up, down, timed, total_ms))
