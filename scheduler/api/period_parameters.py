"""Query parameters for the period of statistics, exports and changes of states."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import Annotated, Literal, TypeVar

from fastapi import Query

from jobs.runs.states import JobStatus
from scheduler.api.problems import InvalidInput, UnusableValue
from scheduler.features.statistics.periods import MONTH_PATTERN, ZONE_PATTERN, InvalidTimeRange, parse_zone

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
