"""`incidents`: list incidents, show one and why it was announced or not, acknowledge, snooze and resolve it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from jobs.formats import format_iso_instant
from scheduler.cli.listing import PAGE_SIZE, Field, act, read_all, read_newest, show_list, show_model
from scheduler.cli.output import (
    EXIT_FAILED,
    Column,
    escape_controls,
    fail,
    print_note,
)
from scheduler.cli.selection import TagOption
from scheduler.cli.times import ForOption, UntilOption, format_local, parse_end_options

if TYPE_CHECKING:
    from jobs.incidents.values import IncidentStatus
    from scheduler.app import ReadOnlyProgram
    from scheduler.features.incidents.models import (
        DecisionModel,
        IncidentDetail,
        IncidentMemberModel,
        IncidentSummary,
    )
    from scheduler.features.incidents.service import IncidentManager
    from scheduler.identity.principal import Caller

T = TypeVar("T")

ABOUT = """Incidents: what is wrong, since when, and who handles it.

\b
Examples:
  incidents list --status open
  incidents show 1795856400000-5f2c1d9b
  incidents acknowledge 1795856400000-5f2c1d9b --note "restarting the database"
  incidents snooze 1795856400000-5f2c1d9b --for 2h"""

incidents = typer.Typer(help=ABOUT, no_args_is_help=True)

_LISTED_BY = "`incidents list` lists all"

IncidentId = Annotated[str, typer.Argument(metavar="ID", help="Id of the incident; `incidents list` lists all.")]
NoteOption = Annotated[str, typer.Option("--note", help="A text for the others, also sent to the channels.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")]


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


@incidents.command("acknowledge")
def acknowledge(incident: IncidentId, note: NoteOption = "", as_json: AsJson = False) -> None:
    """Hold back reminders and escalations until the incident is resolved. Its channels are notified.

    \b
    Examples:
      incidents acknowledge 1795856400000-5f2c1d9b --note "restarting the database"
    """
    _change(
        "incidents acknowledge",
        lambda manager, caller: manager.acknowledge(incident, note=note.strip(), caller=caller),
        as_json,
    )


@incidents.command("snooze")
def snooze(
    incident: IncidentId,
    length: ForOption = None,
    until: UntilOption = None,
    note: NoteOption = "",
    as_json: AsJson = False,
) -> None:
    """Hold back reminders and escalations for a time, at most 30 days.

    \b
    Examples:
      incidents snooze 1795856400000-5f2c1d9b --for 2h
    """
    seconds, end = parse_end_options(length, until)
    _change(
        "incidents snooze",
        lambda manager, caller: manager.snooze(incident, until=end, seconds=seconds, note=note.strip(), caller=caller),
        as_json,
    )


@incidents.command("unacknowledge")
def unacknowledge(incident: IncidentId, note: NoteOption = "", as_json: AsJson = False) -> None:
    """Withdraw the acknowledgement or the snooze of an incident. Reminders and escalations that are due are sent.

    \b
    Examples:
      incidents unacknowledge 1795856400000-5f2c1d9b --note "the repair did not help"
    """
    _change(
        "incidents unacknowledge",
        lambda manager, caller: manager.unacknowledge(incident, note=note.strip(), caller=caller),
        as_json,
    )


@incidents.command("note")
def add_note(
    incident: IncidentId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the others should know.")],
    as_json: AsJson = False,
) -> None:
    """Add a text to the history of an incident. Its channels receive it.

    \b
    Examples:
      incidents note 1795856400000-5f2c1d9b "the provider confirms an outage"
    """
    _change("incidents note", lambda manager, caller: manager.add_note(incident, text, caller=caller), as_json)


@incidents.command("resolve")
def resolve(incident: IncidentId, note: NoteOption = "", as_json: AsJson = False) -> None:
    """Resolve an incident although its alerts fire. Each of them opens an incident only when it fires anew.

    \b
    Examples:
      incidents resolve 1795856400000-5f2c1d9b --note "the check was wrong"
    """
    _change(
        "incidents resolve",
        lambda manager, caller: manager.resolve(incident, note=note.strip(), caller=caller),
        as_json,
    )


def _change(command: str, work: Callable[[IncidentManager, Caller], Awaitable[IncidentSummary]], as_json: bool) -> None:
    changed = act(command, lambda operations, caller: work(operations.incidents, caller), listing_hint=_LISTED_BY)
    if as_json:
        show_model(changed)
        return
    state = (changed.handling if changed.status == "open" else "") or changed.status
    print(escape_controls(f"incident {changed.id} about {changed.subject}: {state}"))


_SEVERITY_STYLES = {"down": "bold red", "degraded": "yellow", "blind": "magenta", "info": "dim"}

_FIELDS: tuple[Field[IncidentSummary], ...] = (
    Field("id", lambda incident: incident.id, Column("id", "bold")),
    Field(
        "status",
        lambda incident: incident.status,
        Column("status"),
        lambda incident: (incident.status, {"open": "bold red", "resolved": "green"}[incident.status]),
    ),
    Field(
        "severity",
        lambda incident: incident.severity,
        Column("severity"),
        lambda incident: (incident.severity, _SEVERITY_STYLES.get(incident.severity, "")),
    ),
    Field("subject", lambda incident: incident.subject, Column("subject")),
    Field("rule", lambda incident: incident.rule),
    Field(
        "since",
        lambda incident: format_iso_instant(incident.failing_since),
        Column("since"),
        lambda incident: format_local(incident.failing_since),
    ),
    Field("resolved", lambda incident: _format(incident.resolved_at)),
    Field("alerts", lambda incident: str(incident.member_count), Column("alerts", align_right=True, is_optional=True)),
    Field("", lambda incident: incident.evidence, Column("what", no_wrap=False, min_width=24)),
    Field(
        "handling",
        lambda incident: incident.handling or incident.suppression,
        Column("handling", no_wrap=False, min_width=16, is_optional=True),
    ),
    Field("evidence", lambda incident: incident.evidence),
)


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
        listed = run_in_store(
            configuration,
            lambda program: read_newest(
                lambda after, size: program.incidents.list_summaries(criteria, limit=size, after=after), limit
            ),
        )
    except UnknownJob as error:
        fail(f"--job: {error}")
    empty = "there are no incidents" if criteria == IncidentFilter() else "no incident matches"
    show_list(listed, _FIELDS, as_json=as_json, empty=empty)


@incidents.command("show")
def show_incident(incident: IncidentId, as_json: AsJson = False) -> None:
    """Show an incident: its alerts, its history, the channels that were notified, and what holds back notifications.

    \b
    Examples:
      incidents show 1795856400000-5f2c1d9b
    """
    detail = _query("incidents show", lambda program: program.incidents.find(incident))
    if as_json:
        show_model(detail)
    else:
        _show_detail(detail)


_DECISION_FIELDS: tuple[Field[DecisionModel], ...] = (
    Field("at", lambda decision: format_iso_instant(decision.at), Column("at")),
    Field("code", lambda decision: decision.code, Column("decision", "bold")),
    Field("subject", lambda decision: decision.subject or "", Column("subject", is_optional=True)),
    Field("text", lambda decision: decision.text, Column("why", no_wrap=False, min_width=24)),
)


@incidents.command("decisions")
def list_decisions(incident: IncidentId, as_json: AsJson = False) -> None:
    """List why notifications of an incident were sent or not, oldest first.

    \b
    Examples:
      incidents decisions 1795856400000-5f2c1d9b
    """
    decisions = _query(
        "incidents decisions",
        lambda program: read_all(
            lambda after: program.incidents.list_decisions(incident, limit=PAGE_SIZE, after=after)
        ),
    )
    show_list(decisions, _DECISION_FIELDS, as_json=as_json, empty="", header=True)


@incidents.command("bundle")
def write_bundle(
    incident: IncidentId,
    format: Annotated[str, typer.Option("--format", help="markdown or json.")] = "markdown",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", dir_okay=False, help="Write this file instead.")
    ] = None,
) -> None:
    """Write an incident to hand over, in at most 40,000 bytes: answer, cause, changes, then the evidence.

    Texts of targets and of people are marked: as code in Markdown, as fields target_* and person_* in JSON.

    \b
    Examples:
      incidents bundle 1795856400000-5f2c1d9b
      incidents bundle 1795856400000-5f2c1d9b --format json --out incident.json
    """
    from scheduler.features.incidents.bundle_markdown import render_markdown
    from scheduler.identity.principal import LOCAL_PRINCIPAL

    if format not in ("markdown", "json"):
        fail(f"--format: expected markdown or json, got {format!r}")
    bundle = _query("incidents bundle", lambda program: program.incident_reports.read_bundle(LOCAL_PRINCIPAL, incident))
    text = render_markdown(bundle) if format == "markdown" else bundle.model_dump_json() + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"--out: could not write {str(out)!r}: {error.strerror}; name a file that can be written", EXIT_FAILED)
    print_note(f"wrote {out}")


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
        fail(f"{error}; {_LISTED_BY}", EXIT_FAILED)


def _show_detail(detail: IncidentDetail) -> None:
    """Print key and value a line, then the alerts and the history."""
    leading = next(
        member for member in detail.members if (member.subject, member.rule) == (detail.subject, detail.rule)
    )
    for name, value in _describe(detail, leading):
        if value:
            print(f"{name}: {escape_controls(value)}")
    if len(detail.members) > 1:
        print("alerts:")
        for member in detail.members:
            behind = f" (behind {member.parent})" if member.parent else ""
            end = "" if member.resolved_at is None else f", recovered {format_iso_instant(member.resolved_at)}"
            since = format_iso_instant(member.failing_since)
            print(escape_controls(f"  {member.subject} {member.rule} since {since}{end}{behind}: {member.evidence}"))
            for name, value in _describe_target(member):
                if value and (member.subject, member.rule) != (leading.subject, leading.rule):
                    print(escape_controls(f"    {name}: {value}"))
    if detail.member_count > len(detail.members):
        print_note(f"the worst {len(detail.members)} of {detail.member_count} alerts; GET {detail.url}/members has all")
    print("history:")
    for entry in detail.transitions:
        print(escape_controls(f"  {format_iso_instant(entry.at)} {entry.kind.replace('_', ' ')}: {entry.text}"))
    if detail.transitions_continuation:
        print_note(f"the first {len(detail.transitions)} entries; GET {detail.url}/transitions has all")


def _describe(detail: IncidentDetail, leading: IncidentMemberModel) -> list[tuple[str, str]]:
    resolved_by = f" by {detail.resolved_by}" if detail.resolved_by else ""
    return [
        ("id", detail.id),
        ("status", detail.status),
        ("severity", detail.severity),
        ("subject", detail.subject),
        ("rule", detail.rule),
        ("what", detail.evidence),
        *_describe_target(leading),
        ("open because of", detail.open_because_of),
        ("affected", detail.affected),
        ("cause", detail.cause),
        *(("shared", each.text) for each in detail.shared),
        *(("azure", text) for text in detail.azure),
        ("failing since", format_iso_instant(detail.failing_since)),
        ("opened", format_iso_instant(detail.opened_at)),
        ("reopened", _format(detail.reopened_at)),
        ("resolved", "" if detail.resolved_at is None else f"{_format(detail.resolved_at)}{resolved_by}"),
        ("notified", ", ".join(detail.announced) or "no channel"),
        ("notifications", detail.suppression),
        ("handling", detail.handling),
        ("flapping since", _format(detail.flapping_since)),
    ]


def _describe_target(member: IncidentMemberModel) -> list[tuple[str, str]]:
    return [
        ("target", member.target),
        ("description", member.description),
        ("expected", member.expected),
        ("observed", member.observed),
        ("the target answered", f'"{member.answer}"' if member.answer else ""),
    ]


def _format(instant: datetime | None) -> str:
    return "" if instant is None else format_iso_instant(instant)
