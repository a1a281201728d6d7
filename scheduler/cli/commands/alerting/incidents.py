"""`incidents`: list incidents, show one and why it was announced or not, acknowledge, snooze and resolve it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from scheduler.cli.commands.alerting.incident_actions import (
    LISTED_BY,
    AsJson,
    IncidentId,
    acknowledge,
    add_note,
    resolve,
    snooze,
    unacknowledge,
)
from scheduler.cli.output import EXIT_FAILED, fail, print_note, show_json
from scheduler.cli.selection import TagOption

if TYPE_CHECKING:
    from jobs.incidents.values import AlertDecision, IncidentStatus
    from scheduler.app import ReadOnlyProgram
    from scheduler.queries.alerting.incidents import IncidentFilter, IncidentView

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
    from scheduler.cli.commands.alerting.showing import show_incidents
    from scheduler.cli.context import load_for_command, run_in_store
    from scheduler.cli.options import parse_interval_options
    from scheduler.cli.selection import parse_selection_options
    from scheduler.queries.alerting.incidents import IncidentFilter

    selection, opened = parse_selection_options(tags=tags), parse_interval_options(since, until)
    criteria = IncidentFilter(job, _parse_status(status), tuple(severities or ()), selection, opened)
    configuration = load_for_command("incidents list")
    try:
        views = run_in_store(configuration, lambda program: _read(program, criteria, limit))
    except UnknownJob as error:
        fail(f"--job: {error}")
    if as_json:
        from scheduler.api.models.alerting.incidents import IncidentListModel, IncidentSummary

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
    from scheduler.cli.commands.alerting.showing import show_incident_details

    details = _query("incidents show", lambda program: program.incidents.find(incident))
    if as_json:
        from scheduler.api.models.alerting.incidents import IncidentDetail

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
    from scheduler.cli.commands.alerting.showing import show_decisions

    decisions = _query("incidents decisions", lambda program: _read_decisions(program, incident))
    if as_json:
        from scheduler.api.models.alerting.history import DecisionListModel, DecisionModel

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
