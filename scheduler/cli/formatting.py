"""Instants and lengths of time as the commands write them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from jobs.formats.instants import format_iso_instant

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from scheduler.stores.pauses import Pause

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


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
    here, today = instant.astimezone(), now.astimezone().date()
    words = [format_relative(instant, now), f"{here:%H:%M:%S %Z}" if here.date() == today else format_local(instant)]
    if here.utcoffset():
        words.append(format_iso_instant(instant) if instant.date() != now.date() else format_iso_instant(instant)[11:])
    return ", ".join(words)


def describe_pause(pause: Pause, now: datetime) -> str:
    """`paused until 14:00:00 CET: deployment`; with the date unless it is today's. Or `paused until it is resumed`."""
    text = "paused until it is resumed" if pause.until is None else "paused"
    if pause.until is not None:
        here = pause.until.astimezone()
        text += (
            f" until {here:%H:%M:%S %Z}" if here.date() == now.astimezone().date() else f" until {format_local(here)}"
        )
    return f"{text}: {pause.reason}" if pause.reason else text


def format_relative(instant: datetime, now: datetime) -> str:
    """The way to `instant`: `in 12 s`, `3 min 20 s ago`, `now`; two units at most."""
    seconds = (instant - now).total_seconds()
    if abs(seconds) < 0.5:
        return "now"
    whole = round(abs(seconds))
    return f"in {format_duration(whole)}" if seconds > 0 else f"{format_duration(whole)} ago"


def format_duration(seconds: float) -> str:
    """A length of time: `0.25 s`, `12 s`, `3 min 20 s`, `2 d 4 h`."""
    if seconds < 10:
        return f"{seconds:.3g} s"
    rest = round(seconds)
    parts: list[str] = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def format_milliseconds(value: float | None) -> str:
    """A measured time: `0.4 ms`, `431 ms`, `2.31 s`; `-` without one."""
    if value is None:
        return "-"
    if value < 10:
        return f"{value:.1f} ms"
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.2f} s"


def describe_no_next(job: JobDefinition) -> str:
    """Why there is no next due instant of a job that is enabled."""
    if job.schedule is not None:
        return "never"
    return "-" if job.depends_on else "on demand"
