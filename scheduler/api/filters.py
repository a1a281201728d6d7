"""Parameters that choose jobs and runs in lists. Used by the routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query

from scheduler.api.problems import Invalid, InvalidRequest
from scheduler.intervals import BadInterval, Interval, read_interval
from scheduler.selection import (
    JOB_STATES,
    LATEST_OUTCOMES,
    NAME_FILTER,
    TAG_FILTER,
    BadSelection,
    Selection,
    kinds_of_checks,
    read_selection,
)

_MOST = 20
"""Values of one filter."""


def chosen_jobs(name: list[str], kind: list[str], tag: list[str], state: list[str], outcome: list[str]) -> Selection:
    """The parameters of a list of jobs. Raises InvalidRequest."""
    try:
        return read_selection(names=name, kinds=kind, tags=tag, states=state, outcomes=outcome)
    except BadSelection as error:
        raise InvalidRequest(Invalid(where=f"query.{error.filter}", message=error.message, hint=error.hint)) from None


def chosen_interval(since: str | None, until: str | None, now: datetime) -> Interval:
    """The parameters `from` and `to`. Raises InvalidRequest."""
    try:
        return read_interval(since, until, now)
    except BadInterval as error:
        raise InvalidRequest(Invalid(where=f"query.{error.end}", message=error.message, hint=error.hint)) from None


OfNames = Annotated[
    list[str],
    Query(
        max_length=_MOST,
        description="Only jobs of this name: * is any text, ? any character; repeated: any of them",
        examples=[["checkout-*"]],
        json_schema_extra={"items": {"type": "string", "pattern": NAME_FILTER}},
    ),
]
OfKinds = Annotated[
    list[str],
    Query(
        max_length=_MOST,
        description="Only jobs of this kind; repeated: any of them",
        json_schema_extra={"items": {"type": "string", "enum": list(kinds_of_checks())}},
    ),
]
OfTags = Annotated[
    list[str],
    Query(
        max_length=_MOST,
        description="Only jobs with this tag, `key` or `key=value`; repeated: with all of them",
        examples=[["team=payments"]],
        json_schema_extra={"items": {"type": "string", "pattern": TAG_FILTER}},
    ),
]
OfStates = Annotated[
    list[str],
    Query(
        max_length=_MOST,
        description="Only jobs in this state; repeated: any of them. A disabled job that is paused is disabled",
        json_schema_extra={"items": {"type": "string", "enum": list(JOB_STATES)}},
    ),
]
OfLatestOutcomes = Annotated[
    list[str],
    Query(
        max_length=_MOST,
        description="Only jobs whose latest finished run ended so, `none` if there is none; repeated: any of them",
        json_schema_extra={"items": {"type": "string", "enum": list(LATEST_OUTCOMES)}},
    ),
]
Since = Annotated[
    str | None,
    Query(
        alias="from",
        max_length=50,
        description="Only runs due at this instant or later: ISO 8601, without an offset UTC; or a time ago, 24h",
        examples=["2026-11-25T01:00:00Z"],
    ),
]
Until = Annotated[
    str | None,
    Query(
        alias="to",
        max_length=50,
        description="Only runs due at this instant or earlier, written likewise",
        examples=["2026-11-25T02:00:00Z"],
    ),
]
