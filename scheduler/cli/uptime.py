"""`uptime`: how much of the time a job was up, from its kept runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import Column, note, on_terminal, show_json, show_table, show_tabs
from scheduler.cli.texts import iso, local, milliseconds, span

if TYPE_CHECKING:
    from scheduler.app import Reading
    from scheduler.uptimes import JobUptime

_FIELDS = ("period", "ratio", "up", "down", "mean_ms", "down_seconds", "outages")


def uptime(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's name; `jobs` lists them.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON on any output, as in GET /api/jobs/JOB/uptime.")
    ] = False,
) -> None:
    """Show how much of the time a job was up, in the last 24 h to 365 days, and its downtime of three months.

    Runs that were skipped or cancelled, and backfills, say nothing. Months are those of UTC.

    \b
    Examples:
      uptime checkout-api
      uptime checkout-api --json
    """
    from scheduler.cli.configured import configured, in_history, known_job

    async def work(program: Reading) -> JobUptime:
        return await program.uptimes.of(job, is_defined=False)

    found = in_history("uptime", work)
    if found.since is None:
        known_job(configured("uptime"), job)
    if as_json:
        from scheduler.api.uptime_routes import UptimeModel

        show_json(UptimeModel.of(found).model_dump_json(indent=2))
    elif on_terminal():
        _show(found)
    else:
        show_tabs(_FIELDS, [*_window_fields(found), *_month_fields(found)])
    if found.since is None:
        note(f"{job} has no run that says something")
    else:
        since = local(found.since) if on_terminal() else iso(found.since)
        parts = ", ".join(window.name for window in found.windows if not window.whole)
        note(f"known since {since}" + (f"; runs are not kept for all of {parts}, see retention.age" if parts else ""))


def _show(found: JobUptime) -> None:
    windows = Column("last", "bold"), Column("up", right=True), Column("runs", right=True), Column("mean", right=True)
    show_table(
        windows,
        (
            (
                window.name,
                f"{window.uptime.ratio:.3%}" if window.uptime.looks else "-",
                str(window.uptime.looks),
                milliseconds(window.uptime.mean_ms),
            )
            for window in found.windows
        ),
    )
    months = Column("month", "bold"), Column("down", right=True), Column("outages", right=True)
    show_table(
        months,
        (
            (
                one.name,
                "-" if one.seconds is None else span(one.seconds),
                "-" if one.outages is None else str(one.outages),
            )
            for one in found.months
        ),
    )


def _window_fields(found: JobUptime) -> list[tuple[str, ...]]:
    return [
        (
            window.name,
            f"{window.uptime.ratio:.6f}" if window.uptime.looks else "",
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
