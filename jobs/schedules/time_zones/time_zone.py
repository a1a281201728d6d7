"""IANA time zones as spans of seconds with one offset, so that a search can jump from change to change.

Called by jobs.schedules and the CLI. The data comes from the pinned package `tzdata`, so that all instances agree,
whatever the operating system provides.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from jobs.errors import ScheduleError

UTC_NAMES = frozenset(f"{area}{name}" for area in ("", "Etc/") for name in ("UTC", "UCT", "Universal", "Zulu"))
"""Names of UTC: a schedule with one of these is a UTC schedule."""

REGIONS_BY_ABBREVIATION = {
    "CEST": ("Europe/Berlin",),
    "MEZ": ("Europe/Berlin",),
    "MESZ": ("Europe/Berlin",),
    "WEST": ("Europe/Lisbon",),
    "EEST": ("Europe/Helsinki",),
    "BST": ("Europe/London",),
    "IST": ("Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"),
    "MSK": ("Europe/Moscow",),
    "EDT": ("America/New_York",),
    "CST": ("America/Chicago", "Asia/Shanghai"),
    "CDT": ("America/Chicago",),
    "MDT": ("America/Denver",),
    "PST": ("America/Los_Angeles",),
    "PDT": ("America/Los_Angeles",),
    "AKST": ("America/Anchorage",),
    "AKDT": ("America/Anchorage",),
    "BRT": ("America/Sao_Paulo",),
    "GST": ("Asia/Dubai",),
    "SGT": ("Asia/Singapore",),
    "HKT": ("Asia/Hong_Kong",),
    "JST": ("Asia/Tokyo",),
    "KST": ("Asia/Seoul",),
    "AWST": ("Australia/Perth",),
    "AEST": ("Australia/Sydney",),
    "AEDT": ("Australia/Sydney",),
    "NZST": ("Pacific/Auckland",),
    "NZDT": ("Pacific/Auckland",),
    "SAST": ("Africa/Johannesburg",),
}
"""Abbreviations without an IANA name, with their usual regions; CET, EET, WET, EST, MST and HST are names."""

_DAY = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK = 25
"""Spans are computed for 2^25 seconds at a time, a little more than a year."""
_CHUNK_MARGIN = 2 * _DAY
"""Seconds before a chunk in which changes are also searched: no change moves local time by more."""
_FIRST_CHANGE = -4_000_000_000
"""In 1843. No zone changed before: the first synchronised clocks were those of British railways."""
# Within these limits local time is within the years 1 to 9999.
_LOWEST = -62_135_596_800 + _DAY
_HIGHEST = 253_402_300_799 - _DAY


class OffsetSpan(NamedTuple):
    """The seconds from `start` (inclusive) to `end` (exclusive) with one offset, counted since the epoch.

    A span may end without a change; `start` and `previous_offset` describe the change that led to its offset, if one
    happened within the last two days.
    """

    start: int
    end: int
    previous_offset: int
    """Offset before `start`, in seconds east of UTC."""
    offset: int
    """Offset from `start` on, in seconds east of UTC."""


class TimeZone:
    """A time zone. One object per name: compare with `is` or `==`."""

    def __init__(self, name: str, info: tzinfo) -> None:
        self.name = name
        self.info = info
        """For formatting instants in local time."""
        self._spans: dict[int, tuple[OffsetSpan, ...]] = {}

    def __repr__(self) -> str:
        return f"Zone({self.name!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return load_time_zone, (self.name,)

    def span_at(self, second: int) -> OffsetSpan:
        """Return the span that contains this second since the epoch."""
        chunk = second >> _CHUNK
        spans = self._spans.get(chunk)
        if spans is None:
            spans = self._spans[chunk] = self._find_spans(chunk << _CHUNK, (chunk + 1) << _CHUNK)
        for span in spans:
            if second < span.end:
                return span
        raise AssertionError("a chunk's last span ends with it")

    def wall_second(self, second: int) -> int:
        """Return the local time at this second, as seconds since 1970-01-01T00:00:00 local time."""
        return second + self.span_at(second).offset

    def first_second_showing(self, wall: int, since: int) -> int:
        """Return the first second from `since` on at which local time is `wall` or later."""
        while True:
            span = self.span_at(since)
            due = max(wall - span.offset, since)
            if due < span.end:
                return due
            since = span.end

    def _find_spans(self, start: int, end: int) -> tuple[OffsetSpan, ...]:
        """Compute the spans of a chunk. Samples the offset once a day: no zone ever changed twice within a week."""
        known = start - _CHUNK_MARGIN
        offset = self._offset(known)
        if end < _FIRST_CHANGE:
            return (OffsetSpan(known, end, offset, offset),)
        spans: list[OffsetSpan] = []
        since, before = known, offset
        for day in range(known, end, _DAY):
            last = min(day + _DAY, end) - 1
            later = self._offset(last)
            if later != offset:
                change = self._change(day - 1, last, offset)
                spans.append(OffsetSpan(since, change, before, offset))
                since, before, offset = change, offset, later
        spans.append(OffsetSpan(since, end, before, offset))
        return tuple(span for span in spans if span.end > start)

    def _change(self, low: int, high: int, offset: int) -> int:
        """Return the second at which the offset, which still applies at `low`, ends."""
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._offset(middle) == offset else (low, middle)
        return high

    def _offset(self, second: int) -> int:
        instant = _EPOCH + timedelta(seconds=min(max(second, _LOWEST), _HIGHEST))
        offset = instant.astimezone(self.info).utcoffset()
        assert offset is not None  # a zone always has one
        return offset.days * _DAY + offset.seconds


def load_time_zone(name: object) -> TimeZone:
    """Return the time zone of this IANA name.

    Raises:
        ScheduleError: unknown name; the message suggests similar ones.
    """
    if not isinstance(name, str):
        raise ScheduleError(f"an IANA time zone name is expected, like Europe/Berlin, not {name!r:.40}", "timezone")
    return _zone(name)


@lru_cache(maxsize=1024)
def _zone(name: str) -> TimeZone:
    from zoneinfo import ZoneInfo

    # Validate before opening a file: the name becomes part of a path.
    if name not in _names():
        raise ScheduleError(f"{name[:60]!r} is not an IANA time zone, {_nearest(name)}", "timezone")
    with (_folder() / "zoneinfo" / name).open("rb") as file:
        return TimeZone(name, ZoneInfo.from_file(file, key=name))


@cache
def _folder() -> Path:
    import tzdata  # type: ignore[import-untyped]  # has no annotations: data only

    return Path(tzdata.__file__).parent


@cache
def _names() -> frozenset[str]:
    return frozenset((_folder() / "zones").read_text(encoding="ascii").split())


def _nearest(name: str) -> str:
    if name.endswith("Standard Time"):
        return "but a Windows zone name: write the IANA name, like Europe/Berlin"
    if (regions := REGIONS_BY_ABBREVIATION.get(name.strip().upper())) is not None:
        return f"but an abbreviation of an offset: write a region, like {' or '.join(regions)}"
    folded = {known.lower(): known for known in sorted(_names())}
    spelling = name.strip().lower().replace(" ", "_")
    cities = {known.rpartition("/")[2]: known for known in folded}
    near = [spelling] if spelling in folded else get_close_matches(spelling, folded, n=3, cutoff=0.75)
    near += [cities[city] for city in get_close_matches(spelling.rpartition("/")[2], cities, n=2, cutoff=0.8)]
    names = [folded[one] for one in dict.fromkeys(near)][:3]
    if not names:
        return "write one like Europe/Berlin or America/New_York, or UTC"
    return f"did you mean {' or '.join(names)}?"
