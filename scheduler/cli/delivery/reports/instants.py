"""Instants in a time zone that the user names, for reports. Used by the texts of `plan`, `drift` and `gate`."""

from __future__ import annotations

from datetime import tzinfo
from typing import Annotated

import typer

from scheduler.cli.output import fail

ZoneOption = Annotated[
    str | None, typer.Option("--timezone", metavar="ZONE", help="Of instants in the report. (default: UTC)")
]


def parse_zone_option(name: str | None) -> tzinfo:
    """Return the zone of this IANA name; an unknown one ends the command with 2."""
    from scheduler.queries.periods import parse_zone
    from scheduler.queries.time_range import InvalidTimeRange

    try:
        return parse_zone(name)
    except InvalidTimeRange as error:
        fail(f"--timezone: {error}")


