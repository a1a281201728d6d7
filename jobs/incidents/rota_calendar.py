"""Makes the table of a rota of an iCalendar text, whose titles name people. Pure.

Performed in the judging process by jobs.judging.calendar_task: the text comes from a file or a URL, so it is foreign.
Its size, its lines, its events and its recurrence rules are bounded before they are expanded, and the process limits
what remains. Events may overlap: all of their people are on call. A cancelled event, and one whose title names no
known person, counts as none, so that `otherwise` is notified. Times without a zone are local times of the rota.

The lines are scanned before the text is parsed. The rules of time zones are expanded when an event in the zone is
read, from their first year on, without a limit: two observances that recur each second compute without end. A calendar
of any program has yearly rules there. A recurrence is expanded from its first occurrence on, so many old ones cost
much; and a rule that never has an occurrence is searched up to the year 9999.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from jobs.errors import JobsError
from jobs.fast_frozen import fast_frozen
from jobs.incidents.rotas import HANDOVER_IN_SIGHT, OnCallTable
from jobs.incidents.suppression.periods import read_local_instant
from jobs.problems import make_printable
from jobs.schedules.time_zones import TimeZone

MAX_CALENDAR_BYTES = 1_000_000
MAX_CALENDAR_EVENTS = 2000
MAX_TIME_ZONES = 100
MAX_OBSERVANCES = 100
"""Of one time zone. Some programs write all changes since the 19th century."""
MAX_ALL_OBSERVANCES = 1000
MAX_LINE_BYTES = 64 * 1024
"""Of a line that is not a text for people."""
CALENDAR_SECONDS = 3.0
"""CPU seconds for an evaluation in the judging process. A calendar of 2,000 events takes about one."""
CALENDAR_BYTES = 64 * 1024 * 1024
"""Memory for it, in addition to the program itself. A calendar of 2,000 events takes about 25 MiB."""
_MAX_DEPTH = 5
"""Components within components: an event of a calendar has alarms."""
_MAX_RULE = 300
"""Characters of the rule of a time zone."""

_TEXTS = ("DESCRIPTION", "COMMENT", "ATTACH", "X-")
_ZONE_RULE_PARTS = frozenset(
    {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYMONTH", "BYDAY", "BYMONTHDAY", "BYYEARDAY", "WKST"}
)


class RotaError(JobsError, ValueError):
    """The text is not a calendar that a rota accepts. The message names the place, the cause and the remedy."""


def check_lines(content: bytes) -> None:
    """Check a text that may be a calendar (RFC 5545). Raises RotaError."""
    if len(content) > MAX_CALENDAR_BYTES:
        raise RotaError(f"the calendar has {len(content)} bytes, the maximum is {MAX_CALENDAR_BYTES}: export less")
    scan = _Scan()
    for number, line in unfold_lines(content):
        try:
            scan.add(line)
        except RotaError as error:
            raise RotaError(f"line {number}: {error}") from None


def unfold_lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its number: one that begins with a space or a tab continues the line before it."""
    begin, parts = 1, list[bytes]()
    for number, line in enumerate(re.split(rb"\r?\n", content), 1):
        if parts and line[:1] in (b" ", b"\t"):
            parts.append(line[1:])
        elif line:
            if parts:
                yield begin, b"".join(parts)
            begin, parts = number, [line]
    if parts:
        yield begin, b"".join(parts)


