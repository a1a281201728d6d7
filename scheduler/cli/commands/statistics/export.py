"""`export`: write runs or statistics as JSON lines or CSV."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.commands.statistics.period_options import (
    FromOption,
    MonthOption,
    NamesOption,
    PeriodOptions,
    TagsOption,
    ToOption,
    WindowOption,
    ZoneOption,
    parse_selection_options,
)
from scheduler.cli.output import EXIT_FAILED, fail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scheduler.app import ReadOnlyProgram
    from scheduler.queries.exports import ExportFormat


class ExportSubject(StrEnum):
    RUNS = "runs"
    STATS = "stats"


class OutputFormat(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


def export(
    subject: Annotated[ExportSubject, typer.Argument(help="What to export.")],
    format: Annotated[OutputFormat, typer.Option("--format", help="JSON lines or CSV.")] = OutputFormat.JSONL,
    window: WindowOption = None,
    since: FromOption = None,
    until: ToOption = None,
    month: MonthOption = None,
    timezone: ZoneOption = None,
    names: NamesOption = None,
    tags: TagsOption = None,
    job: Annotated[str | None, typer.Option("--job", help="Only runs of this job.")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", help="Only runs with this outcome.")] = None,
) -> None:
    """Write runs, newest first, or the statistics of each job to standard output.

    The last line has the number of rows and whether the export is complete.

    \b
    Examples:
      export runs --month 2026-11 --timezone Europe/Berlin --format csv > runs.csv
      export runs --job checkout-api --outcome failed --from 7d
      export stats --window 90d --tag team=payments
    """
    from scheduler.cli.context import exit_if_incomplete, load_for_command, run_in_store
    from scheduler.queries.exports import STATS_FIELDS, ExportFormat, export_lines, export_stats

    if subject is ExportSubject.RUNS and (window or names or tags):
        fail("--window, --name and --tag apply to stats: use --from, --month or --job")
    if subject is ExportSubject.STATS and (job or outcome):
        fail("--job and --outcome apply to runs: use --name")
    options = PeriodOptions(window, since, until, month, timezone)
    selection, chosen = parse_selection_options(names, tags), ExportFormat(format)
    configuration = load_for_command("export")

    async def write(program: ReadOnlyProgram) -> bool:
        if subject is ExportSubject.RUNS:
            return await _print(_run_chunks(program, options, job, outcome, chosen))
        rows = export_stats(program.stats, selection, options.parse_period(program.stats.oldest))
        return await _print(export_lines(STATS_FIELDS, rows, chosen))

    if not run_in_store(configuration, write):
        raise typer.Exit(EXIT_FAILED)
    if subject is ExportSubject.STATS:
        exit_if_incomplete(configuration)


def _run_chunks(
    program: ReadOnlyProgram, options: PeriodOptions, job: str | None, outcome: str | None, format: ExportFormat
) -> AsyncIterator[str]:
    from scheduler.queries.exports import RUN_FIELDS, export_lines, export_runs
    from scheduler.stores.runs.repository import RUN_FILTERS

    if outcome is not None and outcome not in RUN_FILTERS:
        fail(f"--outcome: expected one of {', '.join(RUN_FILTERS)}, got {outcome!r}")
    rows = export_runs(program.queries, job=job, outcome=outcome, due=options.parse_range())
    return export_lines(RUN_FIELDS, rows, format)


async def _print(chunks: AsyncIterator[str]) -> bool:
    """Return whether the export is complete."""
    chunk = ""
    async for chunk in chunks:
        sys.stdout.write(chunk)
    return not ("# incomplete" in chunk or '"complete":false,"rows"' in chunk)
