"""`windows`: list, start and end maintenance windows."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.formats import format_count, format_iso_instant
from scheduler.cli.output import (
    Column,
    escape_controls,
    is_terminal,
    print_note,
    print_warning,
    show_json,
    show_table,
    show_tabs,
)
from scheduler.cli.times import ForOption, UntilOption, parse_end_options
from scheduler.features.suppressions.silence_commands import (
    STATE_STYLES,
    SelectOption,
    describe_selector,
    parse_select_options,
)

if TYPE_CHECKING:
    from jobs.incidents.suppression.windows import MaintenanceWindow, RequestedWindow
    from scheduler.app import Program, ReadOnlyProgram
    from scheduler.features.suppressions.queries import DefinedWindowView, SuppressionView

ABOUT = """Maintenance windows: times at which jobs do not notify, or do not run.

\b
Examples:
  windows start --for 30m --select tag=team=payments --reason "release 42" --change CHG0042
  windows end CHG0042-5f2c1d9b"""

windows = typer.Typer(help=ABOUT, no_args_is_help=True)

_PAGE = 200
_LISTED_BY = "`windows list` lists all"
_FIELDS = ("id", "name", "state", "effect", "begins_at", "ends_at", "select", "reason", "change_id", "origin")

WindowId = Annotated[str, typer.Argument(metavar="ID", help="Id or name of the window; `windows list` lists all.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")]


@windows.command("list")
def list_windows(
    ended: Annotated[bool, typer.Option("--ended", help="Only windows that ended more than some minutes ago.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/windows.")] = False,
) -> None:
    """List maintenance windows: those of job files, then those that users and pipelines have started.

    \b
    Examples:
      windows list
    """
    from scheduler.cli.context import load_for_command, run_in_store

    defined, requested = run_in_store(load_for_command("windows list"), lambda program: _read(program, ended))
    if as_json:
        from scheduler.features.suppressions.models import WindowListModel, WindowModel

        listed = [*map(WindowModel.from_defined, defined), *map(WindowModel.from_view, requested)]
        show_json(WindowListModel(windows=listed, continuation=None).model_dump_json(indent=2))
        return
    if not defined and not requested:
        print_note("there are no maintenance windows" if not ended else "no maintenance window has ended")
    _show(defined, requested)


@windows.command("start")
def start_window(
    select: SelectOption = None,
    length: ForOption = None,
    until: UntilOption = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="ISO", help="Start, now by default; UTC unless it has an offset.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Reason, shown with each alert that is held back.")] = "",
    change: Annotated[str, typer.Option("--change", help="Id of the change record, such as CHG0042.")] = "",
    name: Annotated[str | None, typer.Option("--name", help="Name; by default the change with a unique end.")] = None,
    pause: Annotated[
        bool, typer.Option("--pause", help="Jobs do not run; otherwise they run and do not notify.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start a maintenance window, which ends by itself. Print its id, its name and when it ends.

    \b
    Examples:
      windows start --for 30m --select tag=team=payments --reason "release 42" --change CHG0042
      windows start --from 2026-12-01T22:00:00Z --for 4h --select all --pause --name migration
    """
    from scheduler.cli.context import run_operation
    from scheduler.cli.times import parse_instant_option

    _, end = parse_end_options(length, until)
    begin = parse_instant_option("--from", start)
    given = {
        "name": name,
        "select": parse_select_options(select),
        "for": length,
        "until": None if end is None else format_iso_instant(end, precise=True),
        "from": None if begin is None else format_iso_instant(begin, precise=True),
        "effect": "pause" if pause else None,
        "reason": reason.strip() or None,
        "change_id": change.strip() or None,
    }
    definition = {key: value for key, value in given.items() if value is not None}
    view, jobs = run_operation("windows start", lambda program: _start(program, definition))
    _show_started(view, jobs, as_json)


