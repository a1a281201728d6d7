"""`circuits`: list circuit breakers, force one open or closed, reset it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import format_iso_instant
from scheduler.cli.listing import Field, act, read_all, show_list, show_model
from scheduler.cli.output import (
    Column,
    escape_controls,
    fail,
    print_note,
)
from scheduler.cli.selection import AllOption, DryRunOption, KindOption, SelectionOptions, StateOption, TagOption

if TYPE_CHECKING:
    from scheduler.app import Program
    from scheduler.features.circuits.models import CircuitModel
    from scheduler.features.circuits.service import CircuitControl
    from scheduler.identity.principal import Caller

_LISTED_BY = "`circuits` lists all circuits"

ReasonOption = Annotated[
    str, typer.Option("--reason", help="Reason, shown with the circuit and with each run that it rejects.")
]


def reset_circuit(
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY]...", help="group:NAME, or job names: * is any text.")
    ] = None,
    tags: TagOption = None,
    kinds: KindOption = None,
    states: StateOption = None,
    every: AllOption = False,
    dry_run: DryRunOption = False,
    reason: ReasonOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")] = False,
) -> None:
    """Close the circuit of a job or a group, or of all jobs that match; end a forced state, and clear the counts.

    \b
    Examples:
      circuits reset checkout-api
      circuits reset --tag team=payments
    """
    options = SelectionOptions.from_arguments(keys, tags, kinds, states, every, dry_run)
    if options.single_name is not None:
        key = options.single_name
        reset = act(
            "circuits reset",
            lambda operations, caller: operations.circuits.reset(key, reason=reason.strip(), caller=caller),
            listing_hint=_LISTED_BY,
        )
        _show_circuit(reset, as_json)
        return
    from scheduler.cli.selection import act_on_selection
    from scheduler.identity.principal import command_caller

    act_on_selection(
        "circuits reset",
        options,
        as_json,
        lambda actions, page: actions.reset_circuits(page, reason=reason.strip(), caller=command_caller()),
    )


def _show_circuit(circuit: CircuitModel, as_json: bool) -> None:
    if as_json:
        show_model(circuit)
    else:
        print(escape_controls(f"{circuit.key} is {circuit.summary}"))


def _format_optional(instant: datetime | None) -> str:
    return "" if instant is None else format_iso_instant(instant)


_FIELDS: tuple[Field[CircuitModel], ...] = (
    Field("key", lambda circuit: circuit.key, Column("circuit", "bold")),
    Field(
        "state",
        lambda circuit: circuit.state,
        Column("state", no_wrap=False, is_optional=True),
        lambda circuit: circuit.summary,
    ),
    Field("since", lambda circuit: _format_optional(circuit.since)),
    Field("tried_again_at", lambda circuit: _format_optional(circuit.retry_at)),
    Field("why", lambda circuit: circuit.reason),
    Field(
        "jobs",
        lambda circuit: " ".join(circuit.jobs),
        Column("jobs", "dim"),
        lambda circuit: "" if circuit.jobs == [circuit.key] else ", ".join(circuit.jobs),
    ),
)
_PAGE = 500

ABOUT = """Circuit breakers of jobs: state, time and reason of the last change, and time of the next probe.

\b
Examples:
  circuits
  circuits open checkout-api --for 1h --reason "deployment"
  circuits reset group:payments"""

circuits = typer.Typer(help=ABOUT)
circuits.command("reset")(reset_circuit)

CircuitKey = Annotated[
    str, typer.Argument(metavar="KEY", help="Job name, or group:NAME; `circuits` lists all circuits.")
]
ForOption = Annotated[str | None, typer.Option("--for", metavar="DURATION", help="Duration, such as 30m or 2h.")]
UntilOption = Annotated[str | None, typer.Option("--until", metavar="ISO", help="End; UTC unless it has an offset.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/circuits.")]


@circuits.callback(invoke_without_command=True)
def list_circuits(context: typer.Context, as_json: AsJson = False) -> None:
    """List all circuits without a command of the group. ABOUT is the help."""
    if context.invoked_subcommand is not None:
        return
    from scheduler.cli.context import exit_if_incomplete, load_for_command, run_in_store

    configuration = load_for_command("circuits")
    listed = run_in_store(
        configuration,
        lambda program: read_all(lambda after: program.circuits.list_circuits(limit=_PAGE, after=after)),
    )
    if listed.items or as_json:
        show_list(listed, _FIELDS, as_json=as_json, empty="")
    else:
        print_note("no job has a circuit")
    exit_if_incomplete(configuration)


@circuits.command("open")
def open_circuit(
    key: CircuitKey,
    length: ForOption = None,
    until: UntilOption = None,
    reason: ReasonOption = "",
    as_json: AsJson = False,
) -> None:
    """Force the circuit open: reject all runs of its jobs, for a time or until it is reset.

    A rejected run counts as down.

    \b
    Examples:
      circuits open checkout-api --for 1h --reason "deployment"
    """
    _override(
        "open",
        length,
        until,
        as_json,
        lambda control, end, caller: control.open(key, until=end, reason=reason.strip(), caller=caller),
    )


@circuits.command("close")
def close_circuit(
    key: CircuitKey,
    length: ForOption = None,
    until: UntilOption = None,
    reason: ReasonOption = "",
    as_json: AsJson = False,
) -> None:
    """Force the circuit closed: admit all runs of its jobs, for a time or until it is reset.

    The circuit does not count failures during this time.

    \b
    Examples:
      circuits close checkout-api --for 10m
    """
    _override(
        "close",
        length,
        until,
        as_json,
        lambda control, end, caller: control.close(key, until=end, reason=reason.strip(), caller=caller),
    )


def _override(
    how: str,
    length: str | None,
    until: str | None,
    as_json: bool,
    hold: Callable[[CircuitControl, datetime | None, Caller], Awaitable[CircuitModel]],
) -> None:
    from scheduler.cli.context import run_operation
    from scheduler.cli.times import end_after, parse_duration_option, parse_instant_option
    from scheduler.identity.principal import command_caller

    if length is not None and until is not None:
        fail("--for and --until both set the end: give one of them")
    seconds, given_end = parse_duration_option("--for", length), parse_instant_option("--until", until)
    if seconds == 0:
        fail("--for: expected a duration longer than 0, such as 30m or 2h")
    end = given_end if seconds is None else end_after(seconds)

    async def work(program: Program) -> CircuitModel:
        return await hold(program.operations.circuits, end, command_caller())

    _show_circuit(run_operation(f"circuits {how}", work, listing_hint=_LISTED_BY), as_json)
