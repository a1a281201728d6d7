"""`circuits reset`: reset a circuit, or those of all jobs that match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import escape_controls, show_json
from scheduler.cli.selection import (
    AllOption,
    DryRunOption,
    KindOption,
    SelectionOptions,
    StateOption,
    TagOption,
)

if TYPE_CHECKING:
    from scheduler.queries.circuits import CircuitView

LISTED_BY = "`circuits` lists all circuits"

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
        _reset_one(options.single_name, reason.strip(), as_json)
        return
    from scheduler.cli.selection import act_on_selection
    from scheduler.identity.command_caller import command_caller
    from scheduler.cli.selection.acting import act_on_selection
    from scheduler.identity.principal import command_caller

    act_on_selection(
        "circuits reset",
        options,
        as_json,
        lambda actions, page: actions.reset_circuits(page, reason=reason.strip(), caller=command_caller()),
    )


def _reset_one(key: str, reason: str, as_json: bool) -> None:
    from scheduler.cli.context import run_operation
    from scheduler.identity.command_caller import command_caller
    from scheduler.cli.mutations import run_operation
    from scheduler.identity.principal import command_caller

    view = run_operation(
        "circuits reset",
        lambda program: program.operations.circuits.reset(key, reason=reason, caller=command_caller()),
        listing_hint=LISTED_BY,
    )
    show_circuit(view, as_json)


def show_circuit(view: CircuitView, as_json: bool) -> None:
    if as_json:
        from scheduler.api.models.circuits import CircuitModel

        show_json(CircuitModel.from_view(view).model_dump_json(indent=2))
        return
    print(escape_controls(f"{view.key} is {view}"))
