"""The options of `stats`, and its period, which `downtime` and `export` have, too.

A period that cannot be read ends the command with 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import typer

from scheduler.cli.output import fail

if TYPE_CHECKING:
    from jobs.incidents.suppression.spans import Span
    from scheduler.features.jobs.selection import JobSelection
    from scheduler.features.statistics.periods import Period, TimeRange

T = TypeVar("T")

WindowOption = Annotated[
    str | None, typer.Option("--window", help="24h, 7d, 30d, 90d or 365d until now. (default: 24h)", show_default=False)
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="WHEN", help="Runs due at this time or later: ISO 8601, or 24h for 24 hours ago."),
]
ToOption = Annotated[str | None, typer.Option("--to", metavar="WHEN", help="Runs due at this time or earlier.")]
MonthOption = Annotated[str | None, typer.Option("--month", help="A calendar month, such as 2026-11.")]
ZoneOption = Annotated[
    str | None, typer.Option("--timezone", help="IANA time zone of the month and of hours. (default: UTC)")
]
NamesOption = Annotated[
    list[str] | None, typer.Option("--name", metavar="PATTERN", help="Only jobs whose name matches: * is any text.")
]
TagsOption = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY[=VALUE]", help="Only jobs with this tag.")]


class PeriodPreset(StrEnum):
    PREVIOUS = "previous"
    WEEK = "week"
    WEEKDAY = "weekday"
    DEPLOYMENT = "deployment"


class SlowestOrder(StrEnum):
    P95 = "p95"
    CHANGE = "change"
    SLOWER = "slower"
    P50 = "p50"
    P99 = "p99"
    RUNS = "runs"
    NAME = "name"


SlowestOption = Annotated[
    str | None,
    typer.Option("--slowest", metavar="BY", help="List the slowest by job, host or tag:KEY, with their change."),
]
SortOption = Annotated[
    SlowestOrder | None,
    typer.Option(
        "--sort", help="Order of --slowest; slower: what got slower first. (default: p95)", show_default=False
    ),
]
CompareOption = Annotated[
    PeriodPreset | None, typer.Option("--compare", help="Compare with the period before, or compare two periods.")
]
OtherOption = Annotated[str | None, typer.Option("--with", metavar="JOB", help="Compare with another job.")]
TrendOption = Annotated[
    bool, typer.Option("--trend", help="Compare with the period before and the same weekdays of the 4 weeks before.")
]


class PeriodOptions(NamedTuple):
    """The options that choose a period. What is wrong with them ends the command with 2."""

    window: str | None
    since: str | None
    until: str | None
    month: str | None
    timezone: str | None

    def as_params(self) -> dict[str, str | None]:
        """Return the parameters of a query, once they are checked here: their errors name the options."""
        self.parse_span()
        return self._asdict()

    def parse_range(self) -> TimeRange:
        from scheduler.features.statistics.periods import parse_range, parse_zone

        zone = _or_fail(lambda: parse_zone(self.timezone))
        return _or_fail(lambda: parse_range(self.since, self.until, self.month, zone, datetime.now(UTC)))

    def parse_period(self, oldest: datetime) -> Period:
        """`oldest`: the beginning of a range without one."""
        from scheduler.features.statistics.periods import parse_period

        self._check_window()
        within = self.parse_range()
        return _or_fail(lambda: parse_period(self.window, within, datetime.now(UTC), oldest))

    def parse_span(self) -> Span:
        """Return the period without rounding."""
        from scheduler.features.statistics.periods import parse_span

        self._check_window()
        within = self.parse_range()
        return _or_fail(lambda: parse_span(self.window, within, datetime.now(UTC)))

    def _check_window(self) -> None:
        from scheduler.features.statistics.periods import WINDOWS

        if self.window is not None and self.window not in WINDOWS:
            fail(f"--window: expected one of {', '.join(WINDOWS)}, got {self.window!r}")


def choose_preset(compare: PeriodPreset | None, *, trend: bool) -> str | None:
    """Return what is compared, None for nothing."""
    if trend and compare is not None:
        fail("--trend: expected without --compare, choose one of both")
    return "trend" if trend else None if compare is None else compare.value


def choose_order(slowest: str | None, sort: SlowestOrder | None) -> str:
    """Return the order of --slowest, whose value is checked."""
    from scheduler.features.statistics.slowest import BY_PATTERN

    if slowest is not None and re.fullmatch(BY_PATTERN, slowest) is None:
        fail(f"--slowest: expected job, host or tag:KEY, got {slowest!r}")
    if sort is not None and slowest is None:
        fail("--sort: expected with --slowest")
    return (sort or SlowestOrder.P95).value


def parse_selection_options(names: list[str] | None, tags: list[str] | None) -> JobSelection:
    from scheduler.features.jobs.selection import InvalidFilter, parse_selection

    try:
        return parse_selection(names=names or (), tags=tags or ())
    except InvalidFilter as error:
        fail(f"--{error.filter}: {error}")


def _or_fail(parse: Callable[[], T]) -> T:
    from scheduler.features.statistics.periods import InvalidTimeRange

    try:
        return parse()
    except InvalidTimeRange as error:
        fail(f"--{error.end}: {error}")
