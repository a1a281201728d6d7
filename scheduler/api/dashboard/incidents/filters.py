"""The filters of the page of incidents, as its address contains them. Called by incident_list_page. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from urllib.parse import urlencode

from jobs.incidents.values import IncidentStatus
from scheduler.features.statistics.periods import ANY_TIME, InvalidTimeRange, TimeRange, parse_time_range
from scheduler.queries.alerting.incidents import IncidentFilter
from scheduler.queries.selection import EVERY_JOB, InvalidFilter, JobSelection, parse_selection


@dataclass(frozen=True, slots=True)
class IncidentFilters:
    """The texts that a user has entered; empty: no filter. `severity`: any of these."""

    status: str = ""
    severity: tuple[str, ...] = ()
    job: str = ""
    tag: str = ""
    since: str = ""
    until: str = ""

    @property
    def are_set(self) -> bool:
        return bool(self.job) or not self.is_only_job

    @property
    def is_only_job(self) -> bool:
        return not any((self.status, self.severity, self.tag, self.since, self.until))

    @property
    def query(self) -> str:
        """Return the query of the address, such as `?status=open`; empty without filters."""
        texts = {"status": self.status, "job": self.job, "tag": self.tag, "from": self.since, "to": self.until}
        pairs = [*texts.items(), *(("severity", each) for each in self.severity)]
        given = [pair for pair in pairs if pair[1]]
        return f"?{urlencode(given)}" if given else ""


@dataclass(frozen=True, slots=True)
class ParsedFilters:
    """`problems`: sentences about filters that are not applied."""

    criteria: IncidentFilter
    problems: tuple[str, ...] = ()


def parse_filters(filters: IncidentFilters, now: datetime, zone: tzinfo) -> ParsedFilters:
    """Return what to read. An instant without an offset is one of `zone`."""
    problems: list[str] = []
    criteria = IncidentFilter(
        filters.job or None,
        _parse_status(filters.status, problems),
        filters.severity,
        _parse_tag(filters.tag, problems),
        _parse_range(filters, now, zone, problems),
    )
    return ParsedFilters(criteria, tuple(problems))


def _parse_status(text: str, problems: list[str]) -> IncidentStatus | None:
    if text and text not in tuple(IncidentStatus):
        problems.append("status: expected open or resolved")
        return None
    return IncidentStatus(text) if text else None


def _parse_tag(text: str, problems: list[str]) -> JobSelection:
    try:
        return parse_selection(tags=text.split()) if text.strip() else EVERY_JOB
    except InvalidFilter as error:
        problems.append(f"tag: {error.message}; {error.hint}")
        return EVERY_JOB


def _parse_range(filters: IncidentFilters, now: datetime, zone: tzinfo, problems: list[str]) -> TimeRange:
    since, until = (_add_zone(each, zone) for each in (filters.since, filters.until))
    try:
        return parse_time_range(since or None, until or None, now)
    except InvalidTimeRange as error:
        problems.append(f"{error.end}: {error.message}; {error.hint}")
        return ANY_TIME


def _add_zone(text: str, zone: tzinfo) -> str:
    """Return an instant of the zone with its offset; any other text unchanged."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return text.strip()
    return found.replace(tzinfo=zone).isoformat() if found.tzinfo is None else text.strip()