class _Scan:
    """The components that are open, and what was counted. Raises RotaError without the line."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._events = 0
        self._zones = 0
        self._observances = 0
        self._zone_observances = 0
        self._has_rule = False

    def add(self, line: bytes) -> None:
        # The library ignores spaces in a name.
        name = "".join(line.replace(b";", b":").partition(b":")[0].decode("utf-8", "replace").split()).upper()
        if len(line) > MAX_LINE_BYTES and not name.startswith(_TEXTS):
            raise RotaError(f"{_shown(name)} has {len(line)} bytes, the maximum is {MAX_LINE_BYTES}: export less")
        if name == "BEGIN":
            self._begin(_value_of(line))
        elif name == "END":
            if self._open:
                self._open.pop()
        elif name in ("RRULE", "EXRULE") and "VTIMEZONE" in self._open:
            if self._has_rule or name == "EXRULE":
                raise RotaError("a change of a time zone has several rules: write one RRULE")
            self._has_rule = True
            _check_zone_rule(_value_of(line))

    def _begin(self, component: str) -> None:
        if len(self._open) == _MAX_DEPTH:
            raise RotaError(f"components are nested more than {_MAX_DEPTH} times: export the calendar again")
        if "VTIMEZONE" in self._open:
            self._begin_observance(component)
        elif component == "VTIMEZONE":
            self._zones += 1
            self._zone_observances = 0
            if self._zones > MAX_TIME_ZONES:
                raise RotaError(
                    f"the calendar has more than {MAX_TIME_ZONES} time zones: use names such as Europe/Berlin"
                )
        elif component == "VEVENT":
            self._events += 1
            if self._events > MAX_CALENDAR_EVENTS:
                raise RotaError(f"the calendar has more than {MAX_CALENDAR_EVENTS} events: export a shorter time")
        self._open.append(component)

    def _begin_observance(self, component: str) -> None:
        if component not in ("STANDARD", "DAYLIGHT"):
            raise RotaError(f"a time zone contains {_shown(component)}: it can have STANDARD and DAYLIGHT")
        self._has_rule = False
        self._observances += 1
        self._zone_observances += 1
        if self._zone_observances > MAX_OBSERVANCES or self._observances > MAX_ALL_OBSERVANCES:
            raise RotaError(
                f"a time zone has more than {MAX_OBSERVANCES} changes, or all have more than {MAX_ALL_OBSERVANCES}: "
                "use a name such as Europe/Berlin without a VTIMEZONE"
            )


def _value_of(line: bytes) -> str:
    """Return the value of a line that has no parameters, in upper case."""
    name, colon, value = line.decode("utf-8", "replace").partition(":")
    if not colon or ";" in name:
        raise RotaError(f"{_shown(name)} has parameters, which a rota does not accept: remove them")
    return value.strip().upper()


def _check_zone_rule(rule: str) -> None:
    parts = [part.partition("=") for part in rule.split(";") if part]
    values = {name.strip(): value.strip() for name, _, value in parts}
    if values.get("FREQ") != "YEARLY":
        raise RotaError(f"a time zone recurs {_shown(values.get('FREQ', '')) or 'without FREQ'}: write FREQ=YEARLY")
    if len(values) < len(parts) or len(rule) > _MAX_RULE:
        raise RotaError(f"the rule of a time zone repeats a part, or has more than {_MAX_RULE} characters: shorten it")
    if unknown := sorted(values.keys() - _ZONE_RULE_PARTS):
        raise RotaError(f"a time zone recurs with {_shown(unknown[0])}, which a rota does not support: remove it")


def _shown(text: str) -> str:
    return make_printable(text, 40)


MAX_SHIFT = timedelta(days=366)
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
        if event.duration > MAX_SHIFT:
            raise RotaError(f"{title} lasts {event.duration.days} days, the maximum is {MAX_SHIFT.days}: split it")
        days = max((now.date() - _date_of(event.start)).days, 0) + MAX_SHIFT.days
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


MAX_SHIFTS = 2000
"""Of a table of SHIFTS_PERIOD; of a longer one in proportion."""
SHIFTS_PERIOD = timedelta(days=72)
_MAX_TITLE = 100
_ELAPSED = "X-SCHEDULER-ELAPSED"


@fast_frozen(frozen=True, slots=True)
class Shift:
    """From `begin`, inclusive, to `end`, exclusive."""

    begin: datetime
    end: datetime
    title: str


@fast_frozen(frozen=True, slots=True)
class EvaluatedCalendar:
    """`unknown_titles`: of shifts between now and HANDOVER_IN_SIGHT that name no person of the rota."""

    table: OnCallTable
    unknown_titles: tuple[str, ...]


class CalendarEvents(Protocol):
    """The query of the package recurring-ical-events, which has no annotations."""

    def between(self, start: datetime, stop: datetime) -> Iterable[Any]: ...


def evaluate_calendar(
    content: bytes, zone: TimeZone, people: Collection[str], since: datetime, until: datetime, *, now: datetime
) -> EvaluatedCalendar:
    """Parse an iCalendar text (RFC 5545) and return who is on call from `since` to `until`, or earlier if there are too
    many shifts.

    `people`: names, found in the titles of events, whatever their case. `now`: the cost of the recurrences up to this
    instant is bounded.

    Raises:
        RotaError: the text is too large, is not a calendar, or has an event that a rota does not accept.
    """
    with _named_as_rota_error():
        shifts = list_shifts(parse_calendar(content, now), zone, since, until)
    people_by_title = {title: _people_of(title, people) for title in {shift.title for shift in shifts}}
    seen = [shift.title for shift in shifts if shift.begin < now + HANDOVER_IN_SIGHT and now < shift.end]
    unknown = dict.fromkeys(
        make_printable(title[: 2 * _MAX_TITLE], _MAX_TITLE) for title in seen if not people_by_title[title]
    )
    most = MAX_SHIFTS * math.ceil((until - since) / SHIFTS_PERIOD)
    if len(shifts) > most:
        until, shifts = max(shifts[most].begin, since), shifts[:most]
    if until == since:
        raise RotaError(f"the calendar has more than {most} shifts at one time: export fewer")
    instants, on_call = [since], [dict[str, None]()]
    for instant, current in _list_handovers(shifts, since, until):
        entry = dict.fromkeys(person for shift in current for person in people_by_title[shift.title])
        if instant == since:
            on_call[0] = entry
        else:
            instants.append(instant)
            on_call.append(entry)
    return EvaluatedCalendar(OnCallTable(tuple(instants), tuple(map(tuple, on_call)), until), tuple(unknown))


def _list_handovers(
    shifts: Sequence[Shift], since: datetime, until: datetime
) -> Iterable[tuple[datetime, Collection[Shift]]]:
    """Yield each instant at which a shift begins or ends, ascending, and the shifts from it on, by their begin."""
    begins: dict[datetime, list[int]] = {}
    ends: dict[datetime, list[int]] = {}
    for number, shift in enumerate(shifts):
        begins.setdefault(max(shift.begin, since), []).append(number)
        ends.setdefault(shift.end, []).append(number)
    current: dict[int, Shift] = {}
    for instant in sorted(each for each in begins.keys() | ends.keys() if each < until):
        for number in ends.get(instant, ()):
            del current[number]
        for number in begins.get(instant, ()):
            current[number] = shifts[number]
        yield instant, current.values()


def list_shifts(events: CalendarEvents, zone: TimeZone, since: datetime, until: datetime) -> list[Shift]:
    """Return the shifts that overlap a time, by their begin."""
    # A day more at each end: the library compares times without a zone as they are written.
    margin = timedelta(days=1)
    found = (_shift_of(event, zone) for event in events.between(since - margin, until + margin))
    overlapping = (shift for shift in found if shift is not None and shift.begin < until and since < shift.end)
    return sorted(overlapping, key=lambda shift: (shift.begin, shift.end, shift.title))


def parse_calendar(content: bytes, now: datetime) -> CalendarEvents:
    """Return the events of an iCalendar text. Raises RotaError, and what the library raises for invalid texts."""
    from icalendar import Calendar
    from recurring_ical_events import of  # type: ignore[import-untyped]  # has no annotations

    check_lines(content)
    calendar = Calendar.from_ical(content)
    events = list(calendar.walk("VEVENT"))
    check_events(events, now)
    if not events:
        raise RotaError("the calendar has no events: check that the file or URL is the one of the rota")
    for event in events:
        _mark_elapsed(event)
    query: CalendarEvents = of(calendar)
    return query


@contextmanager
def _named_as_rota_error() -> Iterator[None]:
    """Turn what the library raises, many kinds of errors, into RotaError."""
    try:
        yield
    except (RotaError, MemoryError):
        raise
    except Exception as error:
        reason = make_printable(f"{type(error).__name__}: {str(error)[:200]}", 100)
        raise RotaError(f"the text is not an iCalendar calendar: {reason}") from None


def _shift_of(event: Any, zone: TimeZone) -> Shift | None:
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        return None
    begin, end = _instant_of(event.start, zone), _instant_of(event.end, zone)
    if _ELAPSED in event:
        end = begin + (event.end.replace(tzinfo=None) - event.start.replace(tzinfo=None))
    return Shift(begin, end, str(event.get("SUMMARY", ""))) if begin < end else None


def _instant_of(value: date | datetime, zone: TimeZone) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    local = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
    return read_local_instant(local.isoformat(), zone)


def _mark_elapsed(event: Any) -> None:
    """Mark an event whose duration is hours that elapse: the library adds it to the local time.

    Both are the same except across a change of local time (RFC 5545, section 3.3.6). Days are added to the local time.
    """
    duration = event.get("DURATION")
    if duration is not None and isinstance(duration.dt, timedelta) and duration.dt < timedelta(days=1):
        event.add(_ELAPSED, "1")


def _people_of(title: str, people: Collection[str]) -> list[str]:
    folded = f" {' '.join(_words_of(title))} "
    return [person for person in people if f" {' '.join(_words_of(person))} " in folded]


def _words_of(text: str) -> list[str]:
    return "".join(each if each.isalnum() else " " for each in text.casefold()).split()
