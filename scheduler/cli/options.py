"""Instants, durations and intervals that commands take as options. One that cannot be read ends the command with 2."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats.instants import parse_instant
from scheduler.cli.output import fail

if TYPE_CHECKING:
    from scheduler.queries.time_range import TimeRange

ForOption = Annotated[str | None, typer.Option("--for", metavar="DURATION", help="Duration, such as 30m or 2h.")]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="ISO", help="End; UTC unless it has an offset.")]


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
    from scheduler.queries.time_range import InvalidTimeRange, parse_time_range

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


def parse_end_options(length: str | None, until: str | None) -> tuple[float | None, datetime | None]:
    """Return the seconds or the end; without exactly one of both the command ends with 2."""
    if length is not None and until is not None:
        fail("--for and --until both set the end: give one of them")
    if length is None and until is None:
        fail("give the end: --for, such as 2h, or --until")
    return parse_duration_option("--for", length), parse_instant_option("--until", until)
