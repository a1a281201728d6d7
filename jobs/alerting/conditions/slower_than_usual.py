"""The condition `slower_than_usual`: a percentile of response times is longer than the job's own usual one.

The usual one is the median of the same hours of earlier weeks or days, so that one bad week does not change it. A ratio
and a floor must both be exceeded: without the floor, a target that answers in 4 ms instead of 2 ms would open an alert.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from statistics import median
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from jobs.alerting.alert import Verdict
from jobs.alerting.comparison import HOUR, ComparedHours, HoursNeed, HourSpan, ResponseHours
from jobs.alerting.conditions.base import AlertCondition, format_share
from jobs.alerting.facts import AlertNeeds, SampleHistory, SubjectFacts, Thresholds
from jobs.formats import describe_milliseconds, format_count
from jobs.model_base import Duration
from jobs.runs.histogram import Histogram, quantile_of
from jobs.schedules.time_zones import load_time_zone

_RATIO = re.compile(r"\s*(\d{1,4}(?:\.\d{1,2})?) ?%\s*")
_MAX_RATIO = 10.0


def _read_ratio(value: object) -> float:
    if type(value) is float and 0 < value <= _MAX_RATIO:
        return value
    found = _RATIO.fullmatch(value) if isinstance(value, str) else None
    ratio = float(found[1]) / 100 if found else 0.0
    if not 0 < ratio <= _MAX_RATIO:
        raise ValueError(f"{value!r} is not a ratio: write by how much it is slower, like 50%, at most 1000%")
    return ratio


def _check_zone(name: str) -> str:
    return load_time_zone(name).name


RatioField = Annotated[
    float,
    PlainValidator(_read_ratio),
    PlainSerializer(format_share, return_type=str),
    WithJsonSchema({"type": "string", "pattern": rf"^{_RATIO.pattern}$", "examples": ["50%"]}),
]


class SlowerThanUsualCondition(AlertCondition):
    """Judged once an hour, by complete hours: those of `window`, and the same ones of earlier weeks or days.

    Runs of all triggers count; hours in which a window with `counts: false`, a blind scheduler or an incident of the
    job was, and runs that lacked CPU, do not.
    """

    EXAMPLE: ClassVar = "{slower_than_usual: 50%}"
    DEFAULT_SEVERITY: ClassVar = "degraded"

    slower_than_usual: RatioField
    compared_with: Literal["same_hour_of_week", "same_hour_of_day"] = "same_hour_of_week"
    weeks: int = Field(default=4, ge=1, le=12)
    percentile: float = Field(default=95.0, gt=0, le=100)
    minimum_runs: int = Field(default=30, ge=1, le=100_000, description="runs of each of the compared periods")
    at_least: Annotated[Duration, Field(ge=0, le=3600)] = 0.1
    window: Annotated[Duration, Field(ge=3600, le=86400)] = 3600.0
    timezone: Annotated[str, AfterValidator(_check_zone)] = "UTC"

    @model_validator(mode="after")
    def _check_window(self) -> Self:
        if self.window % 3600:
            raise ValueError("window must be of whole hours, such as 1h or 6h: hours of the statistics are compared")
        return self

    @property
    def need(self) -> HoursNeed:
        is_weekly = self.compared_with == "same_hour_of_week"
        step, count = (7, self.weeks) if is_weekly else (1, 7 * self.weeks)
        return HoursNeed(int(self.window // 3600), step, count, self.timezone)

    def find_needs(self, thresholds: Thresholds) -> AlertNeeds:
        return AlertNeeds(compared=frozenset({self.need}), is_timed=True)

    def judge(
        self, history: SampleHistory, facts: SubjectFacts, now: datetime, is_firing: bool, thresholds: Thresholds
    ) -> Verdict:
        compared = None if facts.compared is None else facts.compared.get(self.need)
        return Verdict(None, "the hours are not counted") if compared is None else self.judge_hours(compared)

    def judge_hours(self, compared: ComparedHours) -> Verdict:
        """Return the verdict of one hour; None while the history is too short."""
        latest, share = compared.latest, self.percentile / 100
        within = f"from {compared.period.begin:%H:%M} to {compared.period.end:%H:%M} UTC"
        if latest is None:
            return Verdict(None, f"the time {within} does not count")
        if latest.total < self.minimum_runs:
            runs = format_count(latest.total, "response counts", "responses count")
            return Verdict(None, f"{runs} {within}, {self.minimum_runs} are required")
        usable = [each for each in compared.earlier if each is not None and each.total >= self.minimum_runs]
        if not compared.has_history:
            return Verdict(None, "what is usual is not known yet: the job did not run before the compared time")
        if 2 * len(usable) < len(compared.earlier):
            steps = "weeks" if self.compared_with == "same_hour_of_week" else "days"
            enough = f"{len(usable)} of {len(compared.earlier)} {steps} before have {self.minimum_runs} responses"
            return Verdict(None, f"what is usual is not known yet: {enough} that count")
        value, usual = latest.quantile(share) or 0.0, median(each.quantile(share) or 0.0 for each in usable)
        limit = self.find_limit(usual)
        evidence = self._describe(latest, usable, value, usual, limit, within)
        return Verdict(value > limit, evidence, compared.period.begin)

    def list_judged_hours(self, hours: ResponseHours, ends: Iterable[datetime]) -> Iterator[datetime]:
        """Yield those of these ends of hours at which the verdict may differ from that of the hour before."""
        need, values = self.need, _Percentiles(self, hours)
        excluded = hours.list_excluded(values.length, is_earlier=False)
        excluded_before = hours.list_excluded(values.length, is_earlier=True)
        was_met, lowest_limit = False, self.find_limit(values.lowest)
        for end in ends:
            value = values[end - values.length]
            if value is None or (not was_met and value <= lowest_limit):
                continue  # not known, which leaves the alert unchanged, or as before
            latest, *earlier = need.list_periods(end)
            if latest.begin in excluded:
                continue
            begins = (period.begin for period in earlier if period.begin not in excluded_before)
            usable = [each for begin in begins if (each := values[begin]) is not None]
            if 2 * len(usable) < len(earlier):
                continue
            is_met = value > self.find_limit(median(usable))
            if is_met or was_met:
                yield end
            was_met = is_met

    def find_limit(self, usual_ms: float) -> float:
        """Return the milliseconds above which it is slower than usual."""
        return max(usual_ms * (1 + self.slower_than_usual), usual_ms + self.at_least * 1000)

    def _describe(
        self, latest: Histogram, usable: list[Histogram], value: float, usual: float, limit: float, within: str
    ) -> str:
        whole = Histogram()
        for each in usable:
            whole.merge(each)
        than = f"{'more than' if value > limit else 'at most'} {describe_milliseconds(limit)}"
        return (
            # A title has the first 160 characters of it.
            f"p{self.percentile:g} {describe_milliseconds(value)}, usually {describe_milliseconds(usual)}: "
            f"{than} {within} (p50, p95, p99 of {latest.total} responses {_describe_times(latest)}; "
            f"usually {_describe_times(whole)})"
        )


class _Percentiles(dict[datetime, float | None]):
    """The percentile of a period by its begin, computed when it is first read; None with too few runs.

    `lowest`: no period has a lower one, as that of a sum is at least the lowest of its parts.
    """

    def __init__(self, condition: SlowerThanUsualCondition, hours: ResponseHours) -> None:
        self._hours = hours
        self.length = condition.need.hours * HOUR
        self._limits = share, minimum = condition.percentile / 100, condition.minimum_runs
        is_single = self.length == HOUR
        least = minimum if is_single else 1
        found = {begin: quantile_of(times, share, least) for begin, times in hours.hours.items()}
        self.lowest = min((each for each in found.values() if each is not None), default=0.0)
        if is_single:
            self.update(found)

    def __missing__(self, begin: datetime) -> float | None:
        found = self[begin] = self._hours.measure(HourSpan(begin, begin + self.length), *self._limits)
        return found


def _describe_times(histogram: Histogram) -> str:
    return ", ".join(describe_milliseconds(histogram.quantile(share) or 0.0) for share in (0.5, 0.95, 0.99))
