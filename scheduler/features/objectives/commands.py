"""`slo`: show objectives with their error budgets, write monthly statements, and recompute them from exports."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.listing import show_model
from scheduler.cli.output import EXIT_FAILED, Column, fail, is_terminal, print_note, show_table, show_tabs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from scheduler.app import ReadOnlyProgram
    from scheduler.features.objectives.queries import ObjectiveReader, ObjectiveStatement

    T = TypeVar("T")

ABOUT = """Objectives: how much of the error budget is left, how fast it is consumed, and what a month attained.

\b
Examples:
  slo list
  slo show checkout-api
  slo statement checkout-api --month 2026-10 --format csv"""

slo = typer.Typer(help=ABOUT, no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of an objective; `slo list` lists all.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, as the API.")]
_MAX_LISTED = 1000


@slo.command("list")
def list_objectives(as_json: JsonOption = False) -> None:
    """List the objectives with what is left of their error budgets, those that need attention first."""
    from scheduler.features.objectives.texts import LIST_COLUMNS, LIST_FIELDS, list_cells, list_values, order_by_need

    states, continuation = _read(lambda objectives: objectives.read_page(limit=_MAX_LISTED))
    if as_json:
        from scheduler.features.objectives.views import view_states

        show_model(view_states(states, None))
        return
    ordered = order_by_need(states)
    if is_terminal():
        show_table([Column(name) for name in LIST_COLUMNS], map(list_cells, ordered))
    else:
        show_tabs(LIST_FIELDS, map(list_values, ordered))
    if not ordered:
        print_note("no job has slo, and no job file has a section objectives: see docs/objectives.md")
    if continuation:
        print_note(f"only the first {_MAX_LISTED} by name are listed")


@slo.command("show")
def show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show the budget of an objective, its burn rates, when it is exhausted, and what is excluded.

    \b
    Examples:
      slo show checkout-api
    """
    from scheduler.features.objectives.texts import describe_state

    state = _read(lambda objectives: objectives.read_state(name))
    if as_json:
        from scheduler.features.objectives.views import view_state

        show_model(view_state(state))
        return
    typer.echo("\n".join(describe_state(state)))


@slo.command("statement")
def statement(
    name: NameArgument,
    month: Annotated[str, typer.Option("--month", help="A calendar month in UTC, such as 2026-10.")],
    format: Annotated[str, typer.Option("--format", help="text, json or csv.")] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Write what an objective attained in a month: by job, with the runs and times that are excluded.

    Archive the JSON form together with `export runs --month MONTH`: `slo recompute` compares them later.

    \b
    Examples:
      slo statement checkout-api --month 2026-10
      slo statement checkout-api --month 2026-10 --json > statement.json
    """
    from scheduler.features.objectives.texts import describe_statement
    from scheduler.features.statistics.periods import InvalidTimeRange, parse_month_span

    chosen = "json" if as_json else format
    if chosen not in ("text", "json", "csv"):
        fail(f"--format: expected text, json or csv, got {chosen!r}")
    try:
        within = parse_month_span(month, datetime.now(UTC))
    except InvalidTimeRange as error:
        fail(f"--month: {error}")
    stated = _read(lambda objectives: objectives.read_statement(name, month, within))
    if chosen == "json":
        from scheduler.features.objectives.views import view_statement

        show_model(view_statement(stated))
    elif chosen == "csv":
        _write_csv(stated)
    else:
        typer.echo("\n".join(describe_statement(stated)))


@slo.command("recompute")
def recompute(
    statement: Annotated[Path, typer.Option("--statement", metavar="FILE", help="A statement in the JSON form.")],
    export: Annotated[
        list[Path], typer.Option("--export", metavar="FILE", help="An export of runs, JSON lines or CSV. Repeatable.")
    ],
) -> None:
    """Compute the numbers of a statement again from exported runs, without the store, and compare them.

    A run that several exports contain counts once. Exit code 0: all numbers are equal; 1: some differ.

    \b
    Examples:
      slo recompute --statement statement.json --export runs.jsonl
    """
    from scheduler.features.objectives.statements import (
        WrongInput,
        read_export,
        read_statement,
        recompute_statement,
    )

    try:
        stated = read_statement(_read_text(statement))
        rows = (row for path in export for row in read_export(_read_text(path).splitlines()))
        recomputed = recompute_statement(stated, rows)
    except WrongInput as error:
        fail(str(error))
    valid, bad = f"{recomputed.counts.valid:g}", f"{recomputed.counts.bad:g}"
    typer.echo(f"{recomputed.runs} runs read: {valid} valid, {bad} bad, {recomputed.excluded.valid:g} excluded")
    for difference in recomputed.differences:
        typer.echo(difference)
    if recomputed.differences:
        print_note("the statement differs from the export")
        raise typer.Exit(EXIT_FAILED)
    print_note("the statement is confirmed: all numbers are equal")


def _read(read: Callable[[ObjectiveReader], Awaitable[T]]) -> T:
    from scheduler.cli.context import load_for_command, run_in_store
    from scheduler.errors import OperationError

    async def run(program: ReadOnlyProgram) -> T:
        return await read(program.objectives)

    try:
        return run_in_store(load_for_command("slo show"), run)
    except OperationError as error:
        fail(str(error))


def _write_csv(stated: ObjectiveStatement) -> None:
    import asyncio

    from scheduler.features.objectives.statements import STATEMENT_FIELDS, iterate_statement_rows
    from scheduler.features.statistics.exports import ExportFormat, export_lines

    async def write() -> None:
        async for chunk in export_lines(STATEMENT_FIELDS, iterate_statement_rows(stated), ExportFormat.CSV):
            sys.stdout.write(chunk)

    asyncio.run(write())


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"could not read {path}: {error}")
