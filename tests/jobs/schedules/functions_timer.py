"""The timer of Azure Functions, as an oracle for tests: CronSchedule.cs of the WebJobs SDK extensions, line by line.

Called by test_schedules_timer. `CrontabSchedule.GetNextOccurrence` is played by our own evaluator without a zone, which
the published cases of NCrontab hold. Three rules of .NET are needed: a local time that does not exist, and one that
exists twice, has the zone's standard offset; ToLocalTime corrects the first; a time is ambiguous if it exists twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from jobs.schedules import Ncrontab, load_time_zone


class FunctionsTimer:
    """Names the next occurrence of an expression on the clock of a zone, as the timer's host does."""

    def __init__(self, expression: str, zone_name: str) -> None:
        self.cron = Ncrontab.parse(expression)
        self.zone: tzinfo = load_time_zone(zone_name).info
        self.is_interval = any(sign in field for field in formatted(self.cron)[:3] for sign in "*-/")

    def occurrences(self, since: datetime, count: int) -> Iterator[datetime]:
        """What a host that goes on running does: each occurrence is worked out at the one before it."""
        now = since
        for _ in range(count):
            now = self.next_occurrence(now)
            yield now.astimezone(UTC)

    def next_occurrence(self, now: datetime) -> datetime:
        now = now.astimezone(self.zone)
        following = self._offset_of(self._cron_next(now.replace(tzinfo=None)))
        now_ambiguous, next_ambiguous = self._is_ambiguous(now), self._is_ambiguous(following)
        difference = _offset(following) - _offset(now)
        if not now_ambiguous and not next_ambiguous:
            return following
        if not self.is_interval and next_ambiguous and difference:
            return (following.astimezone(UTC) + difference).astimezone(self.zone)
        if not self.is_interval and next_ambiguous:
            wall = following.replace(tzinfo=None)
            while self._is_ambiguous(self._offset_of(wall)):
                wall = self._cron_next(wall)
            return self._offset_of(wall)
        if self.is_interval and difference:
            return (following.astimezone(UTC) + difference).astimezone(self.zone)
        return following

    def _cron_next(self, wall: datetime) -> datetime:
        due = self.cron.next_after(wall.replace(tzinfo=UTC))
        assert due is not None
        return due.replace(tzinfo=None)

    def _offset_of(self, wall: datetime) -> datetime:
        """`new DateTimeOffset(wall).ToLocalTime()`."""
        first, second = (wall.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1))
        standard = min(_offset(first), _offset(second))
        return (wall - standard).replace(tzinfo=UTC).astimezone(self.zone)

    def _is_ambiguous(self, instant: datetime) -> bool:
        wall = instant.replace(tzinfo=None)
        first, second = (wall.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1))
        return _offset(first) > _offset(second)


def formatted(cron: Ncrontab) -> list[str]:
    """The time fields of `CrontabSchedule.ToString()`: neighbouring values as a range, all of them as `*`."""
    return [_formatted(cron.seconds, 59), _formatted(cron.minutes, 59), _formatted(cron.hours, 23)]


def _formatted(mask: int, highest: int) -> str:
    values = [value for value in range(highest + 1) if mask >> value & 1]
    if len(values) == highest + 1:
        return "*"
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _offset(instant: datetime) -> timedelta:
    offset = instant.utcoffset()
    assert offset is not None
    return offset
