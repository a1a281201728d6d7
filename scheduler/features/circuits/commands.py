"""`circuits`: list circuit breakers, force one open or closed, reset it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import format_iso_instant
from scheduler.cli.output import (
    Column,
    escape_controls,
    fail,
    is_terminal,
    print_note,
    show_json,
    show_table,
    show_tabs,
)
from scheduler.cli.selection import AllOption, DryRunOption, KindOption, SelectionOptions, StateOption, TagOption

if TYPE_CHECKING:
    from scheduler.app import Program, ReadOnlyProgram
    from scheduler.features.circuits.queries import CircuitView

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
    from scheduler.identity.principal import command_caller

    act_on_selection(
        "circuits reset",
        options,
        as_json,
        lambda actions, page: actions.reset_circuits(page, reason=reason.strip(), caller=command_caller()),
    )


def _reset_one(key: str, reason: str, as_json: bool) -> None:
    from scheduler.cli.context import run_operation
    from scheduler.identity.principal import command_caller

    view = run_operation(
        "circuits reset",
        lambda program: program.operations.circuits.reset(key, reason=reason, caller=command_caller()),
        listing_hint=LISTED_BY,
    )
    show_circuit(view, as_json)


def show_circuit(view: CircuitView, as_json: bool) -> None:
    if as_json:
        from scheduler.features.circuits.models import CircuitModel

        show_json(CircuitModel.from_view(view).model_dump_json(indent=2))
        return
    print(escape_controls(f"{view.key} is {view}"))


_PAGE = 500
_FIELDS = ("key", "state", "since", "tried_again_at", "why", "jobs")

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
    """See ABOUT."""
    if context.invoked_subcommand is not None:
        return
    from scheduler.cli.context import exit_if_incomplete, load_for_command, run_in_store

    configuration = load_for_command("circuits")
    views = run_in_store(configuration, _views)
    if as_json:
        from scheduler.features.circuits.models import CircuitList, CircuitModel

        listed = [CircuitModel.from_view(view) for view in views]
        show_json(CircuitList(circuits=listed, continuation=None).model_dump_json(indent=2))
    elif views:
        _show(views)
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
    _override("open", key, length, until, as_json, lambda program, end: _open(program, key, end, reason.strip()))


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
    _override("close", key, length, until, as_json, lambda program, end: _close(program, key, end, reason.strip()))


def _override(
    how: str,
    key: str,
    length: str | None,
    until: str | None,
    as_json: bool,
    hold: Callable[[Program, datetime | None], Awaitable[CircuitView]],
) -> None:
    from scheduler.cli.context import run_operation
    from scheduler.cli.times import parse_duration_option, parse_instant_option

    if length is not None and until is not None:
        fail("--for and --until both set the end: give one of them")
    seconds, end = parse_duration_option("--for", length), parse_instant_option("--until", until)
    if seconds == 0:
        fail("--for: expected a duration longer than 0, such as 30m or 2h")
    show_circuit(
        run_operation(
            f"circuits {how}",
            lambda program: hold(program, end if seconds is None else _end_after(program.clock.now(), seconds)),
            listing_hint=LISTED_BY,
        ),
        as_json,
    )


async def _open(program: Program, key: str, end: datetime | None, reason: str) -> CircuitView:
    from scheduler.identity.principal import command_caller

    return await program.operations.circuits.open(key, until=end, reason=reason, caller=command_caller())


async def _close(program: Program, key: str, end: datetime | None, reason: str) -> CircuitView:
    from scheduler.identity.principal import command_caller

    return await program.operations.circuits.close(key, until=end, reason=reason, caller=command_caller())


def _end_after(now: datetime, seconds: float) -> datetime:
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError:
        fail("--for: the end would be after the year 9999")


async def _views(program: ReadOnlyProgram) -> list[CircuitView]:
    views: list[CircuitView] = []
    after: str | None = ""
    while after is not None:
        page = await program.circuits.list_circuits(limit=_PAGE, after=after)
        views += page.circuits
        after = page.continuation
    return views


def _show(views: list[CircuitView]) -> None:
    if is_terminal():
        columns = (
            Column("circuit", "bold"),
            Column("state", no_wrap=False, is_optional=True),
            Column("jobs", "dim"),
        )
        show_table(columns, [(view.key, str(view), _jobs(view)) for view in views])
        return
    rows = [
        (
            view.key,
            view.state,
            _format_optional(view.since),
            _format_optional(view.retry_at),
            view.reason,
            " ".join(view.jobs),
        )
        for view in views
    ]
    show_tabs(_FIELDS, rows)


def _jobs(view: CircuitView) -> str:
    return "" if view.jobs == (view.key,) else ", ".join(view.jobs)


def _format_optional(instant: datetime | None) -> str:
    return "" if instant is None else format_iso_instant(instant)
