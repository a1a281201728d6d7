"""Finds when the level of a job's response times, durations, lateness or success rate changed, by its hours. Pure.

The series has a value an hour. Of times it is the mean of the hour's logarithms, without its quickest and slowest
tenth, so that a change is a ratio; of the success rate it is the share of failed runs. What repeats by day or week is
removed: the median of each hour of the week, or of the day while the history is short, computed again after each step
that was found. A step is where two levels explain the rest best. It is a change if the levels differ enough, if the
difference is large against the scatter around them, and if no slow drift explains the series as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import accumulate, pairwise
from statistics import fmean, median, pstdev
from typing import Literal, NamedTuple

from jobs.fast_frozen import fast_frozen
from jobs.runs.histogram import GROWTH, MAX_BUCKET, upper_edge

MeasureName = Literal["response_time", "duration", "success_rate", "lateness"]
"""What of a job's runs has a level."""
MINIMUM_RUNS = 5
"""Of an hour, without which it has no value."""
MIN_HOURS = 24
"""On both sides of a change."""
MIN_SCORE = 7.0
"""Standard errors. The hours of a job are not independent, so a test would find too many with fewer."""
_DRIFT_MARGIN = 8.0
"""Of the squares, in those of so many hours: by which a step must leave less than a straight line."""
_TRIMMED = 0.1
_MOVES = 3
MAX_CHANGES = 4
_WEEKS_FOR_WEEKLY = 3
_CLIP = 3.0
"""Standard deviations to which single hours are limited."""
_LATENESS_FLOOR = 1000.0
"""Milliseconds that are added: 5 or 50 ms late makes no difference to a user."""


def _scatter_robustly(values: Sequence[float]) -> float:
    """Return the standard deviation by the median of distances, which outliers do not change."""
    return max(1.4826 * median(map(abs, values)), 0.02)  # a bucket is 10 % wide, so an even series has none


def _scatter_plainly(values: Sequence[float]) -> float:
    """Return the standard deviation, where a twentieth of the hours can be an outage."""
    limit = sorted(map(abs, values))[int(0.95 * (len(values) - 1))]
    return max(pstdev([min(max(value, -limit), limit) for value in values]), 0.002)


class LevelScale(NamedTuple):
    """How levels are compared. `min_change`: by which they differ. `center`, `scatter`: of the hours of a level."""

    min_change: float
    center: Callable[[Sequence[float]], float]
    scatter: Callable[[Sequence[float]], float]


TIMES = LevelScale(0.12, median, _scatter_robustly)
"""Of logarithms: 13 % longer."""
FAILED_SHARES = LevelScale(0.005, fmean, _scatter_plainly)
"""Half of the hours of a bad level can have no failed run, so a median would not tell it from a good one."""

_LOGS = [bucket * math.log(GROWTH) for bucket in range(MAX_BUCKET + 1)]
_LATENESS_LOGS = [math.log(upper_edge(bucket) + _LATENESS_FLOOR) for bucket in range(MAX_BUCKET + 1)]


@fast_frozen(frozen=True, slots=True)
class LevelChange:
    """`at`: the begin of the first hour of the new level, in UTC. `since`, `until`: the begin of the first hour of the
    level before, and the end of the last one of the new level. `difference`: of the levels, without what repeats by day
    or week: of logarithms, or of shares.
    """

    at: datetime
    since: datetime
    until: datetime
    difference: float


def find_level_changes(
    levels: Mapping[datetime, float], zone: tzinfo = UTC, scale: LevelScale = TIMES
) -> Sequence[LevelChange]:
    """Return the changes of the level, the oldest first.

    `levels`: the value of each hour that has enough runs, by its begin in UTC. `zone`: by whose clocks days and weeks
    repeat.
    """
    begins = sorted(levels)
    if len(begins) < 2 * MIN_HOURS or min(levels.values()) == max(levels.values()):
        return []
    return _Search(begins, [levels[begin] for begin in begins], zone, scale).find()


def level_of_times(stored: Sequence[int], logs: Sequence[float] = _LOGS) -> float | None:
    """Return the mean of the logarithms of an hour, without a tenth of the runs at both ends; None with few runs.

    `stored`: an encoded histogram. `logs`: of each bucket.
    """
    total = sum(stored[1:])
    if total < MINIMUM_RUNS:
        return None
    low, high = total * _TRIMMED, total * (1 - _TRIMMED)
    weighted, reached = 0.0, 0
    for bucket, count in enumerate(stored[1:], stored[0]):
        inside = min(reached + count, high) - max(reached, low)
        if inside > 0:
            weighted += inside * logs[bucket]
        reached += count
    return weighted / (high - low)


def level_of_lateness(stored: Sequence[int]) -> float | None:
    """Return the level of an hour's lateness, see `level_of_times`."""
    return level_of_times(stored, _LATENESS_LOGS)


