"""What the pages of a job share: the headline with state and reason, the actions, the tabs, and the period of
their charts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from jobs.incidents.values import Incident
from scheduler.api.dashboard.readers import readers_of
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import job_page_path
from scheduler.features.jobs.queries import JobView
from scheduler.features.statistics.periods import InvalidTimeRange, Period, parse_month
from scheduler.services import Services

JOB_TABS: Final = {
    "state": ("State", ""),
    "alerts": ("Alerts", "/alerts"),
    "plan": ("Schedule", "/plan"),
    "definition": ("Definition", "/definition"),
}
"""The title and the path of each page of a job."""
PAUSE_SPANS: Final = (
    (900, "15 minutes"),
    (3600, "1 hour"),
    (4 * 3600, "4 hours"),
    (86400, "1 day"),
    (0, "until resumed"),
)
"""Seconds, and the text of the choice."""


async def respond_job(
    request: Request, services: Services, view: JobView, tab: str, *, status: int = HTTPStatus.OK, **values: Any
) -> Response:
    """Return a page of a job. `tab`: its key in JOB_TABS; the template has that name."""
    name = view.entry.job.name
    standing, circuits = await asyncio.gather(
        readers_of(request, services).availability.read_availability(name), services.circuits.circuits_of_jobs([name])
    )
    return await respond(
        request,
        services,
        f"job/{tab}.html",
        page="overview",
        status=status,
        view=view,
        job=view.entry.job,
        standing=standing,
        circuit=circuits.get(name),
        tab=tab,
        tabs={key: (title, job_page_path(name) + path) for key, (title, path) in JOB_TABS.items()},
        pause_spans=PAUSE_SPANS,
        **values,
    )


WINDOWS: Final = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
DEFAULT_WINDOW: Final = "24h"
_NEW_WINDOW: Final = "1h"
_SHORTEST, _LONGEST = timedelta(minutes=1), timedelta(days=400)
_AROUND_AT_LEAST = timedelta(minutes=5)
"""Before and after an incident that is shorter."""
_MONTHS = 12
_FORM = "%Y-%m-%dT%H:%M"


class InvalidPeriod(ValueError):
    """The address does not describe a period; the message is for people."""


@dataclass(frozen=True, slots=True)
class ChartPeriod:
    """`text`: for people, as a heading. `query`: the parameters that select it; none for the default.

    `window`: the name of a window that ends now, or of a month; empty for another period.
    """

    since: datetime
    until: datetime
    text: str
    window: str = ""
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_default(self) -> bool:
        return not self.query

    def format_ends(self, zone: tzinfo) -> tuple[str, str]:
        """Return both ends as a field of a form has them."""
        return f"{self.since.astimezone(zone):{_FORM}}", f"{self.until.astimezone(zone):{_FORM}}"


def find_default_window(first_run_at: datetime | None, now: datetime) -> str:
    """Return 24h, or 1h for a job that has run for an hour at most: a day would hardly show it."""
    is_new = first_run_at is not None and now - first_run_at <= WINDOWS[_NEW_WINDOW]
    return _NEW_WINDOW if is_new else DEFAULT_WINDOW


def default_period(now: datetime, window: str = DEFAULT_WINDOW) -> ChartPeriod:
    """Return the last 24 h, or another window."""
    return _read_window(window, now, window)


def parse_chart_period(
    period: str | None,
    begin: str | None,
    end: str | None,
    zone: tzinfo,
    now: datetime,
    default: str = DEFAULT_WINDOW,
) -> ChartPeriod:
    """Return the period of a window, a calendar month or a range. `default`: the window without parameters.

    Raises:
        InvalidPeriod: a value is invalid.
    """
    if begin or end:
        return _read_range(begin, end, zone, now)
    if not period or period in WINDOWS:
        return _read_window(period or default, now, default)
    try:
        month = parse_month(period, zone)
    except InvalidTimeRange as error:
        windows = ", ".join(WINDOWS)
        raise InvalidPeriod(f"{error.message}: enter {windows}, or a month such as 2026-11") from None
    assert month.since is not None, "a month has a beginning"
    assert month.until is not None, "a month has an end"
    if month.since >= now:
        raise InvalidPeriod(f"the month {period} has not started")
    name = f"{month.since.astimezone(zone):%B %Y}"
    end_at = min(month.until + timedelta(milliseconds=1), _end_of_hour(now))
    return ChartPeriod(month.since, end_at, f"In {name}", period, {"period": period})


def parse_local_time(text: str, name: str, zone: tzinfo) -> datetime:
    """Return the instant of a local time, as a field of a form has it. Raises InvalidPeriod."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidPeriod(f"the value of {name!r} is not a time: enter one such as 2026-11-28T14:30") from None


def period_around(incident: Incident, now: datetime) -> ChartPeriod:
    """Return the time of an incident, and as much before and after."""
    begin = min(incident.failing_since, incident.opened_at)
    end = incident.resolved_at or now
    margin = max(end - begin, _AROUND_AT_LEAST)
    since, until = _limit(begin - margin, min(end + margin, _end_of_hour(now)))
    return ChartPeriod(since, until, f"Around the incident {incident.id}", "", {"incident": incident.id})


def list_months(zone: tzinfo, now: datetime) -> list[tuple[str, str]]:
    """Return the last calendar months, the latest first, as a parameter and for people."""
    local = now.astimezone(zone)
    numbers = (local.year * 12 + local.month - 1 - back for back in range(_MONTHS))
    months = [datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC) for number in numbers]
    return [(f"{month:%Y-%m}", f"{month:%B %Y}") for month in months]


def _read_window(name: str, now: datetime, default: str) -> ChartPeriod:
    period = Period.covering(now - WINDOWS[name], now)
    query = {} if name == default else {"period": name}
    words = "hour" if name == "1h" else name.replace("h", " hours").replace("d", " days")
    return ChartPeriod(period.since, period.until, f"In the last {words}", name, query)


def _read_range(begin: str | None, end: str | None, zone: tzinfo, now: datetime) -> ChartPeriod:
    until = now if not end else parse_local_time(end, "to", zone)
    since = until - WINDOWS[DEFAULT_WINDOW] if not begin else parse_local_time(begin, "from", zone)
    if since >= min(until, now):
        raise InvalidPeriod("the period must begin before it ends, and before now")
    if until - since > _LONGEST:
        raise InvalidPeriod(f"the period is longer than {_LONGEST.days} days: enter a later beginning")
    since, until = _limit(since, min(until, _end_of_hour(now)))
    text = "From " + " to ".join(f"{at.astimezone(zone):%Y-%m-%d %H:%M}" for at in (since, until))
    query = {name: value for name, value in (("from", begin), ("to", end)) if value}
    return ChartPeriod(since, until, text, "", query)


def _limit(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    return max(since, until - _LONGEST), max(until, since + _SHORTEST)


def _end_of_hour(now: datetime) -> datetime:
    return Period.covering(now - timedelta(hours=1), now).until
