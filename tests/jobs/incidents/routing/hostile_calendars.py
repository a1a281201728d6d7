"""Calendars that cost much or never end, each in one way, and calendars as programs write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.jobs.incidents.routing.calendars import calendar_of

_SHIFT = ("Anna", ";TZID=Zone0:20260601T100000", "PT4H")


def with_zones(*zones: Sequence[str], shifts: Sequence[tuple[str, str, str]] = (_SHIFT,), name: str = "Zone") -> bytes:
    """A calendar with time zones, each of observances: the lines of an observance after its DTSTART and its offsets."""
    lines: list[str] = []
    for number, observances in enumerate(zones):
        lines += ["BEGIN:VTIMEZONE", f"TZID:{name}{number}"]
        for place, more in enumerate(observances):
            kind = ("STANDARD", "DAYLIGHT")[place % 2]
            lines += [f"BEGIN:{kind}", "DTSTART:19700101T000000", "TZOFFSETFROM:+0100", "TZOFFSETTO:+0200"]
            lines += [*filter(None, more.split("\n")), f"END:{kind}"]
        lines.append("END:VTIMEZONE")
    return calendar_of(*shifts).replace(b"BEGIN:VEVENT", "\r\n".join([*lines, "BEGIN:VEVENT"]).encode(), 1)


def _many(count: int, rule: str, *, start: str = "20260101T100000Z") -> bytes:
    return calendar_of(*[("Anna", start, "PT1H")] * count, more=[rule] if rule else [])


SECONDLY = "RRULE:FREQ=SECONDLY"
SHAPES: Mapping[str, bytes] = {
    "two observances that recur each second": with_zones([SECONDLY, SECONDLY]),
    "50 observances that recur each second": with_zones([SECONDLY] * 50),
    "a name with spaces, and a folded line": with_zones(["RR ULE:FREQ=SECON\n DLY"] * 2),
    "a rule with parameters": with_zones(["RRULE;X=1:FREQ=SECONDLY"] * 2),
    "a rule that repeats its part": with_zones(["RRULE:FREQ=YEARLY;FREQ=SECONDLY"] * 2),
    "yearly rules of each second": with_zones([f"RRULE:FREQ=YEARLY;BYSECOND={','.join(map(str, range(60)))}"] * 2),
    "a zone of foreign components": with_zones([SECONDLY]).replace(b"STANDARD", b"X-STANDARD"),
    "yearly rules that never occur": with_zones(*[["RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"] * 2] * 50),
    "rules of each day since the year 1": with_zones(
        *[[f"RRULE:FREQ=YEARLY;BYMONTHDAY={','.join(map(str, range(1, 32)))}"] * 10] * 100
    ).replace(b"19700101", b"00010101"),
    "an event each second": _many(1, SECONDLY),
    "500 events each second": _many(500, SECONDLY),
    "events that never occur": _many(500, "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"),
    "events with many exceptions": _many(
        100,
        "RRULE:FREQ=DAILY\r\nEXDATE:"
        + ",".join(f"2026{m:02}{d:02}T100000Z" for m in range(1, 13) for d in range(1, 29)),
    ),
    "6,000 events": _many(6000, ""),
    "components in components": b"BEGIN:VCALENDAR\r\n" + b"BEGIN:VEVENT\r\n" * 20_000,
    "a line of 900,000 bytes": calendar_of(_SHIFT).replace(b"SUMMARY:Anna", b"SUMMARY:" + b"x" * 900_000),
    "shifts that overlap": _many(1999, "", start="20260601T100000Z"),
}
"""By what is wrong: those of the attack, and variants."""

COSTLY = with_zones(
    *[[f"RRULE:FREQ=YEARLY;BYMONTHDAY={','.join(map(str, range(1, 32)))}"] * 10] * 100,
    shifts=[("Anna", f";TZID=Zone{number}:20260601T100000", "PT4H") for number in range(100)],
).replace(b"19700101", b"00010101")
"""Accepted by all rules, and needs minutes: for the limits of the judging process."""

BERLIN_RULES = {
    "STANDARD": ("19701025T030000", "+0200", "+0100", "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU"),
    "DAYLIGHT": ("19700329T020000", "+0100", "+0200", "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU"),
}


def _zone(name: str, begin: str = "1970") -> list[str]:
    lines = ["BEGIN:VTIMEZONE", f"TZID:{name}", f"X-LIC-LOCATION:{name}"]
    for kind, (start, before, after, rule) in BERLIN_RULES.items():
        lines += [f"BEGIN:{kind}", f"TZOFFSETFROM:{before}", f"TZOFFSETTO:{after}", "TZNAME:LOCAL"]
        lines += [f"DTSTART:{begin}{start[4:]}", rule, f"END:{kind}"]
    return [*lines, "END:VTIMEZONE"]


def _history() -> list[str]:
    """All changes of a zone, as ical4j writes them: those of the past as lists, with ends."""
    lines = ["BEGIN:VTIMEZONE", "TZID:Europe/Berlin", "TZURL:http://tzurl.org/zoneinfo/Europe/Berlin"]
    for year in range(1980, 2000):
        for kind, (start, before, after, _) in BERLIN_RULES.items():
            lines += [f"BEGIN:{kind}", f"TZOFFSETFROM:{before}", f"TZOFFSETTO:{after}", f"DTSTART:{year}{start[4:]}"]
            lines += [f"RDATE:{year}{start[4:]}", f"END:{kind}"]
    return [*lines, *_zone("x")[3:-1], "END:VTIMEZONE"]


def _program(zone: Sequence[str], tzid: str, *more: str) -> bytes:
    event = ["BEGIN:VEVENT", "UID:1", "DTSTAMP:20260101T000000Z", f"DTSTART;TZID={tzid}:20260601T090000"]
    event += [f"DTEND;TZID={tzid}:20260608T090000", "RRULE:FREQ=WEEKLY;INTERVAL=2", "SUMMARY:Anna", *more]
    alarm = ["BEGIN:VALARM", "ACTION:DISPLAY", "TRIGGER:-PT30M", "DESCRIPTION:on call", "END:VALARM", "END:VEVENT"]
    head = ["BEGIN:VCALENDAR", "PRODID:-//program//EN", "VERSION:2.0", "CALSCALE:GREGORIAN", "METHOD:PUBLISH"]
    return "\r\n".join([*head, *zone, *event, *alarm, "END:VCALENDAR", ""]).encode()


PROGRAMS: Mapping[str, bytes] = {
    "Google": _program(_zone("Europe/Berlin"), "Europe/Berlin", "SEQUENCE:0", "TRANSP:OPAQUE"),
    "Outlook": _program(
        _zone("W. Europe Standard Time", "1601"),
        "W. Europe Standard Time",
        "X-ALT-DESC;FMTTYPE=text/html:" + "x" * 90_000,
    ),
    "PagerDuty": _program(_zone("Europe/Berlin"), "Europe/Berlin", "ATTENDEE:anna@example.com"),
    "ical4j": _program(_history(), "Europe/Berlin"),
    "a zone with ends": _program(
        [line + ";UNTIL=20371231T000000Z" if line.startswith("RRULE") else line for line in _zone("Own zone")],
        "Own zone",
    ),
}
