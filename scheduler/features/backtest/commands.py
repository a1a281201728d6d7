"""`alerts`: what alert rules would have notified, and which thresholds to choose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.formats import format_duration
from scheduler.cli.output import EXIT_CHANGES, Column, fail, is_terminal, print_note, show_json, show_table, show_tabs

if TYPE_CHECKING:
    from config.loading import Configuration
    from scheduler.app import ReadOnlyProgram
    from scheduler.catalog.catalog import JobSnapshot
    from scheduler.features.backtest.advice import Advice, Alternative
    from scheduler.features.backtest.service import BacktestReport, BacktestRequest
    from scheduler.features.jobs.selection import JobSelection
    from scheduler.features.statistics.periods import TimeRange

_FIELDS = ("open_after", "close_after", "for", "notifications", "missed", "p50", "p95", "")
_SHOWN = 12


def show_advice(advice: Advice) -> None:
    """Show the best alternatives, and the rules to copy."""
    shown = list(advice.alternatives[:_SHOWN])
    if advice.current is not None and advice.current not in shown:
        shown.append(advice.current)
    rows = [_row(each) for each in shown]
    if is_terminal():
        show_table(tuple(map(Column, _FIELDS)), rows)
    else:
        show_tabs((*_FIELDS[:-1], "is"), rows)
    within = format_duration(advice.detect_within.total_seconds())
    print_note(f"{advice.job}: {advice.outages} outages of at least {within}, {advice.blips} shorter failures")
    for note in advice.notes:
        print_note(f"note: {note}")
    print_note(advice.usual.summary)
    best, rules = advice.best, list[str]()
    if best is None:
        print_note(f"no combination notifies of every outage within {within}: shorten the schedule, or allow more time")
    elif best.candidate.is_current:
        print_note("the rule in force is the best of these")
    else:
        rules.append(_write(best.candidate.fields))
    if advice.usual.fields is not None:
        rules.append(f"{{when: {_write(advice.usual.fields)}}}")
    if rules:
        print("\n  - ".join(("alerts:", *rules)))


def _write(members: Mapping[str, object]) -> str:
    return f"{{{', '.join(f'{key}: {value}' for key, value in members.items())}}}"


def _row(alternative: Alternative) -> tuple[str, ...]:
    candidate = alternative.candidate
    return (
        str(candidate.open_after),
        "" if candidate.close_after is None else str(candidate.close_after),
        format_duration(candidate.for_) if candidate.for_ else "",
        str(alternative.notifications),
        str(alternative.missed),
        _time(alternative.percentile(0.5)),
        _time(alternative.percentile(0.95)),
        "in force" if candidate.is_current else "",
    )


def _time(seconds: float | None) -> str:
    return "" if seconds is None else format_duration(float(round(seconds)))


def advice_to_json(advice: Advice) -> str:
    document = {
        "job": advice.job,
        "since": advice.since.isoformat(),
        "until": advice.until.isoformat(),
        "detect_within_seconds": advice.detect_within.total_seconds(),
        "outages": advice.outages,
        "shorter_failures": advice.blips,
        "best": None if advice.best is None else _fields(advice.best),
        "alternatives": [_fields(each) for each in advice.alternatives],
        "slower_than_usual": {
            "when": advice.usual.fields,
            "openings": advice.usual.openings,
            "judged": advice.usual.judged,
            "summary": advice.usual.summary,
        },
        "notes": list(advice.notes),
    }
    return json.dumps(document, indent=2)


def _fields(alternative: Alternative) -> dict[str, Any]:
    return {
        "rule": alternative.candidate.fields,
        "is_in_force": alternative.candidate.is_current,
        "notifications": alternative.notifications,
        "missed": alternative.missed,
        "detected_p50_seconds": alternative.percentile(0.5),
        "detected_p95_seconds": alternative.percentile(0.95),
    }


ABOUT = """Alert rules against what happened: replays stored runs through the rules.

