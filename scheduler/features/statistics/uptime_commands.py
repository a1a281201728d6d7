"""`uptime` shows the uptime of a job from its stored runs, `downtime` its uptime by time, from its incidents."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from jobs.formats import describe_span, format_iso_instant
from scheduler.cli.listing import Field, show_items, show_model
from scheduler.cli.output import Column, is_terminal, print_note, show_table, show_tabs
from scheduler.cli.times import format_local, format_milliseconds
from scheduler.features.statistics.period_options import MonthOption, PeriodOptions, ZoneOption

if TYPE_CHECKING:
    from jobs.incidents.downtime import ExcludedTime
    from scheduler.app import ReadOnlyProgram
    from scheduler.features.statistics.downtime import JobDowntime
    from scheduler.features.statistics.uptime import JobUptime

_UPTIME_FIELDS = ("period", "ratio", "up", "down", "mean_ms", "down_seconds", "outages")


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

    measured = run_without_jobs("uptime", work)
    if measured.since is None:
        require_job(load_for_command("uptime"), job)
    if as_json:
        from scheduler.features.statistics.uptime import view_uptime

        show_model(view_uptime(measured))
    elif is_terminal():
        _show_uptime(measured)
    else:
        show_tabs(_UPTIME_FIELDS, [*_window_fields(measured), *_month_fields(measured)])
    if measured.since is None:
        print_note(f"{job} has no run that counts for uptime")
    else:
        since = format_local(measured.since) if is_terminal() else format_iso_instant(measured.since)
        parts = ", ".join(window.name for window in measured.windows if not window.is_complete)
        print_note(
            f"measured since {since}"
            + (f"; runs are not stored for all of {parts}, see retention.age" if parts else "")
        )


def _show_uptime(measured: JobUptime) -> None:
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
            for window in measured.windows
        ),
    )
    months = Column("month", "bold"), Column("down", align_right=True), Column("outages", align_right=True)
    show_table(
        months,
        (
            (
                month.name,
                "-" if month.seconds is None else describe_span(month.seconds),
                "-" if month.outages is None else str(month.outages),
            )
            for month in measured.months
        ),
    )


def _window_fields(measured: JobUptime) -> list[tuple[str, ...]]:
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
        for window in measured.windows
    ]


def _month_fields(measured: JobUptime) -> list[tuple[str, ...]]:
    return [
        (month.name, "", "", "", "", "" if month.seconds is None else f"{month.seconds:.0f}", str(month.outages or 0))
        for month in measured.months
        if month.seconds is not None
    ]


def downtime(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job name; `jobs` lists all jobs.")],
    window: Annotated[
        str | None,
        typer.Option("--window", help="24h, 7d, 30d, 90d or 365d until now. (default: 30d)", show_default=False),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="WHEN", help="Beginning: ISO 8601, or 24h for 24 hours ago.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="WHEN", help="End, in the same form.")] = None,
    month: MonthOption = None,
    timezone: ZoneOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/jobs/JOB/downtime.")] = False,
) -> None:
    """Show the uptime of a job by time: when it was down, in which incidents, and what is excluded.

    A job is down while an alert fires whose rule or severity counts as downtime. `uptime` counts runs instead.

    \b
    Examples:
      downtime checkout-api
      downtime checkout-api --month 2026-11 --timezone Europe/Berlin
    """
    from scheduler.cli.context import load_for_command, run_in_store
    from scheduler.cli.selection import require_job

    period = PeriodOptions(window, since, until, month, timezone).parse_span()
    configuration = load_for_command("downtime")
    require_job(configuration, job)
    measured = run_in_store(configuration, lambda program: program.downtimes.read_downtime(job, period))
    if as_json:
        from scheduler.features.statistics.downtime import view_downtime

        show_model(view_downtime(measured))
        return
    downtime = measured.downtime
    down = (_Row(span.begin, span.end, "", span.incidents) for span in downtime.spans)
    excluded = (_Row(time.begin, time.end, _describe_reason(time)) for time in downtime.exclusions)
    rows = sorted((*down, *excluded))
    show_items(rows, _DOWNTIME_FIELDS, is_empty_shown=True)
    print_note(_summarize(measured))


class _Row(NamedTuple):
    """`reason`: why the time is excluded; empty for downtime."""

    begin: datetime
    end: datetime
    reason: str = ""
    incidents: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        return "excluded" if self.reason else "down"

    @property
    def seconds(self) -> int:
        return round((self.end - self.begin).total_seconds())


_DOWNTIME_FIELDS: tuple[Field[_Row], ...] = (
    Field("state", lambda row: row.state, Column("state")),
    Field("from", lambda row: format_iso_instant(row.begin), Column("from"), lambda row: format_local(row.begin)),
    Field("to", lambda row: format_iso_instant(row.end), Column("to"), lambda row: format_local(row.end)),
    Field("seconds", lambda row: str(row.seconds), Column("for"), lambda row: describe_span(row.seconds)),
    Field("reason", lambda row: row.reason, Column("reason"), lambda row: row.reason or ", ".join(row.incidents)),
    Field("incidents", lambda row: ",".join(row.incidents)),
)


def _describe_reason(time: ExcludedTime) -> str:
    return f"{time.reason} {time.name}".strip().replace("not_observed", "not observed")


def _summarize(measured: JobDowntime) -> str:
    """Return a line such as `up 99.979% of 29 days, down 9 min, excluded 3 h, from ... to ...`."""
    downtime, uptime = measured.downtime, measured.uptime
    share = (
        "not measured" if uptime is None else f"up {uptime:.3%} of {describe_span(round(downtime.measured_seconds))}"
    )
    parts = [
        share,
        f"down {describe_span(round(downtime.down_seconds))}",
        f"excluded {describe_span(round(downtime.excluded_seconds))}",
        f"from {_format(downtime.since)} to {_format(downtime.until)}",
    ]
    missing = "" if measured.is_complete else "; not all incidents of it are stored or read, see alerting.age"
    reason = "" if measured.rules else "; no rule of the job counts as downtime"
    return f"{', '.join(parts)}{reason}{missing}"


def _format(instant: datetime) -> str:
    return format_local(instant) if is_terminal() else format_iso_instant(instant)
