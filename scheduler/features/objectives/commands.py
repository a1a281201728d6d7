"""`slo`: show objectives with their error budgets, write monthly statements, and recompute them from exports."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from scheduler.cli.listing import Field, read_newest, show_items, show_model
from scheduler.cli.output import EXIT_FAILED, Column, escape_controls, fail, print_note
from scheduler.cli.reach import find_connection

if TYPE_CHECKING:
    from scheduler.features.objectives.models import ObjectiveDefinitionModel, ObjectiveModel, ObjectiveStatementModel
    from scheduler.features.statistics.models import ExclusionModel

_NEED = (BudgetStatus.EXHAUSTED, BudgetStatus.BURNING, BudgetStatus.NO_DATA, BudgetStatus.OK)
_MAX_SHOWN = 20


def _order_by_need(objectives: Iterable[ObjectiveModel]) -> Sequence[ObjectiveModel]:
    """Return exhausted ones first, then those that burn, each with the smallest rest first."""

    def need(shown: ObjectiveModel) -> tuple[int, float, str]:
        left = shown.remaining_ratio
        return _NEED.index(shown.status), 1.0 if left is None else left, shown.objective.name

    return sorted(objectives, key=need)


_FIELDS: tuple[Field[ObjectiveModel], ...] = (
    Field("objective", lambda shown: shown.objective.name, Column("objective")),
    Field("status", lambda shown: shown.status, Column("status"), lambda shown: shown.status.replace("_", " ")),
    Field(
        "attained",
        lambda shown: _number(shown.attained),
        Column("attained"),
        lambda shown: "-" if shown.attained is None else format_percent(shown.attained),
    ),
    Field(
        "target",
        lambda shown: f"{shown.objective.target:g}",
        Column("target"),
        lambda shown: format_target(shown.objective.target),
    ),
    Field("window", lambda shown: shown.objective.window, Column("window")),
    Field(
        "remaining_ratio",
        lambda shown: _number(shown.remaining_ratio),
        Column("budget left"),
        lambda shown: "-" if shown.remaining_ratio is None else f"{shown.remaining_ratio:.0%}",
    ),
    Field(
        "burn_rate",
        lambda shown: _number(shown.burn_rate),
        Column("burn rate"),
        lambda shown: "-" if shown.burn_rate is None else f"{shown.burn_rate:.2f}",
    ),
    Field(
        "exhausted_in_seconds",
        lambda shown: _number(shown.exhausted_in_seconds),
        Column("exhausted in"),
        lambda shown: "-" if shown.exhausted_in_seconds is None else describe_span(round(shown.exhausted_in_seconds)),
    ),
    Field("scope", lambda shown: shown.objective.scope),
)


def _unit_of(objective: ObjectiveDefinitionModel) -> str:
    return "runs" if objective.counts == "runs" else "seconds"


def _describe_state(shown: ObjectiveModel) -> Iterator[str]:
    objective, unit = shown.objective, _unit_of(shown.objective)
    yield f"objective: {objective.name} ({objective.scope})"
    yield from _describe_people(objective)
    measure = "runs" if objective.counts == "runs" else "time without downtime"
    yield f"target: {format_target(objective.target)} of {measure} in {describe_window(objective.window)}"
    yield f"status: {shown.status.replace('_', ' ')}"
    yield f"what: {shown.text}"
    yield f"budget: {format_amount(shown.allowed, unit)} may be bad, {format_part(shown.bad, shown.valid, unit)} are"
    yield f"measured: from {format_iso_instant(shown.since)} to {format_iso_instant(shown.until)}"
    yield f"excluded: {_describe_excluded(shown.excluded_seconds, shown.excluded, shown.excluded_by, unit)}"
    yield "burn rates:"
    for each in shown.burn_rates:
        of = format_part(each.bad, each.valid, unit)
        yield f"  {each.window:>4}  {'-' if each.burn_rate is None else f'{each.burn_rate:.2f}':>8}  {of}"
    yield from _describe_pairs(shown)
    if not shown.complete:
        yield "incomplete: not everything of the window is stored or was read; see docs/objectives.md"


def _describe_statement(statement: ObjectiveStatementModel) -> Iterator[str]:
    objective, unit = statement.objective, _unit_of(statement.objective)
    yield f"objective: {objective.name} ({objective.scope})"
    yield from _describe_people(objective)
    end = "" if statement.ended else ", which has not ended"
    yield (
        f"month: {statement.month} in UTC{end}: from {format_iso_instant(statement.since)} "
        f"to {format_iso_instant(statement.until)}"
    )
    met = {None: "nothing counts", True: "met", False: "missed"}[statement.met]
    attained = "-" if statement.attained is None else format_percent(statement.attained)
    yield f"result: {met}: {attained} was good, target {format_target(objective.target)}"
    yield (
        f"budget: {format_amount(statement.allowed, unit)} may be bad, "
        f"{format_part(statement.bad, statement.valid, unit)} were"
    )
    by_reason = _sum_by_reason(each for job in statement.jobs for each in job.exclusions)
    yield f"excluded: {_describe_excluded(statement.excluded_seconds, statement.excluded, by_reason, unit)}"
    times = sorted(
        {(time.since, time.until, time.reason, time.name) for job in statement.jobs for time in job.exclusions}
    )
    for begin, end_at, reason, name in islice(times, _MAX_SHOWN):
        what = f"{reason.replace('_', ' ')} {name}".strip()
        yield f"  {format_iso_instant(begin)} to {format_iso_instant(end_at)}: {what}"
    if len(times) > _MAX_SHOWN:
        yield f"  and {len(times) - _MAX_SHOWN} more: --json lists all"
    if len(statement.jobs) > 1:
        yield "jobs:"
        for measured in statement.jobs:
            share = "-" if not measured.valid else format_percent(measured.good / measured.valid)
            yield f"  {measured.job}: {share}, {format_part(measured.bad, measured.valid, unit)} bad"
    if not statement.complete:
        yield "incomplete: not everything of the month is stored or was read; see docs/objectives.md"


def _describe_people(objective: ObjectiveDefinitionModel) -> Iterator[str]:
    if objective.description:
        yield f"description: {objective.description}"
    if objective.owner:
        yield f"owner: {objective.owner}"


def _describe_excluded(seconds: float, amount: float, by_reason: Mapping[str, float], unit: str) -> str:
    """Return for example `180 runs in 3 h (maintenance windows 3 h)`."""
    if not seconds:
        return "nothing"
    reasons = ", ".join(
        f"{reason.replace('_', ' ')} {describe_span(round(length))}" for reason, length in sorted(by_reason.items())
    )
    shown = f"{format_amount(amount, unit)} in " if unit == "runs" else ""
    return f"{shown}{describe_span(round(seconds))} ({reasons})"


def _sum_by_reason(exclusions: Iterable[ExclusionModel]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for each in exclusions:
        seconds[each.reason] = seconds.get(each.reason, 0.0) + (each.until - each.since).total_seconds()
    return seconds


def _describe_pairs(shown: ObjectiveModel) -> Iterator[str]:
    """Yield which pairs of windows of burn alerts are above their factor now."""
    rates = {each.window: each.burn_rate for each in shown.burn_rates}
    for pair in BURN_PAIRS:
        long, short = (format_duration(each.total_seconds()) for each in (pair.long, pair.short))
        values = rates.get(long), rates.get(short)
        if all(value is not None and value > pair.factor for value in values):
            urgency = "act now" if pair.is_page else "act within days"
            yield f"above {pair.factor:g} over {long} and {short}: {urgency}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{round(value, 6):.10g}"


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeVar

    from scheduler.features.objectives.models import ObjectiveList
    from scheduler.features.objectives.queries import ObjectiveReader, ObjectiveStatement
    from scheduler.features.objectives.remote import RemoteObjectives

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

    listed = _read(_list_stored, lambda remote: read_newest(_page_of(remote), _MAX_LISTED))
    if as_json:
        show_model(listed.model_copy(update={"continuation": None}))
        return
    ordered = _order_by_need(listed.objectives)
    show_items(ordered, _FIELDS, is_empty_shown=True)
    if not ordered:
        print_note("no job has slo, and no job file has a section objectives: see docs/objectives.md")
    if listed.continuation or len(ordered) > _MAX_LISTED:
        print_note(f"only the first {_MAX_LISTED} by name are listed")


@slo.command("show")
def show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show the budget of an objective, its burn rates, when it is exhausted, and what is excluded.

    \b
    Examples:
      slo show checkout-api
    """

    async def read(objectives: ObjectiveReader) -> ObjectiveModel:
        from scheduler.features.objectives.views import view_state

        return view_state(await objectives.read_state(name))

    shown = _read(read, lambda remote: remote.read_state(name))
    if as_json:
        show_model(shown)
        return
    typer.echo("\n".join(map(escape_controls, _describe_state(shown))))


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

    async def read(objectives: ObjectiveReader) -> ObjectiveStatementModel:
        from scheduler.features.objectives.views import view_statement

        return view_statement(await objectives.read_statement(name, month, within))

    async def write(objectives: ObjectiveReader) -> str:
        return await _write_csv(await objectives.read_statement(name, month, within))

    if chosen == "csv":
        text = _read(write, lambda remote: remote.write_statement(name, month))
        sys.stdout.write("".join(c if c.isprintable() or c in "\r\n" else " " for c in text))
        return
    stated = _read(read, lambda remote: remote.read_statement(name, month))
    if chosen == "json":
        show_model(stated)
    else:
        typer.echo("\n".join(map(escape_controls, _describe_statement(stated))))


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


