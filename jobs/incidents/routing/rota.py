"""Who is on call: the events of an iCalendar text, whose titles name people. Pure; used by jobs.incidents.routing.

The text comes from a file or a URL, so it is foreign: its size, its events and its recurrence rules are bounded before
they are expanded. Events may overlap: all of their people are on call. A cancelled event, and one whose title names no
known person, counts as none, so that `otherwise` is notified. Times without a zone are local times of the rota.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from jobs.fast_frozen import fast_frozen
from jobs.incidents.routing.rota_limits import RotaError, check_events
from jobs.incidents.suppression.periods.local_days import read_local_instant
from jobs.schedules.time_zones.time_zone import TimeZone

MAX_CALENDAR_BYTES = 1_000_000
MAX_CALENDAR_EVENTS = 2000
MAX_SHIFTS = 1000
"""Occurrences within HANDOVER_IN_SIGHT."""
HANDOVER_IN_SIGHT = timedelta(days=62)
"""A later end of a shift counts as unknown."""


@fast_frozen(frozen=True, slots=True)
class OnCall:
    """`people`: titles of the shifts. `channels`: theirs, or those of `otherwise`. `changes_at`: the next handover."""

    people: tuple[str, ...]
    channels: tuple[str, ...]
    changes_at: datetime | None


@fast_frozen(frozen=True, slots=True)
class Shift:
    """From `begin`, inclusive, to `end`, exclusive."""

    begin: datetime
    end: datetime
    title: str


_ELAPSED = "X-SCHEDULER-ELAPSED"


class CalendarEvents(Protocol):
    """The query of the package recurring-ical-events, which has no annotations."""

    def between(self, start: datetime, stop: datetime) -> Iterable[Any]: ...


class NoEvents:
    """A calendar without events. Implements CalendarEvents."""

    def between(self, start: datetime, stop: datetime) -> Iterable[Any]:
        return ()


class Rota:
    """A parsed calendar. `people`: channels by person, found in the titles of events, whatever their case."""

    def __init__(
        self, events: CalendarEvents, zone: TimeZone, people: Mapping[str, tuple[str, ...]], otherwise: tuple[str, ...]
    ) -> None:
        self._events = events
        self._zone = zone
        self._people = people
        self._otherwise = otherwise
        self._day: tuple[datetime, list[Shift]] | None = None
        """The shifts in sight at the start of the day that was read last: an expansion takes milliseconds."""

    def on_call_at(self, now: datetime) -> OnCall:
        """Return who is on call. A title that names several people puts all of them on call."""
        shifts = self._shifts_in_sight(now)
        people: dict[str, None] = {}
        for shift in shifts:
            if shift.begin <= now < shift.end:
                people.update(dict.fromkeys(self._people_of(shift.title)))
        channels = dict.fromkeys(channel for person in people for channel in self._people[person])
        edges = [edge for shift in shifts for edge in (shift.begin, shift.end) if now < edge]
        changes_at = min((edge for edge in edges if edge <= now + HANDOVER_IN_SIGHT), default=None)
        return OnCall(tuple(people), tuple(channels) or self._otherwise, changes_at)

    def _shifts_in_sight(self, now: datetime) -> list[Shift]:
        day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self._day is None or self._day[0] != day:
            self._day = (day, self.list_shifts(day, day + timedelta(days=1) + HANDOVER_IN_SIGHT))
        return self._day[1]

    def list_shifts(self, since: datetime, until: datetime) -> list[Shift]:
        """Return the shifts that overlap a time, by their begin; at most MAX_SHIFTS."""
        # A day more at each end: the library compares times without a zone as they are written.
        margin = timedelta(days=1)
        found: list[Shift] = []
        for number, event in enumerate(self._events.between(since - margin, until + margin)):
            if number == MAX_SHIFTS:
                break
            shift = self._shift_of(event)
            if shift is not None and shift.begin < until and since < shift.end:
                found.append(shift)
        return sorted(found, key=lambda shift: (shift.begin, shift.end, shift.title))

    def find_unknown_titles(self, since: datetime) -> list[str]:
        """Return titles of the shifts in sight that name no person of the rota."""
        shifts = self.list_shifts(since, since + HANDOVER_IN_SIGHT)
        return list(dict.fromkeys(shift.title for shift in shifts if not self._people_of(shift.title)))

    def _people_of(self, title: str) -> list[str]:
        folded = f" {' '.join(_words_of(title))} "
        return [person for person in self._people if f" {' '.join(_words_of(person))} " in folded]

    def _shift_of(self, event: Any) -> Shift | None:
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            return None
        begin, end = self._instant_of(event.start), self._instant_of(event.end)
        if _ELAPSED in event:
            end = begin + (event.end.replace(tzinfo=None) - event.start.replace(tzinfo=None))
        return Shift(begin, end, str(event.get("SUMMARY", ""))) if begin < end else None

    def _instant_of(self, value: date | datetime) -> datetime:
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.astimezone(UTC)
        local = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
        return read_local_instant(local.isoformat(), self._zone)


def parse_rota(
    content: bytes,
    zone: TimeZone,
    people: Mapping[str, tuple[str, ...]],
    otherwise: tuple[str, ...] = (),
    *,
    now: datetime,
) -> Rota:
    """Parse an iCalendar text (RFC 5545). `now`: the cost of the recurrences up to this instant is bounded.

    Raises:
        RotaError: the text is too large, is not a calendar, or has an event that a rota does not accept.
    """
    from icalendar import Calendar
    from recurring_ical_events import of  # type: ignore[import-untyped]  # has no annotations

    if len(content) > MAX_CALENDAR_BYTES:
        raise RotaError(f"the calendar has {len(content)} bytes, the maximum is {MAX_CALENDAR_BYTES}: export less")
    if content.upper().count(b"BEGIN:VEVENT") > MAX_CALENDAR_EVENTS:
        raise RotaError(f"the calendar has more than {MAX_CALENDAR_EVENTS} events: export a shorter time")
    try:
        calendar = Calendar.from_ical(content)
        events = list(calendar.walk("VEVENT"))
        check_events(events, now)
        for event in events:
            _mark_elapsed(event)
        query = of(calendar)
    except RotaError:
        raise
    except Exception as error:  # the library raises many kinds of errors for invalid texts
        raise RotaError(f"the text is not an iCalendar calendar: {type(error).__name__}: {error!s:.100}") from None
    if not events:
        raise RotaError("the calendar has no events: check that the file or URL is the one of the rota")
    return Rota(query, zone, people, otherwise)


def _mark_elapsed(event: Any) -> None:
    """Mark an event whose duration is hours that elapse: the library adds it to the local time.

    Both are the same except across a change of local time (RFC 5545, section 3.3.6). Days are added to the local time.
    """
    duration = event.get("DURATION")
    if duration is not None and isinstance(duration.dt, timedelta) and duration.dt < timedelta(days=1):
        event.add(_ELAPSED, "1")


def _words_of(text: str) -> list[str]:
    return "".join(each if each.isalnum() else " " for each in text.casefold()).split()
