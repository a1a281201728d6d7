"""Instants in a time zone that the user names, for reports. Used by the texts of `plan`, `drift` and `gate`."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Annotated

import typer

from scheduler.cli.output import fail

ZoneOption = Annotated[
    str | None, typer.Option("--timezone", metavar="ZONE", help="Of instants in the report. (default: UTC)")
]


def parse_zone_option(name: str | None) -> tzinfo:
    """Return the zone of this IANA name; an unknown one ends the command with 2."""
    from scheduler.features.statistics.periods import InvalidTimeRange, parse_zone

    try:
        return parse_zone(name)
    except InvalidTimeRange as error:
        fail(f"--timezone: {error}")


def format_in_zone(instant: datetime, zone: tzinfo) -> str:
    """`2026-11-28 02:30:00 CET`; a fraction of a second only if there is one."""
    try:
        local = instant.astimezone(zone)
    except OverflowError:  # the calendar of the zone has no such date
        local = instant.astimezone(UTC)
    fraction = f".{local.microsecond // 1000:03}" if local.microsecond else ""
    return f"{local:%Y-%m-%d %H:%M:%S}{fraction} {local:%Z}"
