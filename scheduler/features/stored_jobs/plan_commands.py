"""`plan`: show what a working copy would change: a set of stored jobs, or the job files of a scheduler; in words, and
with what changed alert rules would have notified, against what was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from jobs.formats import format_iso_instant
from scheduler.cli.output import (
    EXIT_CHANGES,
    EXIT_FAILED,
    escape_controls,
    fail,
    is_terminal,
    print_error,
    print_note,
    print_warning,
    show_json,
    show_tabs,
)
from scheduler.cli.reach import find_connection
from scheduler.cli.selection import AdoptOption, FilesArgument, LiteralOption
from scheduler.cli.times import ZoneOption, parse_zone_option

if TYPE_CHECKING:
    from scheduler.cli.working_copy import CopyComparison
    from scheduler.features.delivery.planning import PlannedChanges, PlanOptions
    from scheduler.features.delivery.port import AlertMessage, AlertReplay
    from scheduler.features.stored_jobs.models import FieldChangeModel
    from scheduler.features.stored_jobs.queries import FieldChange
    from scheduler.features.stored_jobs.sets import JobDifference, SetPlan

_SetOption = Annotated[
    str | None,
    typer.Option(
        "--set",
        metavar="NAME",
        help="Name of the set that owns the jobs. (default: the files are the job files of the scheduler)",
        show_default=False,
    ),
]
_AlertsOption = Annotated[
    str | None,
    typer.Option(
        "--alerts-since",
        metavar="WHEN",
        help="Show what changed alerts would have notified since then: ISO 8601, UTC by default; or 7d.",
    ),
]
_AvailableOption = Annotated[
    bool,
    typer.Option(
        "--if-available",
        help="Warn, with exit code 0, if the scheduler of --url does not answer or cannot plan, as an older version.",
    ),
]
_REPLAYED = timedelta(days=7)
"""With --markdown, unless --alerts-since names another begin."""


def plan(
    files: FilesArgument,
    owner: _SetOption = None,
    adopt: AdoptOption = False,
    allow_literal: LiteralOption = False,
    if_available: _AvailableOption = False,
    alerts_since: _AlertsOption = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a comment for a pull request.")] = False,
    zone: ZoneOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as POST /api/sets/NAME/plan.")] = False,
) -> None:
    """Show what a working copy would change: jobs, fields, next runs. Nothing is changed.

    With --set, the files contain the whole set, which `apply` stores: its jobs that they do not contain would be
    deleted. Without it, they are compared with the jobs of job files that run. Exit code 0: nothing to change, 3:
    there are changes, 1: a conflict prevents them, 2: a file is invalid.

    \b
    Examples:
      plan jobs/reports.yaml --set reports
      plan jobs/ --set reports --json
      plan jobs/reports.yaml --set reports --alerts-since 7d
      plan jobs/ --url https://scheduler.example.com --markdown > comment.md
    """
    from scheduler.cli.working_copy import read_comparison
    from scheduler.features.delivery.planning import PlanOptions

    _check_options(as_json and as_markdown, if_available and find_connection() is None)
    since = _parse_since(alerts_since, as_markdown)
    options = PlanOptions(adopt, allow_literal, alerts_since=since, has_load=as_markdown, zone=parse_zone_option(zone))
    compared = read_comparison("plan", files, owner, find_connection())
    planned = compared.plan(options, if_available=if_available)
    if isinstance(planned, str):
        _warn(planned, compared, as_json, as_markdown)
        return
    _show(planned, options, as_json, as_markdown)
    if planned.plan.conflicts:
        raise typer.Exit(EXIT_FAILED)
    if planned.plan.added or planned.plan.changed or planned.plan.removed or planned.sections:
        raise typer.Exit(EXIT_CHANGES)


def _check_options(has_two_formats: bool, needs_url: bool) -> None:
    if has_two_formats:
        fail("--json and --markdown exclude each other")
    if needs_url:
        fail("--if-available needs --url")


def _parse_since(text: str | None, as_markdown: bool) -> datetime | None:

    if text is not None:
        return parse_alerts_since(text)
    return datetime.now(UTC) - _REPLAYED if as_markdown else None


def _warn(reason: str, compared: CopyComparison, as_json: bool, as_markdown: bool) -> None:
    """Report that no plan was made. `reason`: a clause."""
    from scheduler.cli.output import print_warning, show_json

    print_warning(f"there is no plan: {reason}")
    if as_markdown:
        from scheduler.features.delivery.plan_report import write_missing_plan

        print(write_missing_plan(reason, compared.copy.owner, len(compared.copy.jobs)), end="")
    elif as_json:
        show_json(json.dumps({"unavailable": reason}, indent=2, ensure_ascii=False))


def _show(planned: PlannedChanges, options: PlanOptions, as_json: bool, as_markdown: bool) -> None:
    if as_markdown:
        from scheduler.features.delivery.plan_report import PlanReport, write_plan

        assert planned.load is not None  # the options demand it
        report = PlanReport(
            planned.plan, planned.definitions, planned.load, planned.alerts, options.zone, planned.sections
        )
        print(write_plan(report), end="")
        return

    alerts = None if options.alerts_since is None else PlanAlerts(planned.alerts)
    show_plan(planned.plan, as_json, alerts, planned.sections)


_FIELDS = ("at", "job", "rule", "channel", "message", "difference")


class PlanAlerts(NamedTuple):
    """The section that the option adds. `replay` None: no job changes its alerts."""

    replay: AlertReplay | None


def parse_alerts_since(since: str) -> datetime:
    """Return the begin of the replay; an invalid one ends the command with 2."""
    from scheduler.features.statistics.periods import InvalidTimeRange, parse_time_range

    try:
        found = parse_time_range(since, None, datetime.now(UTC)).since
    except InvalidTimeRange as error:
        fail(f"--alerts-since: {error}")
    assert found is not None
    return found


def alerts_to_document(alerts: PlanAlerts) -> dict[str, Any] | None:
    """Return the fields of `alerts backtest --json`, or those that a server returns; None without a changed job."""
    from scheduler.features.delivery.backtest_text import report_to_document

    replay = alerts.replay
    if replay is None:
        return None
    if replay.report is not None:
        return report_to_document(replay.report, UTC)
    return {
        "since": format_iso_instant(replay.since),
        "is_same": all(each.difference == "same" for each in replay.messages),
        "messages": [dict(zip(_FIELDS, _row(each), strict=True)) for each in replay.messages],
        "summary": {"sent": replay.sent, "would_be_sent": replay.would_be_sent},
        "notes": list(replay.notes),
    }


def show_plan_alerts(alerts: PlanAlerts) -> None:
    """Print the messages that were or would be sent, after a heading."""
    from scheduler.features.delivery.backtest_text import show_report

    replay = alerts.replay
    if replay is None:
        print("alerts: no job changes its alerts, alert parents or tags")
        return
    print(escape_controls(f"alerts of {', '.join(sorted(replay.subjects))}: what was notified, and what would be"))
    if replay.report is not None:
        show_report(replay.report, UTC)
        return
    show_tabs(_FIELDS, map(_row, replay.messages))
    since = format_iso_instant(replay.since)
    print_note(f"from {since}: {replay.sent} messages were sent, {replay.would_be_sent} would be")
    for note in replay.notes:
        print_note(f"note: {note}")


def _row(message: AlertMessage) -> tuple[str, ...]:
    at = format_iso_instant(message.at)
    return at, message.job, message.rule, message.channel, message.kind, message.difference


_STYLES = {"+": "green", "~": "yellow", "-": "red"}
_MAX_VALUE = 200
"""Characters of a value in a line; JSON has all of it."""


def has_changes(plan: SetPlan) -> bool:
    """Return whether `apply` of the plan changes a job."""
    return bool(plan.added or plan.changed or plan.removed)


def show_plan(
    plan: SetPlan,
    as_json: bool,
    alerts: PlanAlerts | None = None,
    sections: Sequence[JobDifference] | None = None,
) -> None:
    """Print the changes on stdout; conflicts, denied targets, unavailable secrets and warnings on stderr.

    `alerts`: a section after the changes. `sections`: changed entries of job files that are not jobs.
    """
    if as_json:
        show_json(_plan_to_json(plan, alerts, sections))
        return
    for line in (*_plan_lines(plan), *_section_lines(sections or ())):
        _print_line(line)
    for name, reason in plan.review.denied.items():
        print_warning(f"{name}: denied target: {reason}")
    for problem in (*plan.review.secrets, *plan.review.warnings):
        print_warning(str(problem))
    for reason in plan.conflicts.values():
        print_error(f"conflict: {reason}")
    if alerts is not None:
        show_plan_alerts(alerts)
    if plan.id and not plan.is_applied and not plan.conflicts:
        print(f"plan hash: {plan.id}")


def describe_result(plan: SetPlan) -> str:
    """`the set reports was applied: 1 added, 2 changed, 0 removed, 12 unchanged`."""
    verb = "was applied" if has_changes(plan) else "is up to date"
    return f"the set {plan.owner} {verb}: {_count(plan)}"


def format_field(change: FieldChange | FieldChangeModel) -> str:
    """`check.url: "http://a" -> "http://b"`; a value that is not set is `-`."""
    return f"{change.path}: {_format_value(change.before)} -> {_format_value(change.after)}"


def _plan_to_json(plan: SetPlan, alerts: PlanAlerts | None, sections: Sequence[JobDifference] | None) -> str:
    from scheduler.features.stored_jobs.models import FieldChangeModel
    from scheduler.features.stored_jobs.sets import view_plan

    document = view_plan(plan).model_dump(mode="json")
    if sections is not None:
        document["sections"] = [
            {
                "key": section.name,
                "fields": [FieldChangeModel.from_object(change).model_dump(mode="json") for change in section.fields],
            }
            for section in sections
        ]
    if alerts is not None:
        document["alerts"] = alerts_to_document(alerts)
    return json.dumps(document, indent=2)


def _section_lines(sections: Sequence[JobDifference]) -> Iterator[str]:
    for one in sections:
        yield f"~ {one.name}"
        yield from (f"    {format_field(change)}" for change in one.fields)


def _plan_lines(plan: SetPlan) -> Iterator[str]:
    yield f"set {plan.owner}: {_count(plan)}" if plan.owner else f"job files: {_count(plan)}"
    for sign, jobs in (("+", plan.added), ("~", plan.changed), ("-", plan.removed)):
        for one in jobs:
            yield f"{sign} {one.name}{_describe_next(one)}"
            yield from (f"    {format_field(change)}" for change in one.fields)


def _count(plan: SetPlan) -> str:
    counts = (("added", plan.added), ("changed", plan.changed), ("removed", plan.removed))
    return ", ".join([*(f"{len(jobs)} {word}" for word, jobs in counts), f"{plan.unchanged} unchanged"])


def _describe_next(difference: JobDifference) -> str:
    """Return the first due instant, and that before the change if it differs."""
    before, after = _first(difference.next_before), _first(difference.next_after)
    if before == after:
        return f"  next run {after}" if after else ""
    return f"  next run {before or '-'} -> {after or '-'}" if before else f"  next run {after}"


def _first(instants: Sequence[datetime]) -> str:
    return format_iso_instant(instants[0], precise=instants[0].microsecond != 0) if instants else ""


def _format_value(value: Any) -> str:
    text = "-" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}…"


def _print_line(line: str) -> None:
    style = _STYLES.get(line[:1], "")
    if not is_terminal() or not style:
        print(escape_controls(line))
        return
    from rich.text import Text

    from scheduler.cli.output import show_text

    show_text(Text(escape_controls(line), style))
