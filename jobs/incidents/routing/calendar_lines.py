"""Scan the lines of a calendar before it is parsed. Pure. Used by jobs.incidents.routing.rota_calendar.

The rules of time zones are expanded when an event in the zone is read, from their first year on, without a limit: two
observances that recur each second compute without end. A calendar of any program has yearly rules there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from jobs.errors import JobsError
from jobs.problems import make_printable

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