@windows.command("end")
def end_window(window: WindowId) -> None:
    """End a maintenance window now. One that recurs does not begin again.

    \b
    Examples:
      windows end CHG0042-5f2c1d9b
    """
    from scheduler.cli.context import run_operation
    from scheduler.identity.principal import command_caller

    ended = run_operation(
        "windows end",
        lambda program: program.operations.windows.end(window, command_caller()),
        listing_hint=_LISTED_BY,
    )
    print(escape_controls(f"window {ended.id} {ended.name} has ended"))


@windows.command("delete")
def delete_window(window: WindowId) -> None:
    """Delete a maintenance window that has not started. Others are part of the history: end them.

    \b
    Examples:
      windows delete migration
    """
    from scheduler.cli.context import run_operation
    from scheduler.identity.principal import command_caller

    run_operation(
        "windows delete",
        lambda program: program.operations.windows.delete(window, command_caller()),
        listing_hint=_LISTED_BY,
    )
    print(escape_controls(f"window {window} is deleted"))


def _show_started(view: SuppressionView[RequestedWindow], jobs: tuple[str, ...], as_json: bool) -> None:
    if not jobs:
        print_warning("the window selects no job: check --select")
    if as_json:
        from scheduler.features.suppressions.models import CreatedWindowModel

        show_json(CreatedWindowModel.from_created(view, jobs).model_dump_json(indent=2))
        return
    since = f"from {_format(view.begins_at)} " if view.state.value == "pending" else ""
    count = format_count(len(jobs), "job")
    print(f"window {view.value.id} {view.value.name} {since}until {_format(view.ends_at)}, {count}")


async def _start(
    program: Program, definition: dict[str, Any]
) -> tuple[SuppressionView[RequestedWindow], tuple[str, ...]]:
    from scheduler.features.suppressions.queries import view_suppression
    from scheduler.identity.principal import command_caller

    created = await program.operations.windows.create(definition, command_caller())
    return view_suppression(created.stored, program.clock.now()), created.jobs


async def _read(
    program: ReadOnlyProgram, ended: bool
) -> tuple[tuple[DefinedWindowView, ...], list[SuppressionView[RequestedWindow]]]:
    from scheduler.identity.principal import LOCAL_PRINCIPAL

    views: list[SuppressionView[RequestedWindow]] = []
    after: str | None = ""
    while after is not None:
        page = await program.suppressions.list_windows(LOCAL_PRINCIPAL, ended=ended, limit=_PAGE, after=after)
        views += page.found
        after = page.continuation
    return () if ended else program.suppressions.list_defined_windows(), views


def _show(defined: tuple[DefinedWindowView, ...], requested: list[SuppressionView[RequestedWindow]]) -> None:
    rows = [("", *_describe(view, view.window), view.origin) for view in defined]
    rows += [(view.value.id, *_describe(view, view.value.window), "") for view in requested]
    if not is_terminal():
        show_tabs(_FIELDS, rows)
        return
    columns = (
        Column("name", "bold"),
        Column("state"),
        Column("effect"),
        Column("begins", is_optional=True),
        Column("ends"),
        Column("selects", no_wrap=False, min_width=16),
        Column("reason", no_wrap=False, min_width=16, is_optional=True),
        Column("id or file", is_optional=True),
    )
    if rows:
        show_table(
            columns,
            [
                (
                    name,
                    (state, STATE_STYLES[state]),
                    effect,
                    begin,
                    end,
                    select,
                    " ".join(filter(None, why)),
                    id_ or place,
                )
                for id_, name, state, effect, begin, end, select, *why, place in rows
            ],
        )


def _describe(view: DefinedWindowView | SuppressionView[RequestedWindow], window: MaintenanceWindow) -> tuple[str, ...]:
    return (
        window.name,
        view.state.value,
        window.effect.value,
        _format(view.begins_at),
        _format(view.ends_at),
        describe_selector(window.select),
        window.reason,
        window.change_id,
    )


def _format(instant: datetime | None) -> str:
    return "" if instant is None else format_iso_instant(instant)
