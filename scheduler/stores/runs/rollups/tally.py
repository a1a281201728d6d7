"""What a rollup counts: runs by their outcome, their durations, and the uptime samples of an hour. Pure.

A rollup is the sum of the runs of a job in an hour or a day, so that figures of long periods need not read each run. It
has a `Tally` and, for uptime, a segment: the observed time from the first to the last sample. What one process observed
in an hour is an `Availability`, and `unite` makes the segment of those of all processes. Each value encodes itself as a
list for a stored row; `decode` also reads the lists of earlier versions.

The downtime is stored as intervals, because several processes may observe one job in turn: the sum of their downtimes
would count an outage once for each of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.runs import Outcome
from jobs.runs.histogram import Histogram, pack, unpack
from jobs.runs.uptime import Uptime, UptimeSample, UptimeSegment
from scheduler.stores.runs.attempt_codec import from_microseconds, to_microseconds

_OUTCOMES = tuple(Outcome)
PLACES = {outcome: place for place, outcome in enumerate(_OUTCOMES)}
"""The index of each outcome in `Tally.outcomes`."""
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
    unknown: int = 0
    """Of the skipped ones, those that could not tell the state of the target."""

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
        self.unknown += other.unknown

    def encode(self) -> list[Any]:
        """Return the parts of a stored row."""
        histograms = (self.duration.encode(), self.response_time.encode(), self.lateness.encode())
        unknown = [self.unknown] if self.unknown else []
        return [self.outcomes, self.attempts, self.retried, self.degraded, *histograms, *unknown]

    @staticmethod
    def decode(parts: Sequence[Any]) -> Tally:
        outcomes, attempts, retried, degraded, duration, response_time, lateness, *unknown = parts
        if len(outcomes) < len(_OUTCOMES):
            outcomes += [0] * (len(_OUTCOMES) - len(outcomes))
        histograms = Histogram.decode(duration), Histogram.decode(response_time), Histogram.decode(lateness)
        return Tally(outcomes, attempts, retried, degraded, *histograms, *unknown[:1])


_TALLY_PARTS = len(Tally().encode())
"""Those that earlier versions have, too. A rollup has what is added to a tally at its end."""
RESPONSE_TIME_PART = 5
"""The index of the response times in an encoded tally, and so in an encoded rollup."""


@dataclass(slots=True)
class Rollup:
    """The sum of an hour or a day, from all processes.

    `by_hour`: of a day, the runs of each hour and those of them that count as down, all in one integer, so that an
    addition merges them (`pack_hour`).
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
        tally = self.tally.encode()
        return [*tally[:_TALLY_PARTS], segment, unpack(self.by_hour), *tally[_TALLY_PARTS:]]

    @staticmethod
    def decode(parts: Sequence[Any]) -> Rollup:
        segment, by_hour, *added = parts[_TALLY_PARTS:]
        if isinstance(by_hour, dict):  # rows of earlier versions
            packed = sum(pack_hour(int(hour), runs, down) for hour, (runs, down) in by_hour.items())
        else:
            packed = pack(by_hour)
        tally = Tally.decode([*parts[:_TALLY_PARTS], *added])
        return Rollup(tally, None if segment is None else _read_segment(segment), packed)


def pack_hour(hour: int, runs: int, down: int) -> int:
    """Return the counts of an hour of the day (0 to 23) as a part of `by_hour`.

    The integer is a row of counts of 64 bits (jobs.runs.histogram). Each hour has two: its runs, and those down.
    """
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


MAX_INTERVALS = 60
"""Downtimes of an hour that are stored one by one. Of more, the sum is stored."""

_START, _LAST_DOWN, _END = range(3)
"""Indexes of a stored downtime, a list of instants: the first and the last sample that was down, and the sample that
ended it."""


