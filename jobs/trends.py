"""Finds when the level of a job's response times changed, from its hourly histograms. Pure.

The series is the mean of each hour's logarithms, without its quickest and slowest tenth, so that a change is a ratio.
What repeats by day or week is removed: the median of each hour of the week, or of the day while the history is short,
computed again after each step that was found. A step is where two levels explain the rest best. It is a change if the
levels differ by at least MIN_CHANGE, if the difference is large against the scatter around them, and if no slow drift
explains the series as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import accumulate, pairwise
from statistics import median
from typing import NamedTuple

from jobs.fast_frozen import fast_frozen
from jobs.runs.histogram import GROWTH, Histogram

MIN_CHANGE = 0.12
"""Of the logarithm: 13 % longer."""
MINIMUM_RUNS = 5
"""Responses of an hour."""
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
_MIN_SCATTER = 0.02
"""A bucket of the histograms is 10 % wide, so an even series has none."""


@fast_frozen(frozen=True, slots=True)
class LevelChange:
    """`at`: the begin of the first hour of the new level, in UTC. `before`, `after`: the histograms of both levels."""

    at: datetime
    before: Histogram
    after: Histogram
    ratio: float
    """Of the levels, without what repeats by day or week: 1.5 is half as long again."""


def find_level_changes(hours: Mapping[datetime, Sequence[int]], zone: tzinfo = UTC) -> Sequence[LevelChange]:
    """Return the changes of the level, the oldest first.

    `hours`: encoded histograms by the begin of each hour in UTC. Those with fewer than MINIMUM_RUNS runs are not
    considered. `zone`: by whose clocks days and weeks repeat.
    """
    begins = sorted(begin for begin, stored in hours.items() if sum(stored[1:]) >= MINIMUM_RUNS)
    if len(begins) < 2 * MIN_HOURS:
        return []
    series = [_level_of(hours[begin]) for begin in begins]
    slots = _list_slots(begins, zone)
    places = _find_places(slots, series)
    return [_describe(hours, begins, slots, series, places, place) for place in places]


def _level_of(stored: Sequence[int]) -> float:
    """Return the mean of the logarithms of an hour, without a tenth of the runs at both ends."""
    first, *counts = stored
    total = sum(counts)
    low, high = total * _TRIMMED, total * (1 - _TRIMMED)
    weighted, reached = 0.0, 0
    for bucket, count in enumerate(counts, first):
        inside = min(reached + count, high) - max(reached, low)
        if inside > 0:
            weighted += inside * bucket
        reached += count
    return weighted / (high - low) * math.log(GROWTH)


def _find_places(slots: Sequence[int], series: Sequence[float]) -> list[int]:
    """Return the index of the first hour of each level but the first.

    One step more at a time, or two if one alone explains little: a level that returns is scatter to a single step.
    """
    places: list[int] = []
    while len(places) < MAX_CHANGES:
        found = next(filter(None, (_add(slots, series, places, count) for count in (1, 2))), None)
        if found is None:
            break
        places = found
    return places


def _add(slots: Sequence[int], series: Sequence[float], places: list[int], count: int) -> list[int] | None:
    """Return the places and so many more; None if one of them is not significant then. Two must be twice as clear."""
    for _ in range(count):
        rest = _remove_season(slots, series, places)
        steps = [_split(rest, first, last) for first, last in pairwise([0, *places, len(series)])]
        best = max((step for step in steps if step is not None), default=None)
        if best is None:
            return None
        places = _move(slots, series, sorted([*places, best.place]))
    rest = _remove_season(slots, series, places)
    bounds = [0, *places, len(series)]
    scores = (_score(rest[bounds[at] : bounds[at + 2]], place - bounds[at]) for at, place in enumerate(places))
    return places if all(score >= MIN_SCORE * count for score in scores) else None


def _move(slots: Sequence[int], series: Sequence[float], places: list[int]) -> list[int]:
    """Return the places again, each at the best one between its neighbours."""
    for _ in range(_MOVES):
        rest = _remove_season(slots, series, places)
        moved = list(places)
        for at in range(len(moved)):
            bounds = [0, *moved, len(series)]
            step = _split(rest, bounds[at], bounds[at + 2])
            moved[at] = moved[at] if step is None else step.place
        if moved == places:
            break
        places = moved
    return places


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


def _score(rest: Sequence[float], place: int) -> float:
    """Return the height of a step in standard errors; 0 for one that is small, or is a drift as well."""
    count, before, after = len(rest), median(rest[:place]), median(rest[place:])
    if abs(after - before) < MIN_CHANGE or not _beats_drift(rest, place):
        return 0.0
    errors = [value - before for value in rest[:place]] + [value - after for value in rest[place:]]
    error = _scatter(errors) * _dependence(errors) * math.sqrt(1 / place + 1 / (count - place))
    return abs(after - before) / error


def _scatter(values: Sequence[float]) -> float:
    """Return the standard deviation by the median of distances, which outliers do not change."""
    return max(1.4826 * median(map(abs, values)), _MIN_SCATTER)


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


def _remove_season(slots: Sequence[int], series: Sequence[float], places: Sequence[int]) -> list[float]:
    """Return the series without what repeats, with outliers limited."""
    bounds = [0, *places, len(series)]
    levels = [median(series[first:last]) for first, last in pairwise(bounds)]
    level_of = [
        level for level, first, last in zip(levels, bounds[:-1], bounds[1:], strict=True) for _ in range(first, last)
    ]
    of_slots: dict[int, list[float]] = {}
    for slot, value, level in zip(slots, series, level_of, strict=True):
        of_slots.setdefault(slot, []).append(value - level)
    season = {slot: median(values) for slot, values in of_slots.items()}
    rest = [value - season[slot] for slot, value in zip(slots, series, strict=True)]
    scatter = _scatter([value - level for value, level in zip(rest, level_of, strict=True)])
    limit = _CLIP * scatter
    low, high = min(levels) - limit, max(levels) + limit
    return [min(max(value, low), high) for value in rest] if places else _clip_single(rest, limit)


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


def _describe(
    hours: Mapping[datetime, Sequence[int]],
    begins: Sequence[datetime],
    slots: Sequence[int],
    series: Sequence[float],
    places: Sequence[int],
    place: int,
) -> LevelChange:
    first = max((each for each in places if each < place), default=0)
    last = min((each for each in places if each > place), default=len(begins))
    rest = _remove_season(slots, series, places)
    before, after = Histogram(), Histogram()
    for at in range(first, last):
        (before if at < place else after).merge(Histogram.decode(hours[begins[at]]))
    ratio = math.exp(median(rest[place:last]) - median(rest[first:place]))
    return LevelChange(begins[place], before, after, ratio)
