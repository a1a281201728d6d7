"""Filters of lists in the address of a page: a form sends every field, and an empty one filters nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Annotated, Final

from fastapi import Depends, Query, Request

from jobs.definition import NAME_PATTERN
from jobs.formats import format_iso_instant, parse_instant
from scheduler.api.dashboard.rendering.preferences import find_preferences
from scheduler.api.routing import ServicesDep
from scheduler.catalog.catalog import UnknownJob
from scheduler.features.jobs.queries import JobAndRunQueries
from scheduler.features.statistics.periods import ANY_TIME, InvalidTimeRange, TimeRange, parse_time_range

PAGE_SIZE: Final = 50
"""Rows of a list on a page."""
_MAX_OFFERED_JOBS: Final = 200
"""Jobs whose names a field offers: more would be most of the page."""
_LOCAL_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?")
"""What the field `datetime-local` sends."""

FilterText = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True, slots=True)
class PeriodFilter:
    """A period as the API knows it, and its ends as the fields show them. `error`: why it is invalid, else empty."""

    period: TimeRange = ANY_TIME
    since: str = ""
    until: str = ""
    error: str = ""

    @property
    def api_query(self) -> dict[str, str]:
        """The period as query parameters of the API."""
        ends = {"from": self.period.since, "to": self.period.until}
        return {name: format_iso_instant(end, precise=True) for name, end in ends.items() if end is not None}


def read_period(since: str, until: str, now: datetime) -> PeriodFilter:
    """Read a period: instants in the time zone of `now` or with an offset, or durations before now such as `24h`."""
    zone = now.tzinfo
    try:
        period = parse_time_range(_to_utc(since, zone), _to_utc(until, zone), now)
    except InvalidTimeRange as error:
        return PeriodFilter(ANY_TIME, since, until, f"{error.message}: {error.hint}")
    return PeriodFilter(period, _to_field(period.since, zone), _to_field(period.until, zone))


async def read_period_filter(
    request: Request,
    services: ServicesDep,
    since: Annotated[str, Query(alias="from", max_length=50)] = "",
    until: Annotated[str, Query(alias="to", max_length=50)] = "",
) -> PeriodFilter:
    """Return the period of a request, in the time zone of its preferences."""
    return read_period(since, until, services.clock.now().astimezone(find_preferences(request).zone))


PeriodDep = Annotated[PeriodFilter, Depends(read_period_filter)]


def keep_filters(**values: str) -> dict[str, str]:
    """Return the filters that are set, as the query of a link; `since` and `until` have their names in the address."""
    names = {"since": "from", "until": "to"}
    return {names.get(name, name): value for name, value in values.items() if value}


def find_job_error(queries: JobAndRunQueries, job: str) -> str:
    """Return why a list of a job is empty: it does not exist, or the text is not a name. Empty if it exists."""
    try:
        queries.require_job(job)
    except UnknownJob as error:
        text = str(error)
        return f"{text[0].upper()}{text[1:]}"
    return ""


def is_job_name(text: str) -> bool:
    """Return whether a job can have this name."""
    return re.fullmatch(NAME_PATTERN, text, re.ASCII) is not None


def offer_jobs(queries: JobAndRunQueries) -> Sequence[str]:
    """Return the names that a field offers."""
    return queries.job_names()[:_MAX_OFFERED_JOBS]


def _to_utc(text: str, zone: tzinfo | None) -> str | None:
    text = text.strip()
    if not text:
        return None
    if zone is not None and _LOCAL_TIME.fullmatch(text):
        try:
            return format_iso_instant(parse_instant(text, zone), precise=True)
        except ValueError:
            return text  # not an instant: the parser of ranges reports it
    return text


def _to_field(instant: datetime | None, zone: tzinfo | None) -> str:
    """Format an instant as the field `datetime-local` needs it."""
    if instant is None:
        return ""
    return instant.astimezone(zone).replace(tzinfo=None).isoformat(timespec="seconds")
