"""Query parameters and body fields that the routes of several subjects share: filters of lists, periods, durations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Annotated, Literal, TypeVar

from fastapi import Query

from jobs.formats import parse_duration
from jobs.problems import make_printable
from jobs.runs.states import JobStatus
from scheduler.api.problems import InvalidInput, InvalidRequest, UnusableValue
from scheduler.catalog.catalog import JobSnapshot
from scheduler.features.jobs.selection import (
    JOB_STATES,
    LATEST_OUTCOMES,
    NAME_FILTER,
    TAG_FILTER,
    InvalidFilter,
    JobSelection,
    check_kinds,
    match_jobs,
    parse_selection,
)
from scheduler.features.statistics.periods import (
    MONTH_PATTERN,
    ZONE_PATTERN,
    InvalidTimeRange,
    TimeRange,
    parse_time_range,
    parse_zone,
)
from scheduler.stores.runs.repository import JobMatcher

_MAX_VALUES = 20
"""Values of one filter."""


def parse_job_filters(
    name: list[str], kind: list[str], tag: list[str], state: list[str], outcome: list[str]
) -> JobSelection:
    """Parse the filters of a list of jobs. Raises InvalidRequest."""
    try:
        return parse_selection(names=name, kinds=kind, tags=tag, states=state, outcomes=outcome)
    except InvalidFilter as error:
        raise InvalidRequest(
            InvalidInput(location=f"query.{error.filter}", message=error.message, hint=error.hint)
        ) from None


def parse_run_filters(jobs: JobSnapshot, name: list[str], tag: list[str]) -> JobMatcher | None:
    """Parse the filters `name` and `tag` of a list of runs. Raises InvalidRequest."""
    return match_jobs(jobs, parse_job_filters(name, [], tag, [], []))


def parse_due_range(since: str | None, until: str | None, now: datetime) -> TimeRange:
    """Parse the parameters `from` and `to`. Raises UnusableValue."""
    try:
        return parse_time_range(since, until, now)
    except InvalidTimeRange as error:
        raise UnusableValue(
            InvalidInput(location=f"query.{error.end}", message=error.message, hint=error.hint)
        ) from None


NamesParameter = Annotated[
    list[str],
    Query(
        max_length=_MAX_VALUES,
        description="Job name; * matches any text, ? one character. Repeatable: any of them",
        examples=[["checkout-*"]],
        json_schema_extra={"items": {"type": "string", "pattern": NAME_FILTER}},
    ),
]
KindsParameter = Annotated[
    list[str],
    Query(
        max_length=_MAX_VALUES,
        description="Kind of check. Repeatable: any of them",
        json_schema_extra={"items": {"type": "string", "enum": list(check_kinds())}},
    ),
]
TagsParameter = Annotated[
    list[str],
    Query(
        max_length=_MAX_VALUES,
        description="Tag, `key` or `key=value`. Repeatable: all of them",
        examples=[["team=payments"]],
        json_schema_extra={"items": {"type": "string", "pattern": TAG_FILTER}},
    ),
]
StatesParameter = Annotated[
    list[str],
    Query(
        max_length=_MAX_VALUES,
        description="State; a disabled job that is paused counts as disabled. Repeatable: any of them",
        json_schema_extra={"items": {"type": "string", "enum": list(JOB_STATES)}},
    ),
]
LatestOutcomesParameter = Annotated[
    list[str],
    Query(
        max_length=_MAX_VALUES,
        description="Outcome of the latest finished run, `none` without one. Repeatable: any of them",
        json_schema_extra={"items": {"type": "string", "enum": list(LATEST_OUTCOMES)}},
    ),
]
FromParameter = Annotated[
    str | None,
    Query(
        alias="from",
        max_length=50,
        description="Runs due at or after this instant: ISO 8601, UTC without an offset; or a duration before now, 24h",
        examples=["2026-11-25T01:00:00Z"],
    ),
]
ToParameter = Annotated[
    str | None,
    Query(
        alias="to",
        max_length=50,
        description="Runs due at or before this instant, in the same forms",
        examples=["2026-11-25T02:00:00Z"],
    ),
]


T = TypeVar("T")

WindowParameter = Annotated[
    Literal["24h", "7d", "30d", "90d", "365d"] | None,
    Query(description="Time until now, rounded to full hours. Default: 24h, unless a range or a month is given"),
]
MonthParameter = Annotated[
    str | None,
    Query(
        pattern=MONTH_PATTERN,
        description="Calendar month such as 2026-11 in `timezone`, instead of a range",
        examples=["2026-11"],
    ),
]
ZoneParameter = Annotated[
    str | None,
    Query(pattern=ZONE_PATTERN, description="IANA time zone; UTC without it", examples=["Europe/Berlin"]),
]

EnteredStates = Annotated[
    list[JobStatus], Query(max_length=len(JobStatus), description="State after the change. Repeatable: any of them")
]
AtOrAfter = Annotated[
    str | None,
    Query(
        alias="from",
        max_length=50,
        description="Changes at or after this instant: ISO 8601, UTC without an offset; or a duration before now, 24h",
        examples=["2026-11-25T01:00:00Z"],
    ),
]
AtOrBefore = Annotated[
    str | None,
    Query(
        alias="to",
        max_length=50,
        description="Changes at or before this instant, in the same forms",
        examples=["2026-11-25T02:00:00Z"],
    ),
]


def parse_zone_parameter(timezone: str | None) -> tzinfo:
    """Raises UnusableValue."""
    return answer_invalid(lambda: parse_zone(timezone))


def answer_invalid(parse: Callable[[], T]) -> T:
    """Return what `parse` returns. An invalid time range becomes UnusableValue, which names the parameter."""
    try:
        return parse()
    except InvalidTimeRange as error:
        raise UnusableValue(
            InvalidInput(location=f"query.{error.end}", message=error.message, hint=error.hint)
        ) from None


def parse_length(text: str | None) -> float | None:
    """Return seconds; None without a text. Raises UnusableValue."""
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        message = make_printable(str(error), 200)
        raise UnusableValue(InvalidInput(location="body.for", message=message)) from None