class _Search:
    """The series of a job, and how its levels are compared."""

    def __init__(self, begins: Sequence[datetime], series: Sequence[float], zone: tzinfo, scale: LevelScale) -> None:
        self._begins = begins
        self._series = series
        self._slots = _list_slots(begins, zone)
        self._scale = scale

    def find(self) -> Sequence[LevelChange]:
        places = self._find_places()
        if not places:
            return []
        rest = self._remove_season(places)
        levels = [self._scale.center(rest[first:last]) for first, last in pairwise([0, *places, len(rest)])]
        firsts = [self._begins[place] for place in (0, *places)]
        ends = [*firsts[2:], self._begins[-1] + timedelta(hours=1)]
        return [
            LevelChange(at, since, until, after - before)
            for since, at, until, (before, after) in zip(firsts, firsts[1:], ends, pairwise(levels), strict=False)
        ]

    def _find_places(self) -> list[int]:
        """Return the index of the first hour of each level but the first.

        One step more at a time, or two if one alone explains little: a level that returns is scatter to a single step.
        """
        places: list[int] = []
        while len(places) < MAX_CHANGES:
            found = next(filter(None, (self._add(places, count) for count in (1, 2))), None)
            if found is None:
                break
            places = found
        return places

    def _add(self, places: list[int], count: int) -> list[int] | None:
        """Return the places and so many more; None if one of them is not significant. Two must be twice as clear."""
        for _ in range(count):
            rest = self._remove_season(places)
            steps = [_split(rest, first, last) for first, last in pairwise([0, *places, len(rest)])]
            best = max((step for step in steps if step is not None), default=None)
            if best is None:
                return None
            places = self._move(sorted([*places, best.place]))
        rest = self._remove_season(places)
        bounds = [0, *places, len(rest)]
        scores = (self._score(rest[bounds[at] : bounds[at + 2]], place - bounds[at]) for at, place in enumerate(places))
        return places if all(score >= MIN_SCORE * count for score in scores) else None

    def _move(self, places: list[int]) -> list[int]:
        """Return the places again, each at the best one between its neighbours."""
        for _ in range(_MOVES):
            rest = self._remove_season(places)
            moved = list(places)
            for at in range(len(moved)):
                bounds = [0, *moved, len(rest)]
                step = _split(rest, bounds[at], bounds[at + 2])
                moved[at] = moved[at] if step is None else step.place
            if moved == places:
                break
            places = moved
        return places

    def _score(self, rest: Sequence[float], place: int) -> float:
        """Return the height of a step in standard errors; 0 for one that is small, or is a drift as well."""
        center = self._scale.center
        before, after = center(rest[:place]), center(rest[place:])
        if abs(after - before) < self._scale.min_change or not _beats_drift(rest, place):
            return 0.0
        sides = [value - before for value in rest[:place]], [value - after for value in rest[place:]]
        errors = (self._scale.scatter(side) * _dependence(side) / math.sqrt(len(side)) for side in sides)
        return abs(after - before) / math.hypot(*errors)

    def _remove_season(self, places: Sequence[int]) -> list[float]:
        """Return the series without what repeats, with outliers limited."""
        slots, series = self._slots, self._series
        bounds = [0, *places, len(series)]
        levels = [self._scale.center(series[first:last]) for first, last in pairwise(bounds)]
        level_of = [
            level
            for level, first, last in zip(levels, bounds[:-1], bounds[1:], strict=True)
            for _ in range(first, last)
        ]
        of_slots: dict[int, list[float]] = {}
        for slot, value, level in zip(slots, series, level_of, strict=True):
            of_slots.setdefault(slot, []).append(value - level)
        season = {slot: median(values) for slot, values in of_slots.items()}
        usual = median(season.values())  # not 0 where most hours have no failed run, but some have many
        rest = [value - season[slot] + usual for slot, value in zip(slots, series, strict=True)]
        limit = _CLIP * self._scale.scatter([value - level for value, level in zip(rest, level_of, strict=True)])
        low, high = min(levels) - limit, max(levels) + limit
        return [min(max(value, low), high) for value in rest] if places else _clip_single(rest, limit)


class _Step(NamedTuple):
    """`gain`: the sum of squares that a step at this place explains."""

    gain: float
    place: int


def _split(rest: Sequence[float], first: int, last: int) -> _Step | None:
    """Return the step that leaves the least squares between two places; None if they are too near."""
    count = last - first
    if count < 2 * MIN_HOURS:
        return None
    sums = [*accumulate(rest[first:last], initial=0.0)]
    total = sums[-1]
    gains = (
        _Step(sums[at] ** 2 / at + (total - sums[at]) ** 2 / (count - at) - total**2 / count, first + at)
        for at in range(MIN_HOURS, count - MIN_HOURS + 1)
    )
    return max(gains)


def _dependence(errors: Sequence[float]) -> float:
    """Return by what the standard error of a mean is larger, as an hour resembles the one before."""
    squares = sum(value * value for value in errors)
    products = sum(value * following for value, following in pairwise(errors))
    correlation = min(max(products / squares if squares else 0.0, 0.0), 0.9)
    return math.sqrt((1 + correlation) / (1 - correlation))


def _beats_drift(rest: Sequence[float], place: int) -> bool:
    """Return whether a step explains the series better than a straight line through it."""
    count = len(rest)
    middle = (count - 1) / 2
    mean = sum(rest) / count
    slope = sum((at - middle) * (value - mean) for at, value in enumerate(rest)) / sum(
        (at - middle) ** 2 for at in range(count)
    )
    of_line = sum((value - mean - slope * (at - middle)) ** 2 for at, value in enumerate(rest))
    means = sum(rest[:place]) / place, sum(rest[place:]) / (count - place)
    of_step = sum((value - means[at >= place]) ** 2 for at, value in enumerate(rest))
    return of_line > of_step * (1 + _DRIFT_MARGIN / count)


def _list_slots(begins: Sequence[datetime], zone: tzinfo) -> Sequence[int]:
    """Return for each hour what it has in common with others: its place in the week, or in the day."""
    is_weekly = begins[-1] - begins[0] >= _WEEKS_FOR_WEEKLY * timedelta(days=7)
    local = [begin.astimezone(zone) for begin in begins]
    return [each.hour + (24 * each.weekday() if is_weekly else 0) for each in local]


def _clip_single(rest: Sequence[float], limit: float) -> list[float]:
    """Limit each hour to the median of its neighbours: before a step is known, only single hours are outliers."""
    clipped = []
    for at, value in enumerate(rest):
        near = median(rest[max(0, at - 2) : at + 3])
        clipped.append(min(max(value, near - limit), near + limit))
    return clipped
