"""`trend`: show when the level of a job's response times, durations, success rate or lateness changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import describe_milliseconds, format_iso_instant
from jobs.trends import MeasureName
from scheduler.cli.listing import Field, show_items, show_model
from scheduler.cli.output import Column, escape_controls, fail, is_terminal
from scheduler.cli.times import format_local
from scheduler.features.statistics.period_options import ZoneOption

if TYPE_CHECKING:
    from scheduler.app import ReadOnlyProgram
    from scheduler.features.trends.models import LevelChangeModel, LevelModel, LevelTrendModel


def trend(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job name; `jobs` lists all jobs.")],
    measure: Annotated[MeasureName, typer.Option("--measure", help="What is examined.")] = "response_time",
    days: Annotated[int, typer.Option("--days", min=3, max=90, help="Days until now.")] = 28,
    timezone: ZoneOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/jobs/JOB/trend.")] = False,
) -> None:
    """Show when a job got slower, failed more or started later, and what was deployed or changed near that.

    Daily and weekly repetition, a slow drift or a single slow hour is not a change.

    \b
    Examples:
      trend checkout-api
      trend checkout-api --measure success_rate
      trend checkout-api --days 60 --timezone Europe/Berlin
    """
    from scheduler.cli.context import load_for_command, run_in_store
    from scheduler.cli.selection import require_job
    from scheduler.features.statistics.periods import InvalidTimeRange, parse_zone
    from scheduler.identity.principal import LOCAL_PRINCIPAL

    configuration = load_for_command("trend")
    require_job(configuration, job)
    try:
        zone = parse_zone(timezone)
    except InvalidTimeRange as error:
        fail(f"--timezone: {error}")

    async def work(program: ReadOnlyProgram) -> LevelTrendModel:
        return await program.trends.read_trend(LOCAL_PRINCIPAL, job, measure=measure, days=days, zone=zone)

    found = run_in_store(configuration, work)
    if as_json:
        show_model(found)
        return
    if is_terminal():
        print(escape_controls(f"{job}: {found.summary}"))
    show_items(found.changes, _FIELDS)


def _show_level(level: LevelModel) -> str:
    if level.success_rate is not None:
        return f"{level.success_rate:.2%}"
    times = (level.p50_ms, level.p95_ms, level.p99_ms)
    return ", ".join("-" if each is None else describe_milliseconds(each) for each in times)


def _list_nearby(change: LevelChangeModel) -> str:
    return "; ".join(f"{each.kind} {format_iso_instant(each.at)} {each.text}" for each in change.nearby)


_FIELDS: Sequence[Field[LevelChangeModel]] = (
    Field(
        "at",
        lambda change: format_iso_instant(change.at),
        Column("since", "bold"),
        lambda change: format_local(change.at),
    ),
    Field(
        "ratio",
        lambda change: "-" if change.ratio is None else f"{change.ratio:.3f}",
        Column("times", align_right=True),
    ),
    Field("before", lambda change: _show_level(change.before), Column("p50, p95, p99 or rate before")),
    Field("after", lambda change: _show_level(change.after), Column("since then")),
    Field("nearby", _list_nearby, Column("near it", no_wrap=False, is_optional=True)),
)
