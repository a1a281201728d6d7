"""Proposes the numbers of a rule `slower_than_usual` for a job, from the job's own history.

The candidate that opens at most a number of times in the history, and finds the smallest change, is proposed. The floor
grows with the level of the job: a target that answers in 4 ms needs no alert at 6 ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

from jobs.alerting.comparison import HOUR, ResponseHours
from jobs.alerting.conditions.slower_than_usual import SlowerThanUsualCondition
from jobs.fast_frozen import fast_frozen
from jobs.runs.histogram import quantile_of

_RATIOS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
_PERCENTILES = (95.0, 90.0, 50.0)
_WINDOWS = (1, 3, 6, 12, 24)
"""Hours."""
_FLOORS_MS = (25, 50, 100, 250, 500, 1000, 2500)
_MINIMUM_RUNS = (30, 10)
DEFAULT_MAX_OPENINGS = 2
_MIN_JUDGED = 24
"""Periods with a verdict below which nothing is known."""


@fast_frozen(frozen=True, slots=True)
class UsualAdvice:
    """`condition`: None if no candidate opens rarely enough, or while `judged`, the periods with a verdict, are few."""

    condition: SlowerThanUsualCondition | None
    openings: int
    judged: int
    max_openings: int

    @property
    def fields(self) -> Mapping[str, object] | None:
        """The members of `when`, as they are written."""
        if self.condition is None:
            return None
        written = self.condition.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        written |= {"at_least": f"{self.condition.at_least * 1000:g}ms"}
        return written | ({} if self.condition.window == 3600 else {"window": f"{self.condition.window / 3600:g}h"})

    @property
    def summary(self) -> str:
        if self.condition is not None:
            times = "once" if self.openings == 1 else f"{self.openings} times"
            return f"slower than usual: would have opened {times} in {self.judged} judged hours"
        if self.judged < _MIN_JUDGED:
            return "slower than usual: not known, fewer than four weeks of hours with enough responses"
        return f"slower than usual: each rule would have opened more than {self.max_openings} times"


def advise_usual(hours: ResponseHours, ends: Sequence[datetime], max_openings: int) -> UsualAdvice:
    """Return the numbers with which an alert opens at most so often at these ends of hours. Takes 0.1 to 1 s."""
    sizes = _choose_sizes(hours)
    if sizes is None:
        return UsualAdvice(None, 0, 0, max_openings)
    level = median(value for each in hours.hours.values() if (value := quantile_of(each, 0.5)) is not None)
    floor = next((each for each in _FLOORS_MS if each >= level / 4), _FLOORS_MS[-1])
    judged = 0
    for ratio in _RATIOS:
        for percentile in _PERCENTILES:
            condition = SlowerThanUsualCondition(
                slower_than_usual=ratio,
                percentile=percentile,
                at_least=floor / 1000,
                minimum_runs=sizes[1],
                window=sizes[0] * 3600.0,
            )
            judged = judged or _count_judged(condition, hours, ends)
            if judged < _MIN_JUDGED:
                return UsualAdvice(None, 0, judged, max_openings)
            openings = count_openings(condition, hours, ends)
            if openings <= max_openings:
                return UsualAdvice(condition, openings, judged, max_openings)
    return UsualAdvice(None, 0, judged, max_openings)


def count_openings(condition: SlowerThanUsualCondition, hours: ResponseHours, ends: Sequence[datetime]) -> int:
    """Return how often an alert without `for` opens: hours that are not known leave it unchanged."""
    openings, is_open = 0, False
    for end in condition.list_judged_hours(hours, ends):
        is_met = condition.judge_hours(hours.compare(condition.need, end)).is_met
        if is_met is not None:
            openings += is_met and not is_open
            is_open = is_met
    return openings


def _choose_sizes(hours: ResponseHours) -> tuple[int, int] | None:
    """Return the hours of a period, and the minimum of runs that most of them have."""
    if not hours.hours:
        return None
    per_hour = median(sum(each[1:]) for each in hours.hours.values())
    sizes = ((window, runs) for runs in _MINIMUM_RUNS for window in _WINDOWS if 0.8 * window * per_hour >= runs)
    return next(sizes, None)


def _count_judged(condition: SlowerThanUsualCondition, hours: ResponseHours, ends: Sequence[datetime]) -> int:
    compared = (hours.compare(condition.need, end) for end in ends)
    return sum(condition.judge_hours(each).is_met is not None for each in compared)


def list_hour_ends(since: datetime, until: datetime) -> list[datetime]:
    """Return the ends of the full hours in a time."""
    first, last = (each.replace(minute=0, second=0, microsecond=0) for each in (since, until))
    return [first + number * timedelta(hours=1) for number in range(1, (last - first) // HOUR + 1)]
