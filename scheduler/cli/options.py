"""Instants, durations and intervals that commands take as options. One that cannot be read ends the command with 2."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jobs.formats.instants import parse_instant
from scheduler.cli.output import fail

if TYPE_CHECKING:
    from scheduler.features.statistics.periods import TimeRange


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
    from scheduler.features.statistics.periods import InvalidTimeRange, parse_time_range

    try:
        return parse_time_range(since, until, datetime.now(UTC))
    except InvalidTimeRange as error:
        fail(f"--{error.end}: {error}")


def parse_duration_option(name: str, text: str | None) -> float | None:
    """Seconds, from `30m` or `1h30m`."""
    from jobs.formats.durations import parse_duration

    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        fail(f"{name}: {error}")