\b
Examples:
  alerts backtest --since 30d
  alerts backtest --since 7d --rules jobs/alerting.yaml
  alerts advise checkout-api --detect-within 10m"""

alerts = typer.Typer(help=ABOUT, no_args_is_help=True)

SinceOption = Annotated[
    str, typer.Option("--since", metavar="WHEN", help="Begin of the time: ISO 8601, UTC by default; or 30d.")
]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="WHEN", help="End of the time, in the same form. (default: now)")
]
_DEFAULT_SINCE = "30d"


@alerts.command("backtest")
def backtest(
    since: SinceOption = _DEFAULT_SINCE,
    until: UntilOption = None,
    rules: Annotated[
        Path | None, typer.Option("--rules", metavar="FILE", help="An edited job file, in place of the one in force.")
    ] = None,
    job: Annotated[
        list[str] | None, typer.Option("--job", metavar="NAME", help="Only these jobs: * is any text. Repeatable.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="KEY[=VALUE]", help="Only jobs with this tag.")
    ] = None,
    zone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="For weeks and nights. (default: UTC)")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what the rules would have notified, when and to whom, against what was notified.

    Silences, windows, acknowledgements, parents, groups and routes apply as they did. Without --rules, the rules in
    force are used. Exit code 0: the same was notified; 3: there are differences.

    \b
    Examples:
      alerts backtest --since 30d
      alerts backtest --since 7d --rules jobs/alerting.yaml --tag team=payments
    """
    from scheduler.cli.context import load_for_command, run_in_store
    from scheduler.cli.selection import parse_selection_options

    within, local = _parse_range(since, until), _parse_zone(zone)
    selection = parse_selection_options(names=job, tags=tag, name_option="--job")
    configuration = load_for_command("alerts backtest")

    async def work(program: ReadOnlyProgram) -> BacktestReport:
        in_force = program.snapshot
        edited = None if rules is None else _read_edited(rules, in_force, configuration)
        request = _request(within, _select(selection, in_force, edited))
        return await program.backtester.run(request, in_force, edited)

    _show(run_in_store(configuration, work), local, as_json)


@alerts.command("advise")
def advise(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job name.")],
    detect_within: Annotated[
        str,
        typer.Option("--detect-within", metavar="TIME", help="An outage of this length must be notified within it."),
    ] = "10m",
    since: SinceOption = _DEFAULT_SINCE,
    until: UntilOption = None,
    openings: Annotated[
        int,
        typer.Option("--openings", min=0, help="Of slower_than_usual in this time, at most."),
    ] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Propose thresholds for failed runs: the fewest notifications that detect outages in time.

    Each combination of open_after, close_after and for is replayed over the stored history of the job. So are numbers
    for slower_than_usual, over the statistics of its hours.

    \b
    Examples:
      alerts advise checkout-api
      alerts advise checkout-api --detect-within 5m --since 90d
    """
    from scheduler.cli.context import load_for_command, run_in_store
    from scheduler.cli.selection import require_job
    from scheduler.cli.times import parse_duration_option
    from scheduler.features.backtest.advice import Advisor

    within = _parse_range(since, until)
    length = timedelta(seconds=parse_duration_option("--detect-within", detect_within) or 600.0)
    configuration = load_for_command("alerts advise")
    require_job(configuration, job)

    async def work(program: ReadOnlyProgram) -> Advice:
        begin, end = within.since, within.until
        assert begin is not None
        advisor = Advisor(program.backtester)
        return await advisor.advise(job, begin, end or datetime.now(UTC), program.snapshot, length, openings)

    advice = run_in_store(configuration, work)
    if as_json:
        show_json(advice_to_json(advice))
    else:
        show_advice(advice)


def _parse_range(since: str, until: str | None) -> TimeRange:
    from scheduler.features.statistics.periods import InvalidTimeRange, parse_time_range

    try:
        return parse_time_range(since, until, datetime.now(UTC))
    except InvalidTimeRange as error:
        fail(f"--{'since' if error.end == 'from' else 'until'}: {error}")


def _show(report: BacktestReport, zone: tzinfo, as_json: bool) -> None:
    from scheduler.features.delivery.backtest_text import report_to_json, show_report

    if as_json:
        show_json(report_to_json(report, zone))
    else:
        show_report(report, zone)
    if not report.comparison.is_same:
        raise typer.Exit(EXIT_CHANGES)


def _parse_zone(zone: str | None) -> tzinfo:
    from scheduler.features.statistics.periods import InvalidTimeRange, parse_zone

    try:
        return parse_zone(zone)
    except InvalidTimeRange as error:
        fail(f"--timezone: {error}")


def _select(selection: JobSelection, in_force: JobSnapshot, edited: JobSnapshot | None) -> frozenset[str] | None:
    if selection.is_empty:
        return None
    entries = [*in_force, *(() if edited is None else edited)]
    return frozenset(each.job.name for each in entries if selection.matches_definition(each.job))


def _request(within: TimeRange, jobs: frozenset[str] | None) -> BacktestRequest:
    from scheduler.features.backtest.service import BacktestRequest

    assert within.since is not None
    return BacktestRequest(within.since, within.until or datetime.now(UTC), jobs)


def _read_edited(path: Path, in_force: JobSnapshot, configuration: Configuration) -> JobSnapshot:
    """Return the jobs in force with those of the file; what is wrong ends the command with 2."""
    from config.documents.document import UnreadableFile
    from config.errors import ConfigurationError, format_problems
    from config.job_files.edited import read_edited_file
    from scheduler.catalog.composition import build_snapshot

    jobs = [(entry.job, entry.origin) for entry in in_force]
    default = configuration.settings.default_schedule
    try:
        edited = read_edited_file(path, Path.cwd(), jobs, in_force.alerting, default)
    except UnreadableFile as error:
        fail(f"--rules: {error}")
    except ConfigurationError as error:
        fail(format_problems(error.problems))
    return build_snapshot(edited, datetime.now(UTC))
