"""Which events a rota accepts, so that no calendar takes long to expand. Pure. Used by
jobs.incidents.routing.rota_calendar.

The text of a calendar is foreign. A recurrence is expanded from its first occurrence on, so many old ones cost much;
and a rule that never has an occurrence is searched up to the year 9999.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from jobs.incidents.routing.calendar_lines import RotaError

LONGEST_SHIFT = timedelta(days=366)
MAX_EXPANDED_OCCURRENCES = 20_000
"""Estimated, of all recurring events together, up to now."""

_DAYS_OF_PERIODS = {"DAILY": 1, "WEEKLY": 7, "MONTHLY": 10, "YEARLY": 10}
"""Frequency -> days of which the expansion costs as much as that of one day of a daily event."""
_RULE_PARTS = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTH", "BYMONTHDAY", "WKST"})
_DAYS_OF_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MAX_ORDINAL = 4
"""Of BYDAY: each month has a fourth Monday."""


def check_events(events: Sequence[Any], now: datetime) -> None:
    """Check the events of a parsed calendar. Raises RotaError."""
    cost = 0.0
    for event in events:
        title = f"event {str(event.get('SUMMARY', 'without a title'))[:60]!r}"
        if event.get("DTSTART") is None:
            raise RotaError(f"{title} has no DTSTART: remove it, or export the calendar again")
        if event.duration > LONGEST_SHIFT:
            raise RotaError(f"{title} lasts {event.duration.days} days, the maximum is {LONGEST_SHIFT.days}: split it")
        days = max((now.date() - _date_of(event.start)).days, 0) + LONGEST_SHIFT.days
        cost += sum(days / _check_rule(rule, title) for rule in _list_values(event.get("RRULE")))
        if cost > MAX_EXPANDED_OCCURRENCES:
            raise RotaError(
                f"the recurring events have more than {MAX_EXPANDED_OCCURRENCES} occurrences since their first ones, "
                f"counted up to {title}: let them start later, or export less"
            )


def _check_rule(rule: Mapping[str, Any], title: str) -> float:
    """Return the days of one occurrence. Refuses rules with many instants a day, and those that may have none."""
    frequency = str(next(iter(_list_values(rule.get("FREQ"))), "")).upper()
    if frequency not in _DAYS_OF_PERIODS:
        raise RotaError(f"{title} recurs {frequency or 'without FREQ'}: write DAILY, WEEKLY, MONTHLY or YEARLY")
    unknown = sorted({key.upper() for key in rule} - _RULE_PARTS)
    if unknown:
        raise RotaError(f"{title} recurs with {unknown[0]}, which a rota does not support: write separate events")
    interval = min((int(each) for each in _list_values(rule.get("INTERVAL"))), default=1)
    if interval < 1:
        raise RotaError(f"{title} has an INTERVAL below 1: write 1 or more")
    filters = [key for key in ("BYMONTH", "BYMONTHDAY") if key in rule]
    filters += ["BYDAY"] if "BYDAY" in rule and frequency == "DAILY" else []
    if interval > 1 and filters:
        raise RotaError(f"{title} recurs with INTERVAL and {filters[0]}, which may never occur: write separate events")
    weekdays = [str(each) for each in _list_values(rule.get("BYDAY"))]
    if any(abs(int(each[:-2] or 0)) > _MAX_ORDINAL for each in weekdays):
        raise RotaError(f"{title} has a weekday in BYDAY after the fourth one: write -1 for the last one")
    _require_a_day(rule, title)
    return _DAYS_OF_PERIODS[frequency] * interval / max(len(weekdays), 1)


def _require_a_day(rule: Mapping[str, Any], title: str) -> None:
    months = [int(each) for each in _list_values(rule.get("BYMONTH"))] or list(range(1, 13))
    days = [abs(int(each)) for each in _list_values(rule.get("BYMONTHDAY"))]
    longest = max((_DAYS_OF_MONTHS[month - 1] for month in months if 1 <= month <= 12), default=0)
    if not longest or (days and min(days) > longest):
        raise RotaError(f"{title} never occurs: its months do not have the day of BYMONTHDAY")


def _date_of(value: Any) -> Any:
    return value.date() if isinstance(value, datetime) else value


def _list_values(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return value if isinstance(value, (list, tuple)) else (value,)
