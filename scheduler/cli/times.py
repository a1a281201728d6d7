"""Instants, lengths of time and time zones: as options, of which a wrong one ends the command with 2, and as texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import describe_distance, describe_milliseconds, format_iso_instant, parse_instant
from scheduler.cli.output import fail
from scheduler.cli.reach import find_connection

if TYPE_CHECKING:
    from scheduler.features.jobs.models import PauseModel
    from scheduler.features.statistics.periods import TimeRange
    from scheduler.stores.gates import Pause

ZoneOption = Annotated[
    str | None, typer.Option("--timezone", metavar="ZONE", help="Of instants in the report. (default: UTC)")
]
ForOption = Annotated[str | None, typer.Option("--for", metavar="DURATION", help="Duration, such as 30m or 2h.")]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="ISO", help="End; UTC unless it has an offset.")]


EQUAL_CLOCKS = timedelta(seconds=2)
"""Clocks that differ by less are equal: a running scheduler tells its time in whole seconds."""


def read_now() -> datetime:
    """Return the time that counts for instants of the command: that of the running scheduler in which it works."""
    here, connection = datetime.now(UTC), find_connection()
    if connection is None:
        return here
    from scheduler.cli.connection import run_remote

    there = run_remote(connection, lambda api: api.read_now())
    return here if there is None or abs(there - here) < EQUAL_CLOCKS else there


def end_after(seconds: float, option: str = "--for") -> datetime:
    """Return the end that an option sets by a duration; one that no date can have ends the command with 2."""
    try:
        return read_now() + timedelta(seconds=seconds)
    except OverflowError:
        fail(f"{option}: the end would be after the year 9999")


def parse_instant_option(name: str, text: str | None) -> datetime | None:
    """ISO 8601; without an offset it is UTC."""
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError:
        fail(f"{name}: expected an instant in ISO 8601, such as 2026-11-25T01:50:30Z, got {text!r}")


def parse_interval_options(since: str | None, until: str | None) -> TimeRange:
    """`--from` and `--to`: ISO 8601, without an offset UTC; or a time ago such as 24h."""
    from scheduler.features.statistics.periods import InvalidTimeRange

    try:
        return parse_range(since, until)
    except InvalidTimeRange as error:
        fail(f"--{error.end}: {error}")


def parse_range(since: str | None, until: str | None) -> TimeRange:
    """Return the range before `read_now`. Raises InvalidTimeRange, before a request to a running scheduler."""
    from scheduler.features.statistics.periods import parse_time_range

    found = parse_time_range(since, until, datetime.now(UTC))
    if find_connection() is None or (since, until) == (None, None):
        return found
    return parse_time_range(since, until, read_now())


def parse_duration_option(name: str, text: str | None) -> float | None:
    """Seconds, from `30m` or `1h30m`."""
    from jobs.formats import parse_duration

    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        fail(f"{name}: {error}")


def parse_end_options(length: str | None, until: str | None) -> tuple[float | None, datetime | None]:
    """Return the seconds or the end; without exactly one of both the command ends with 2."""
    if length is not None and until is not None:
        fail("--for and --until both set the end: give one of them")
    if length is None and until is None:
        fail("give the end: --for, such as 2h, or --until")
    return parse_duration_option("--for", length), parse_instant_option("--until", until)


def format_local(instant: datetime) -> str:
    """In the zone of this machine, for people: `2026-11-25 02:50:30 CET`; `-` where there is no such date."""
    try:
        return f"{instant.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    except OverflowError:
        return "-"  # here it is the year 0 or 10000 already


def format_instant(instant: datetime, now: datetime) -> str:
    """Return an instant with its distance and both times: `in 12 s, 02:50:30 CET, 01:50:30Z`; the date unless it is
    today's.
    """
    local, today = instant.astimezone(), now.astimezone().date()
    words = [
        describe_distance((instant - now).total_seconds()),
        f"{local:%H:%M:%S %Z}" if local.date() == today else format_local(instant),
    ]
    if local.utcoffset():
        words.append(format_iso_instant(instant) if instant.date() != now.date() else format_iso_instant(instant)[11:])
    return ", ".join(words)


def describe_pause(pause: Pause | PauseModel, now: datetime) -> str:
    """`paused until 14:00:00 CET: deployment`; with the date unless it is today's. Or `paused until it is resumed`."""
    text = "paused until it is resumed" if pause.until is None else "paused"
    if pause.until is not None:
        here = pause.until.astimezone()
        text += (
            f" until {here:%H:%M:%S %Z}" if here.date() == now.astimezone().date() else f" until {format_local(here)}"
        )
    return f"{text}: {pause.reason}" if pause.reason else text


def format_milliseconds(value: float | None) -> str:
    """A measured time; `-` without one."""
    return "-" if value is None else describe_milliseconds(value)


def describe_no_next(has_schedule: bool, has_dependencies: bool) -> str:
    """Why there is no next due instant of a job that is enabled."""
    if has_schedule:
        return "never"
    return "-" if has_dependencies else "on demand"


def parse_zone_option(name: str | None) -> tzinfo:
    """Return the zone of this IANA name; an unknown one ends the command with 2."""
    from scheduler.features.statistics.periods import InvalidTimeRange, parse_zone

    try:
        return parse_zone(name)
    except InvalidTimeRange as error:
        fail(f"--timezone: {error}")
