"""`downtime`: show the uptime of a job by time, from its incidents."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from jobs.formats.durations import describe_span
from jobs.formats.instants import format_iso_instant
from scheduler.cli.commands.statistics.period_options import MonthOption, PeriodOptions, ZoneOption
from scheduler.cli.output import Column, is_terminal, print_note, show_json, show_table, show_tabs
from scheduler.cli.times import format_local

if TYPE_CHECKING:
    from jobs.incidents.downtime import ExcludedTime
    from scheduler.queries.alerting.downtime import JobDowntime

_FIELDS = ("state", "from", "to", "seconds", "reason", "incidents")


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
    found = run_in_store(configuration, lambda program: program.downtimes.read_downtime(job, period))
    if as_json:
        from scheduler.api.models.statistics.downtime import DowntimeModel

        show_json(DowntimeModel.from_downtime(found).model_dump_json(indent=2, by_alias=True))
        return
    _show(found)
    print_note(_summarize(found))


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


def _show(found: JobDowntime) -> None:
    downtime = found.downtime
    down = (_Row(span.begin, span.end, "", span.incidents) for span in downtime.spans)
    excluded = (_Row(each.begin, each.end, _describe_reason(each)) for each in downtime.exclusions)
    rows = sorted((*down, *excluded))
    if is_terminal():
        names = ("state", "from", "to", "for", "reason")
        show_table([Column(name) for name in names], map(_cells, rows))
        return
    instants = ((format_iso_instant(row.begin), format_iso_instant(row.end)) for row in rows)
    show_tabs(
        _FIELDS,
        (
            (row.state, *between, str(row.seconds), row.reason, ",".join(row.incidents))
            for row, between in zip(rows, instants, strict=True)
        ),
    )


def _cells(row: _Row) -> tuple[str, ...]:
    between = format_local(row.begin), format_local(row.end)
    return row.state, *between, describe_span(row.seconds), row.reason or ", ".join(row.incidents)


def _describe_reason(each: ExcludedTime) -> str:
    return f"{each.reason} {each.name}".strip().replace("not_observed", "not observed")


def _summarize(found: JobDowntime) -> str:
    """Return a line such as `up 99.979% of 29 days, down 9 min, excluded 3 h, from ... to ...`."""
    downtime, uptime = found.downtime, found.uptime
    share = (
        "not measured" if uptime is None else f"up {uptime:.3%} of {describe_span(round(downtime.measured_seconds))}"
    )
    parts = [
        share,
        f"down {describe_span(round(downtime.down_seconds))}",
        f"excluded {describe_span(round(downtime.excluded_seconds))}",
        f"from {_format(downtime.since)} to {_format(downtime.until)}",
    ]
    missing = "" if found.is_complete else "; not all incidents of it are stored or read, see alerting.age"
    reason = "" if found.rules else "; no rule of the job counts as downtime"
    return f"{', '.join(parts)}{reason}{missing}"


def _format(instant: datetime) -> str:
    return format_local(instant) if is_terminal() else format_iso_instant(instant)
