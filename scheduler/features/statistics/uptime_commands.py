"""`uptime` shows the uptime of a job from its stored runs, `downtime` its uptime by time, from its incidents."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from jobs.formats import describe_span, format_iso_instant
from scheduler.cli.listing import Field, show_items, show_model
from scheduler.cli.output import Column, is_terminal, print_note, show_table, show_tabs
from scheduler.cli.reach import find_connection
from scheduler.cli.times import format_local, format_milliseconds
from scheduler.features.statistics.period_options import MonthOption, PeriodOptions, ZoneOption

if TYPE_CHECKING:
    from scheduler.features.statistics.models import DowntimeModel, ExclusionModel, UptimeModel

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
    from scheduler.features.statistics.uptime import view_uptime

    async def work(program: Any) -> UptimeModel:
        if find_connection() is None:
            return view_uptime(await program.uptimes.read_uptime(job, is_defined=False))
        found: UptimeModel = await program.statistics.read_uptime(job)
        return found

    measured = run_without_jobs("uptime", work)
    if measured.since is None:
        require_job(load_for_command("uptime"), job)
    if as_json:
        show_model(measured)
    elif is_terminal():
        _show_uptime(measured)
    else:
        show_tabs(_UPTIME_FIELDS, [*_window_fields(measured), *_month_fields(measured)])
    if measured.since is None:
        print_note(f"{job} has no run that counts for uptime")
    else:
        since = format_local(measured.since) if is_terminal() else format_iso_instant(measured.since)
        parts = ", ".join(window.name for window in measured.windows if not window.complete)
        print_note(
            f"measured since {since}"
            + (f"; runs are not stored for all of {parts}, see retention.age" if parts else "")
        )


def _show_uptime(measured: UptimeModel) -> None:
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
                "-" if window.ratio is None else f"{window.ratio:.3%}",
                str(window.up + window.down),
                format_milliseconds(window.mean_ms),
            )
            for window in measured.windows
        ),
    )
    months = Column("month", "bold"), Column("down", align_right=True), Column("outages", align_right=True)
    show_table(
        months,
        (
            (
                month.month,
                "-" if month.down_seconds is None else describe_span(month.down_seconds),
                "-" if month.outages is None else str(month.outages),
            )
            for month in measured.months
        ),
    )


def _window_fields(measured: UptimeModel) -> list[tuple[str, ...]]:
    return [
        (
            window.name,
            "" if window.ratio is None else f"{window.ratio:.6f}",
            str(window.up),
            str(window.down),
            "" if window.mean_ms is None else f"{window.mean_ms:.3f}",
            "",
            "",
        )
        for window in measured.windows
    ]


def _month_fields(measured: UptimeModel) -> list[tuple[str, ...]]:
    return [
        (month.month, "", "", "", "", f"{month.down_seconds:.0f}", str(month.outages or 0))
        for month in measured.months
        if month.down_seconds is not None
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
    from scheduler.features.statistics.downtime import view_downtime

    options = PeriodOptions(window, since, until, month, timezone)
    period = options.parse_span()
    configuration = load_for_command("downtime")
    require_job(configuration, job)

    async def read(program: Any) -> DowntimeModel:
        if find_connection() is None:
            return view_downtime(await program.downtimes.read_downtime(job, period))
        found: DowntimeModel = await program.statistics.read_downtime(job, options.as_params())
        return found

    measured = run_in_store(configuration, read)
    if as_json:
        show_model(measured)
    else:
        _show_downtime(measured)


def _show_downtime(measured: DowntimeModel) -> None:
    down = (_Row(span.since, span.until, "", tuple(span.incidents)) for span in measured.spans)
    excluded = (_Row(time.since, time.until, _describe_reason(time)) for time in measured.excluded)
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


def _describe_reason(time: ExclusionModel) -> str:
    return f"{time.reason} {time.name}".strip().replace("not_observed", "not observed")


def _summarize(measured: DowntimeModel) -> str:
    """Return a line such as `up 99.979% of 29 days, down 9 min, excluded 3 h, from ... to ...`."""
    uptime = measured.uptime
    share = (
        "not measured" if uptime is None else f"up {uptime:.3%} of {describe_span(round(measured.measured_seconds))}"
    )
    parts = [
        share,
        f"down {describe_span(round(measured.down_seconds))}",
        f"excluded {describe_span(round(measured.excluded_seconds))}",
        f"from {_format(measured.since)} to {_format(measured.until)}",
    ]
    missing = "" if measured.complete else "; not all incidents of it are stored or read, see alerting.age"
    reason = "" if measured.rules else "; no rule of the job counts as downtime"
    return f"{', '.join(parts)}{reason}{missing}"


def _format(instant: datetime) -> str:
    return format_local(instant) if is_terminal() else format_iso_instant(instant)
