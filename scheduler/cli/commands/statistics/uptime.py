"""`uptime`: show the uptime of a job from its stored runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats.durations import describe_span
from jobs.formats.instants import format_iso_instant
from scheduler.cli.output import Column, is_terminal, print_note, show_json, show_table, show_tabs
from scheduler.cli.times import format_local, format_milliseconds

if TYPE_CHECKING:
    from scheduler.app import ReadOnlyProgram
    from scheduler.queries.uptime import JobUptime

_FIELDS = ("period", "ratio", "up", "down", "mean_ms", "down_seconds", "outages")


def uptime(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job name; `jobs` lists all jobs.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/jobs/JOB/uptime.")] = False,
) -> None:
    """Show the uptime of a job for the last 24 hours to 365 days, and its downtime in the last three months.

    Runs that were skipped or cancelled do not count, and backfills do not. Months are in UTC.

    \b
    Examples:
      uptime checkout-api
      uptime checkout-api --json
    """
    from scheduler.cli.context import load_for_command, run_without_jobs
    from scheduler.cli.selection import require_job

    async def work(program: ReadOnlyProgram) -> JobUptime:
        return await program.uptimes.read_uptime(job, is_defined=False)

    found = run_without_jobs("uptime", work)
    if found.since is None:
        require_job(load_for_command("uptime"), job)
    if as_json:
        from scheduler.api.models.statistics.uptime import UptimeModel

        show_json(UptimeModel.from_uptime(found).model_dump_json(indent=2))
    elif is_terminal():
        _show(found)
    else:
        show_tabs(_FIELDS, [*_window_fields(found), *_month_fields(found)])
    if found.since is None:
        print_note(f"{job} has no run that counts for uptime")
    else:
        since = format_local(found.since) if is_terminal() else format_iso_instant(found.since)
        parts = ", ".join(window.name for window in found.windows if not window.is_complete)
        print_note(
            f"measured since {since}"
            + (f"; runs are not stored for all of {parts}, see retention.age" if parts else "")
        )


def _show(found: JobUptime) -> None:
    windows = (
        Column("last", "bold"),
        Column("up", align_right=True),
        Column("runs", align_right=True),
        Column("mean", align_right=True),
    )
    show_table(
        windows,
        (
            (
                window.name,
                f"{window.uptime.ratio:.3%}" if window.uptime.sample_count else "-",
                str(window.uptime.sample_count),
                format_milliseconds(window.uptime.mean_ms),
            )
            for window in found.windows
        ),
    )
    months = Column("month", "bold"), Column("down", align_right=True), Column("outages", align_right=True)
    show_table(
        months,
        (
            (
                one.name,
                "-" if one.seconds is None else describe_span(one.seconds),
                "-" if one.outages is None else str(one.outages),
            )
            for one in found.months
        ),
    )


def _window_fields(found: JobUptime) -> list[tuple[str, ...]]:
    return [
        (
            window.name,
            f"{window.uptime.ratio:.6f}" if window.uptime.sample_count else "",
            str(window.uptime.up),
            str(window.uptime.down),
            "" if window.uptime.mean_ms is None else f"{window.uptime.mean_ms:.3f}",
            "",
            "",
        )
        for window in found.windows
    ]


def _month_fields(found: JobUptime) -> list[tuple[str, ...]]:
    return [
        (one.name, "", "", "", "", "" if one.seconds is None else f"{one.seconds:.0f}", str(one.outages or 0))
        for one in found.months
        if one.seconds is not None
    ]
