"""Query parameters that filter lists of jobs and runs, shared by the routes of all subjects."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query

from scheduler.api.problems import InvalidInput, InvalidRequest, UnusableValue
from scheduler.features.jobs.selection import (
    JOB_STATES,
    LATEST_OUTCOMES,
    NAME_FILTER,
    TAG_FILTER,
    InvalidFilter,
    JobSelection,
    check_kinds,
    match_names,
    parse_selection,
)
from scheduler.features.statistics.periods import InvalidTimeRange, TimeRange, parse_time_range
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


def parse_name_filter(name: list[str]) -> JobMatcher | None:
    """Parse the filter `name` of a list of runs. Raises InvalidRequest."""
    return match_names(parse_job_filters(name, [], [], [], []).names) if name else None


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
