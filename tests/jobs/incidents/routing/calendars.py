"""iCalendar texts for tests."""

from __future__ import annotations

from collections.abc import Sequence


def calendar_of(*shifts: tuple[str, str, str], more: Sequence[str] = ()) -> bytes:
    """Each shift: title, start as in `DTSTART:20260601T100000Z` or `;TZID=Europe/Berlin:20260601T100000`, duration.

    `more`: lines of each event, such as a rule.
    """
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tests//rota//EN"]
    for number, (title, start, duration) in enumerate(shifts):
        begin = start if start.startswith(";") else f":{start}"
        lines += ["BEGIN:VEVENT", f"UID:{number}@example.com", "DTSTAMP:20260101T000000Z", f"SUMMARY:{title}"]
        lines += [f"DTSTART{begin}", f"DURATION:{duration}", *more, "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()