@dataclass(slots=True)
class Availability:
    """What one process observed of a target in one hour. Instants are microseconds since 1970.

    `downs`: downtimes in order; the last one has not ended if `ends_down`, and has its last sample as end. `outages`
    and `down_us`: number and duration of the downtimes that are not in `downs`.
    """

    first: int
    last: int
    starts_down: bool
    ends_down: bool
    up: int = 0
    down: int = 0
    timed: int = 0
    total_ms: float = 0.0
    outages: int = 0
    down_us: int = 0
    downs: list[list[int]] = field(default_factory=list)

    @staticmethod
    def begin(instant: datetime, sample: UptimeSample) -> Availability:
        """Return the availability of one sample."""
        at, is_down = to_microseconds(instant), sample.mark in ("down", "pending")
        availability = Availability(at, at, is_down, is_down, downs=[_downtime_at(at)] if is_down else [])
        availability._count(sample)
        return availability

    def add(self, instant: datetime, sample: UptimeSample) -> None:
        """Add a sample: usually the newest one."""
        at, is_down = to_microseconds(instant), sample.mark in ("down", "pending")
        self._count(sample)
        if at >= self.last:
            self._append(at, is_down)
        elif at < self.first:
            self._prepend(at, is_down)
        elif is_down and not any(start <= at <= end for start, _, end in self.downs):
            # A sample of the middle that came late: whether its neighbours were down as well is not stored.
            self.downs = sorted([*self.downs, _downtime_at(at)])
        if len(self.downs) > MAX_INTERVALS:
            # The second one: the first and the last may be continued.
            start, _, end = self.downs.pop(1)
            self.outages, self.down_us = self.outages + 1, self.down_us + end - start

    def _count(self, sample: UptimeSample) -> None:
        if sample.mark == "up":
            self.up += 1
            if sample.ms is not None:
                self.timed, self.total_ms = self.timed + 1, round(self.total_ms + sample.ms, 3)
        elif sample.mark != "maintenance":
            self.down += 1

    def _append(self, at: int, is_down: bool) -> None:
        if self.ends_down:
            self.downs[-1][_END] = at
            if is_down:
                self.downs[-1][_LAST_DOWN] = at
        elif is_down:
            self.downs.append(_downtime_at(at))
        self.last, self.ends_down = at, is_down

    def _prepend(self, at: int, is_down: bool) -> None:
        if is_down and self.starts_down:
            self.downs[0][_START] = at
        elif is_down:
            self.downs.insert(0, [at, at, self.first])  # the first sample so far was up, and ends it
        self.first, self.starts_down = at, is_down

    def encode(self) -> list[Any]:
        """Return the parts of the stored row."""
        return [
            self.first,
            self.last,
            int(self.starts_down),
            int(self.ends_down),
            self.up,
            self.down,
            self.timed,
            self.total_ms,
            self.outages,
            self.down_us,
            self.downs,
        ]

    @staticmethod
    def decode(parts: Sequence[Any]) -> Availability:
        first, last, starts_down, ends_down, *numbers = parts
        return Availability(first, last, bool(starts_down), bool(ends_down), *numbers[:7])


def _downtime_at(at: int) -> list[int]:
    """Return the downtime of a single sample."""
    return [at, at, at]


def unite(parts: Sequence[Availability]) -> UptimeSegment:
    """Return what several processes observed together in one hour, as one segment."""
    end = max(parts, key=lambda part: (part.last, not part.ends_down))
    beginning = min(parts, key=lambda part: part.first)
    downs = _unite_downs(parts) if len(parts) > 1 else [(start, stop) for start, _, stop in parts[0].downs]
    return UptimeSegment(
        from_microseconds(beginning.first),
        from_microseconds(end.last),
        beginning.starts_down,
        end.ends_down,
        (sum(stop - start for start, stop in downs) + sum(part.down_us for part in parts)) / _SECOND,
        len(downs) + sum(part.outages for part in parts),
        sum((Uptime(part.up, part.down, part.timed, part.total_ms) for part in parts), Uptime()),
    )


def _unite_downs(parts: Sequence[Availability]) -> list[tuple[int, int]]:
    """Return the downtimes of all parts. One ends when any process next observes the target up."""
    ups = sorted(up for part in parts for up in _samples_up(part))
    newest = max(part.last for part in parts)
    downtimes: list[tuple[int, int]] = []
    for start, last, _ in sorted(down for part in parts for down in part.downs):
        place = bisect_right(ups, last)
        end = ups[place] if place < len(ups) else newest
        if downtimes and start <= downtimes[-1][1]:
            downtimes[-1] = downtimes[-1][0], max(downtimes[-1][1], end)
        else:
            downtimes.append((start, end))
    return downtimes


def _samples_up(part: Availability) -> Iterator[int]:
    """Yield the samples that are known to be up: the ends of downtimes, the first and the last one."""
    yield from (end for _, _, end in (part.downs[:-1] if part.ends_down else part.downs))
    if not part.starts_down:
        yield part.first
    if not part.ends_down:
        yield part.last
