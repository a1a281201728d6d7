"""`incidents acknowledge`, `snooze`, `unacknowledge`, `note` and `resolve`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import escape_controls, show_json
from scheduler.cli.times import ForOption, UntilOption, parse_end_options

if TYPE_CHECKING:
    from scheduler.features.incidents.queries import IncidentView
    from scheduler.features.incidents.service import IncidentManager
    from scheduler.identity.principal import Caller

LISTED_BY = "`incidents list` lists all"

IncidentId = Annotated[str, typer.Argument(metavar="ID", help="Id of the incident; `incidents list` lists all.")]
NoteOption = Annotated[str, typer.Option("--note", help="A text for the others, also sent to the channels.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")]


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


def _change(command: str, act: Callable[[IncidentManager, Caller], Awaitable[IncidentView]], as_json: bool) -> None:
    from scheduler.cli.context import run_operation
    from scheduler.identity.principal import command_caller

    caller = command_caller()
    view = run_operation(command, lambda program: act(program.operations.incidents, caller), listing_hint=LISTED_BY)
    if as_json:
        from scheduler.features.incidents.models import IncidentSummary

        show_json(IncidentSummary.from_view(view).model_dump_json(indent=2))
        return
    incident = view.incident
    state = (view.handling if incident.is_open else "") or incident.status.value
    print(escape_controls(f"incident {incident.id} about {incident.leading.key.subject}: {state}"))
