"""`slo`: show objectives with their error budgets, write monthly statements, and recompute them from exports."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import describe_span, format_duration, format_iso_instant
from jobs.objectives import (
    BURN_PAIRS,
    BudgetStatus,
    describe_window,
    format_amount,
    format_part,
    format_percent,
    format_target,
)
from scheduler.cli.listing import Field, show_items, show_model
from scheduler.cli.output import EXIT_FAILED, Column, fail, print_note

if TYPE_CHECKING:
    from jobs.incidents.downtime import ExcludedTime
    from scheduler.features.objectives.queries import MeasuredJob, ObjectiveState, ObjectiveStatement

_NEED = (BudgetStatus.EXHAUSTED, BudgetStatus.BURNING, BudgetStatus.NO_DATA, BudgetStatus.OK)
_MAX_SHOWN = 20


def _order_by_need(states: Iterable[ObjectiveState]) -> Sequence[ObjectiveState]:
    """Return exhausted ones first, then those that burn, each with the smallest rest first."""

    def need(state: ObjectiveState) -> tuple[int, float, str]:
        left = state.budget.remaining_ratio
        return _NEED.index(state.status), 1.0 if left is None else left, state.objective.name

    return sorted(states, key=need)


_FIELDS: tuple[Field[ObjectiveState], ...] = (
    Field("objective", lambda state: state.objective.name, Column("objective")),
    Field("status", lambda state: state.status, Column("status"), lambda state: state.status.replace("_", " ")),
    Field(
        "attained",
        lambda state: _number(state.budget.attained),
        Column("attained"),
        lambda state: "-" if state.budget.attained is None else format_percent(state.budget.attained),
    ),
    Field(
        "target",
        lambda state: f"{state.budget.target:g}",
        Column("target"),
        lambda state: format_target(state.budget.target),
    ),
    Field("window", lambda state: state.objective.definition.window, Column("window")),
    Field(
        "remaining_ratio",
        lambda state: _number(state.budget.remaining_ratio),
        Column("budget left"),
        lambda state: "-" if state.budget.remaining_ratio is None else f"{state.budget.remaining_ratio:.0%}",
    ),
    Field(
        "burn_rate",
        lambda state: _number(state.present_burn_rate),
        Column("burn rate"),
        lambda state: "-" if state.present_burn_rate is None else f"{state.present_burn_rate:.2f}",
    ),
    Field(
        "exhausted_in_seconds",
        lambda state: _number(None if state.time_left is None else state.time_left.total_seconds()),
        Column("exhausted in"),
        lambda state: "-" if state.time_left is None else describe_span(round(state.time_left.total_seconds())),
    ),
    Field("scope", lambda state: state.objective.scope),
)


def _describe_state(state: ObjectiveState) -> Iterator[str]:
    objective, budget = state.objective, state.budget
    defined, unit = objective.definition, objective.definition.unit
    yield f"objective: {objective.name} ({objective.scope})"
    yield from _describe_people(objective.definition.description, objective.definition.owner)
    measure = "runs" if defined.counts == "runs" else "time without downtime"
    yield f"target: {format_target(defined.target)} of {measure} in {describe_window(defined.window)}"
    yield f"status: {state.status.replace('_', ' ')}"
    yield f"what: {state.text}"
    yield (
        f"budget: {format_amount(budget.allowed, unit)} may be bad, "
        f"{format_part(budget.counts.bad, budget.counts.valid, unit)} are"
    )
    yield f"measured: from {format_iso_instant(state.since)} to {format_iso_instant(state.until)}"
    yield f"excluded: {_describe_excluded(state.jobs, unit)}"
    yield "burn rates:"
    for window, rate in state.burn_rates.items():
        counts = state.windows[window]
        of = format_part(counts.bad, counts.valid, unit)
        yield f"  {format_duration(window.total_seconds()):>4}  {'-' if rate is None else f'{rate:.2f}':>8}  {of}"
    yield from _describe_pairs(state)
    if not state.is_complete:
        yield "incomplete: not everything of the window is stored or was read; see docs/objectives.md"


def _describe_statement(statement: ObjectiveStatement) -> Iterator[str]:
    objective, budget = statement.objective, statement.budget
    unit = objective.definition.unit
    yield f"objective: {objective.name} ({objective.scope})"
    yield from _describe_people(objective.definition.description, objective.definition.owner)
    end = "" if statement.has_ended else ", which has not ended"
    yield (
        f"month: {statement.month} in UTC{end}: from {format_iso_instant(statement.since)} "
        f"to {format_iso_instant(statement.until)}"
    )
    met = {None: "nothing counts", True: "met", False: "missed"}[statement.is_met]
    attained = "-" if budget.attained is None else format_percent(budget.attained)
    yield f"result: {met}: {attained} was good, target {format_target(budget.target)}"
    yield (
        f"budget: {format_amount(budget.allowed, unit)} may be bad, "
        f"{format_part(budget.counts.bad, budget.counts.valid, unit)} were"
    )
    yield f"excluded: {_describe_excluded(statement.jobs, unit)}"
    times = sorted(
        {(time.begin, time.end, time.reason, time.name) for job in statement.jobs for time in job.exclusions}
    )
    for begin, end_at, reason, name in islice(times, _MAX_SHOWN):
        what = f"{reason.replace('_', ' ')} {name}".strip()
        yield f"  {format_iso_instant(begin)} to {format_iso_instant(end_at)}: {what}"
    if len(times) > _MAX_SHOWN:
        yield f"  and {len(times) - _MAX_SHOWN} more: --json lists all"
    if len(statement.jobs) > 1:
        yield "jobs:"
        for measured in statement.jobs:
            share = "-" if not measured.counts.valid else format_percent(measured.counts.good / measured.counts.valid)
            yield f"  {measured.job}: {share}, {format_part(measured.counts.bad, measured.counts.valid, unit)} bad"
    if not statement.is_complete:
        yield "incomplete: not everything of the month is stored or was read; see docs/objectives.md"


def _describe_people(description: str, owner: str) -> Iterator[str]:
    if description:
        yield f"description: {description}"
    if owner:
        yield f"owner: {owner}"


def _describe_excluded(jobs: Sequence[MeasuredJob], unit: str) -> str:
    """Return for example `180 runs in 3 h (maintenance windows 3 h)`."""
    seconds = sum(job.excluded_seconds for job in jobs)
    if not seconds:
        return "nothing"
    by_reason: dict[str, timedelta] = {}
    for each in (each for job in jobs for each in job.exclusions):
        by_reason[each.reason] = by_reason.get(each.reason, timedelta()) + _length_of(each)
    reasons = ", ".join(
        f"{reason.replace('_', ' ')} {describe_span(round(length.total_seconds()))}"
        for reason, length in sorted(by_reason.items())
    )
    runs = sum(job.excluded.valid for job in jobs)
    amount = f"{format_amount(runs, unit)} in " if unit == "runs" else ""
    return f"{amount}{describe_span(round(seconds))} ({reasons})"


def _length_of(excluded: ExcludedTime) -> timedelta:
    return excluded.end - excluded.begin


def _describe_pairs(state: ObjectiveState) -> Iterator[str]:
    """Yield which pairs of windows of burn alerts are above their factor now."""
    rates = state.burn_rates
    for pair in BURN_PAIRS:
        values = rates.get(pair.long), rates.get(pair.short)
        if all(value is not None and value > pair.factor for value in values):
            names = " and ".join(format_duration(each.total_seconds()) for each in (pair.long, pair.short))
            urgency = "act now" if pair.is_page else "act within days"
            yield f"above {pair.factor:g} over {names}: {urgency}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{round(value, 6):.10g}"


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

    states, continuation = _read(lambda objectives: objectives.read_page(limit=_MAX_LISTED))
    if as_json:
        from scheduler.features.objectives.views import view_states

        show_model(view_states(states, None))
        return
    ordered = _order_by_need(states)
    show_items(ordered, _FIELDS, is_empty_shown=True)
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

    state = _read(lambda objectives: objectives.read_state(name))
    if as_json:
        from scheduler.features.objectives.views import view_state

        show_model(view_state(state))
        return
    typer.echo("\n".join(_describe_state(state)))


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
        typer.echo("\n".join(_describe_statement(stated)))


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
