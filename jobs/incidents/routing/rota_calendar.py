"""Make the table of a rota of an iCalendar text, whose titles name people. Pure.

Performed in the judging process by jobs.judging.calendar_task: the text comes from a file or a URL, so it is foreign.
Its size, its lines, its events and its recurrence rules are bounded before they are expanded, and the process limits
what remains. Events may overlap: all of their people are on call. A cancelled event, and one whose title names no known
person, counts as none, so that `otherwise` is notified. Times without a zone are local times of the rota.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from jobs.fast_frozen import fast_frozen
from jobs.incidents.routing.calendar_lines import RotaError, check_lines
from jobs.incidents.routing.rota import HANDOVER_IN_SIGHT, OnCallTable
from jobs.incidents.routing.rota_limits import check_events
from jobs.incidents.suppression.periods.local_days import read_local_instant
from jobs.problems import make_printable
from jobs.schedules.time_zones import TimeZone

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
    found = {title: _people_of(title, people) for title in {shift.title for shift in shifts}}
    seen = [shift.title for shift in shifts if shift.begin < now + HANDOVER_IN_SIGHT and now < shift.end]
    unknown = dict.fromkeys(make_printable(title[: 2 * _MAX_TITLE], _MAX_TITLE) for title in seen if not found[title])
    most = MAX_SHIFTS * math.ceil((until - since) / SHIFTS_PERIOD)
    if len(shifts) > most:
        until, shifts = max(shifts[most].begin, since), shifts[:most]
    if until == since:
        raise RotaError(f"the calendar has more than {most} shifts at one time: export fewer")
    instants, on_call = [since], [dict[str, None]()]
    for instant, current in _list_handovers(shifts, since, until):
        entry = dict.fromkeys(person for shift in current for person in found[shift.title])
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
