"""Time zones, and schedules that are due by the clock of one, through gaps and repeated hours.

A zone is spans of seconds with one offset, so that a search can jump from change to change. The data comes from the
pinned package `tzdata`, so that all instances agree, whatever the operating system provides.

When local time goes forward, it skips some times (the gap); when it goes back, it repeats some (the fold). The default
is the behaviour of the timer of Azure Functions (CronSchedule.cs), which computes each instant from the previous one.
In a gap, the first skipped time is due later by the gap's length, for every expression; the timer continues from
there, so other times in the gap, or before that instant, are not due. In a fold, an interval-like expression (see
Ncrontab) is due in both passes, any other in the first one. A `DstPolicy` replaces this behaviour for every
expression.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jobs.errors import ScheduleError
from jobs.schedules.monthly import MonthlySchedule
from jobs.schedules.ncrontab import Ncrontab
from jobs.schedules.protocol import LAST_MS, SecondSchedule, spec_as_mapping

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
        first_second = start - _CHUNK_MARGIN
        offset = self._offset(first_second)
        if end < _FIRST_CHANGE:
            return (OffsetSpan(first_second, end, offset, offset),)
        spans: list[OffsetSpan] = []
        since, before = first_second, offset
        for day in range(first_second, end, _DAY):
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


GapPolicy = Literal["shift", "end", "skip"]
RepeatPolicy = Literal["first", "both"]

_LAST_SECOND = LAST_MS // 1000
_FIRST_WALL = -62_135_596_800
"""The first second of the year 1."""
_FAR = 2 * 86_400
"""Seconds. Larger than the difference between any two offsets."""
_HORIZON = 100 * 366 * 86_400
"""Seconds. Limit of the search for an expression whose only times lie in gaps that it skips."""


@dataclass(frozen=True, slots=True)
class DstPolicy:
    """The policy for changes of local time; None is the behaviour of the Functions timer for this expression."""

    gap: GapPolicy | None = None
    """Skipped times: `shift` delays each by the gap's length, `end` to the first instant after the gap."""
    repeat: RepeatPolicy | None = None
    """Repeated times are due in the `first` pass or in `both`."""

    @property
    def spec(self) -> dict[str, str]:
        return {key: value for key, value in (("gap", self.gap), ("repeat", self.repeat)) if value is not None}


FUNCTIONS_DST_POLICY = DstPolicy()
"""The behaviour of the Functions timer."""


@dataclass(frozen=True, slots=True)
class ZonedSchedule(SecondSchedule):
    """Due when the local time matches `cron`: an expression or a monthly schedule."""

    cron: Ncrontab | MonthlySchedule
    zone: TimeZone
    dst: DstPolicy = FUNCTIONS_DST_POLICY
    gap: GapPolicy | None = field(init=False, repr=False, compare=False)
    """The effective policy; None is the behaviour of the timer."""
    is_first_pass_only: bool = field(init=False, repr=False)
    """Whether a repeated time is due only in the first pass."""

    def __post_init__(self) -> None:
        # The timer does not support monthly schedules. Here, each time that the user listed is due.
        usual: GapPolicy | None = "shift" if isinstance(self.cron, MonthlySchedule) else None
        object.__setattr__(self, "gap", self.dst.gap or usual)
        repeat = self.dst.repeat or ("both" if self.cron.is_interval_like else "first")
        object.__setattr__(self, "is_first_pass_only", repeat == "first")

    @property
    def text(self) -> str:
        """For example `0 0 3 * * * Europe/Berlin, gap skip`."""
        return ", ".join(
            [f"{self.cron.text} {self.zone.name}", *(f"{key} {value}" for key, value in self.dst.spec.items())]
        )

    @property
    def spec(self) -> dict[str, Any]:
        policy = {"dst": self.dst.spec} if self.dst.spec else {}
        return {**spec_as_mapping(self.cron), "timezone": self.zone.name, **policy}

    @property
    def is_interval_like(self) -> bool:
        return self.cron.is_interval_like

    @property
    def monitor_disabled(self) -> bool:
        return self.cron.monitor_disabled

    def next_second(self, second: int) -> int | None:
        """Return the first due second strictly after this one, both counted since the epoch.

        Each iteration covers the span after `second`, up to the next change of local time.
        """
        horizon = second + _HORIZON
        while second < horizon:
            span = self.zone.span_at(second + 1)
            wall = self._from_wall(span, second)
            due = None if wall is None else wall - span.offset
            if due is None or due >= span.end:
                due = None
            if span.previous_offset < span.offset and self.gap != "skip":
                left_out = self._left_out(span, second)
                if left_out is not None and self.gap is None:
                    due = left_out
                elif left_out is not None:
                    due = left_out if due is None else min(due, left_out)
            if due is not None:
                return due if due <= _LAST_SECOND else None
            if wall is None:
                return None
            # Times before `wall` are not due, so most spans can be skipped; but a change may soon repeat earlier times.
            second = span.end - 1 if span.end - second < _FAR else max(span.end - 1, wall - span.offset - _FAR)
        return None

    def _from_wall(self, span: OffsetSpan, second: int) -> int | None:
        """Return the expression's first local time after `second`, by the span's offset; it may lie after the span."""
        wall = second + span.offset
        if self.is_first_pass_only and span.offset < span.previous_offset:
            wall = max(wall, span.start + span.previous_offset - 1)
        return self.cron.next_second(max(wall, _FIRST_WALL - 1))

    def _left_out(self, span: OffsetSpan, second: int) -> int | None:
        """Return when a time that the span's change skipped is due, if that is after `second`."""
        gap = self.gap
        if second >= (span.start if gap == "end" else span.start + span.offset - span.previous_offset - 1):
            return None  # for most of the year, without a search
        # For the timer's behaviour only the first skipped time counts, however late within the gap the search starts.
        earliest = span.start - 1 if gap is None else max(second, span.start - 1)
        wall = self.cron.next_second(earliest + span.previous_offset)
        if wall is None or wall >= span.start + span.offset:
            return None
        due = span.start if gap == "end" else wall - span.previous_offset
        return due if due > second else None
