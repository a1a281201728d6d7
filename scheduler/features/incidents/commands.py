"""`incidents`: list incidents, show one and why it was announced or not, acknowledge, snooze and resolve it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from jobs.formats import format_iso_instant
from scheduler.cli.output import (
    EXIT_FAILED,
    Cell,
    Column,
    escape_controls,
    fail,
    is_terminal,
    print_note,
    show_json,
    show_table,
    show_tabs,
)
from scheduler.cli.selection import TagOption
from scheduler.cli.times import format_local
from scheduler.features.incidents.action_commands import (
    LISTED_BY,
    AsJson,
    IncidentId,
    acknowledge,
    add_note,
    resolve,
    snooze,
    unacknowledge,
)

if TYPE_CHECKING:
    from jobs.incidents.values import AlertDecision, Incident, IncidentStatus
    from scheduler.app import ReadOnlyProgram
    from scheduler.features.incidents.facts import MemberFacts
    from scheduler.features.incidents.queries import IncidentDetails, IncidentFilter, IncidentView

T = TypeVar("T")

ABOUT = """Incidents: what is wrong, since when, and who handles it.

\b
Examples:
  incidents list --status open
  incidents show 1795856400000-5f2c1d9b
  incidents acknowledge 1795856400000-5f2c1d9b --note "restarting the database"
  incidents snooze 1795856400000-5f2c1d9b --for 2h"""

incidents = typer.Typer(help=ABOUT, no_args_is_help=True)
incidents.command("acknowledge")(acknowledge)
incidents.command("snooze")(snooze)
incidents.command("unacknowledge")(unacknowledge)
incidents.command("note")(add_note)
incidents.command("resolve")(resolve)

_PAGE = 200

StatusOption = Annotated[str | None, typer.Option("--status", help="Only incidents that are: open, resolved.")]
SeverityOption = Annotated[
    list[str] | None, typer.Option("--severity", help="Only this severity, such as down. Repeatable.")
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", metavar="WHEN", help="Only opened at this time or later: ISO 8601, UTC by default; or 24h."),
]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="WHEN", help="Only opened at this time or earlier, in the same form.")
]


@incidents.command("list")
def list_incidents(
    status: StatusOption = None,
    severities: SeverityOption = None,
    job: Annotated[str | None, typer.Option("--job", help="Only incidents about this job or group.")] = None,
    tags: TagOption = None,
    since: FromOption = None,
    until: ToOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Maximum number of results.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/incidents.")] = False,
) -> None:
    """List incidents, newest first.

    \b
    Examples:
      incidents list --status open --severity down
      incidents list --job checkout-api --from 7d
    """
    from scheduler.catalog.catalog import UnknownJob
    from scheduler.cli.context import load_for_command, run_in_store
    from scheduler.cli.selection import parse_selection_options
    from scheduler.cli.times import parse_interval_options
    from scheduler.features.incidents.queries import IncidentFilter

    selection, opened = parse_selection_options(tags=tags), parse_interval_options(since, until)
    criteria = IncidentFilter(job, _parse_status(status), tuple(severities or ()), selection, opened)
    configuration = load_for_command("incidents list")
    try:
        views = run_in_store(configuration, lambda program: _read(program, criteria, limit))
    except UnknownJob as error:
        fail(f"--job: {error}")
    if as_json:
        from scheduler.features.incidents.models import IncidentListModel, IncidentSummary

        listed = [IncidentSummary.from_view(view) for view in views]
        show_json(IncidentListModel(incidents=listed, continuation=None).model_dump_json(indent=2))
        return
    if not views:
        print_note("there are no incidents" if criteria == IncidentFilter() else "no incident matches")
    show_incidents(views)


@incidents.command("show")
def show_incident(incident: IncidentId, as_json: AsJson = False) -> None:
    """Show an incident: its alerts, its history, the channels that were notified, and what holds back notifications.

    \b
    Examples:
      incidents show 1795856400000-5f2c1d9b
    """

    details = _query("incidents show", lambda program: program.incidents.find(incident))
    if as_json:
        from scheduler.features.incidents.models import IncidentDetail

        show_json(IncidentDetail.from_details(details).model_dump_json(indent=2))
        return
    show_incident_details(details)


@incidents.command("decisions")
def list_decisions(incident: IncidentId, as_json: AsJson = False) -> None:
    """List why notifications of an incident were sent or not, oldest first.

    \b
    Examples:
      incidents decisions 1795856400000-5f2c1d9b
    """

    decisions = _query("incidents decisions", lambda program: _read_decisions(program, incident))
    if as_json:
        from scheduler.features.incidents.models import DecisionListModel, DecisionModel

        listed = [DecisionModel.from_decision(each) for each in decisions]
        show_json(DecisionListModel(decisions=listed, continuation=None).model_dump_json(indent=2))
        return
    show_decisions(decisions)


def _parse_status(text: str | None) -> IncidentStatus | None:
    from jobs.incidents.values import IncidentStatus

    if text is None:
        return None
    try:
        return IncidentStatus(text)
    except ValueError:
        fail(f"--status: expected open or resolved, got {text!r}")


def _query(command: str, work: Callable[[ReadOnlyProgram], Awaitable[T]]) -> T:
    """Return what the work reads. An unknown incident ends the command with 1."""
    from scheduler.cli.context import load_for_command, run_in_store
    from scheduler.errors import NotFound

    try:
        return run_in_store(load_for_command(command), work)
    except NotFound as error:
        fail(f"{error}; {LISTED_BY}", EXIT_FAILED)


async def _read(program: ReadOnlyProgram, criteria: IncidentFilter, limit: int) -> list[IncidentView]:
    views: list[IncidentView] = []
    after: str | None = ""
    while after is not None and len(views) < limit:
        page = await program.incidents.list_incidents(criteria, limit=min(_PAGE, limit - len(views)), after=after)
        views += page.views
        after = page.continuation
    return views


async def _read_decisions(program: ReadOnlyProgram, incident: str) -> list[AlertDecision]:
    page = await program.incidents.list_decisions(incident, limit=_PAGE)
    found = list(page.entries)
    while page.continuation:
        page = await program.incidents.list_decisions(incident, limit=_PAGE, after=page.continuation)
        found += page.entries
    return found


_STYLES = {"open": "bold red", "resolved": "green"}
_SEVERITY_STYLES = {"down": "bold red", "degraded": "yellow", "blind": "magenta", "info": "dim"}
_FIELDS = ("id", "status", "severity", "subject", "rule", "since", "resolved", "alerts", "handling", "evidence")
_DECISION_FIELDS = ("at", "code", "subject", "text")


def show_incidents(views: Sequence[IncidentView]) -> None:
    if not is_terminal():
        show_tabs(_FIELDS, map(_fields, views))
    elif views:
        columns = (
            Column("id", "bold"),
            Column("status"),
            Column("severity"),
            Column("subject"),
            Column("since"),
            Column("alerts", align_right=True, is_optional=True),
            Column("what", no_wrap=False, min_width=24),
            Column("handling", no_wrap=False, min_width=16, is_optional=True),
        )
        show_table(columns, map(_cells, views))


def show_incident_details(details: IncidentDetails) -> None:
    """Key and value a line, then the alerts and the history."""
    from jobs.incidents.headline import sort_members
    from scheduler.features.incidents.facts import NO_FACTS

    incident = details.view.incident
    for name, value in _describe(details.view, details.facts.get(incident.leading.key, NO_FACTS)):
        if value:
            print(f"{name}: {escape_controls(value)}")
    if len(incident.members) > 1:
        print("alerts:")
        for member in sort_members(incident):
            behind = f" (behind {member.parent})" if member.parent else ""
            end = "" if member.resolved_at is None else f", recovered {format_iso_instant(member.resolved_at)}"
            since = format_iso_instant(member.failing_since)
            print(
                escape_controls(
                    f"  {member.key.subject} {member.key.rule} since {since}{end}{behind}: {member.evidence}"
                )
            )
            for name, value in _describe_facts(details.facts[member.key]):
                if value and member.key != incident.leading.key:
                    print(escape_controls(f"    {name}: {value}"))
    print("history:")
    for each in details.transitions:
        print(escape_controls(f"  {format_iso_instant(each.at)} {each.kind.replace('_', ' ')}: {each.text}"))
    if details.continuation:
        print_note(f"the first {len(details.transitions)} entries; GET {_path(incident)}/transitions has all")


def show_decisions(decisions: Sequence[AlertDecision]) -> None:
    rows = [
        (format_iso_instant(each.at), each.code, each.key.subject if each.key else "", each.text) for each in decisions
    ]
    if not is_terminal():
        show_tabs(_DECISION_FIELDS, rows)
        return
    columns = (
        Column("at"),
        Column("decision", "bold"),
        Column("subject", is_optional=True),
        Column("why", no_wrap=False, min_width=24),
    )
    show_table(columns, rows)


def _describe(view: IncidentView, facts: MemberFacts) -> list[tuple[str, str]]:
    from jobs.incidents.headline import count_by_severity, find_keeping_open

    incident = view.incident
    last = find_keeping_open(incident)
    resolved_by = f" by {incident.resolved_by}" if incident.resolved_by else ""
    end = "" if incident.resolved_at is None else f"{format_iso_instant(incident.resolved_at)}{resolved_by}"
    channels = ", ".join(dict.fromkeys(each.channel for each in incident.announced))
    return [
        ("id", incident.id),
        ("status", incident.status.value),
        ("severity", incident.severity),
        ("subject", incident.leading.key.subject),
        ("rule", incident.leading.key.rule),
        ("what", incident.leading.evidence),
        *_describe_facts(facts),
        ("open because of", "" if last is None else f"only the rule {last.key.rule} of {last.key.subject}"),
        ("affected", count_by_severity(incident)),
        ("cause", incident.cause),
        ("failing since", format_iso_instant(incident.failing_since)),
        ("opened", format_iso_instant(incident.opened_at)),
        ("reopened", "" if incident.reopened_at is None else format_iso_instant(incident.reopened_at)),
        ("resolved", end),
        ("notified", channels or "no channel"),
        ("notifications", view.suppression),
        ("handling", view.handling),
        ("flapping since", "" if incident.flapping_since is None else format_iso_instant(incident.flapping_since)),
    ]


def _describe_facts(facts: MemberFacts) -> list[tuple[str, str]]:
    return [
        ("target", facts.target),
        ("description", facts.description),
        ("expected", facts.expected),
        ("observed", facts.observed),
        ("the target answered", f'"{facts.answer}"' if facts.answer else ""),
    ]


def _cells(view: IncidentView) -> tuple[Cell, ...]:
    incident = view.incident
    status = incident.status.value
    return (
        incident.id,
        (status, _STYLES[status]),
        (incident.severity, _SEVERITY_STYLES.get(incident.severity, "")),
        incident.leading.key.subject,
        format_local(incident.failing_since),
        str(len(incident.members)),
        incident.leading.evidence,
        view.handling or view.suppression,
    )


def _fields(view: IncidentView) -> tuple[str, ...]:
    incident = view.incident
    return (
        incident.id,
        incident.status.value,
        incident.severity,
        incident.leading.key.subject,
        incident.leading.key.rule,
        format_iso_instant(incident.failing_since),
        "" if incident.resolved_at is None else format_iso_instant(incident.resolved_at),
        str(len(incident.members)),
        view.handling or view.suppression,
        incident.leading.evidence,
    )


def _path(incident: Incident) -> str:
    return f"/api/incidents/{incident.id}"