async def _list_stored(objectives: ObjectiveReader) -> ObjectiveList:
    from scheduler.features.objectives.views import view_states

    return view_states(*await objectives.read_page(limit=_MAX_LISTED))


def _page_of(remote: RemoteObjectives) -> Callable[[str, int], Awaitable[ObjectiveList]]:
    return lambda after, size: remote.list_page(limit=size, after=after)


def _read(
    read: Callable[[ObjectiveReader], Awaitable[T]], read_remotely: Callable[[RemoteObjectives], Awaitable[T]]
) -> T:
    from scheduler.cli.context import load_for_command, run_in_store
    from scheduler.errors import OperationError

    async def run(program: Any) -> T:
        return await (read if find_connection() is None else read_remotely)(program.objectives)

    try:
        return run_in_store(load_for_command("slo show"), run)
    except OperationError as error:
        fail(str(error))


async def _write_csv(stated: ObjectiveStatement) -> str:
    from scheduler.features.objectives.statements import STATEMENT_FIELDS, iterate_statement_rows
    from scheduler.features.statistics.exports import ExportFormat, export_lines

    lines = export_lines(STATEMENT_FIELDS, iterate_statement_rows(stated), ExportFormat.CSV)
    return "".join([chunk async for chunk in lines])


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"could not read {path}: {error}")
