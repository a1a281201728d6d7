"""`history`: a job's runs, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import Cell, Column, fail, note, on_terminal, show_table, show_tabs
from scheduler.cli.texts import local, milliseconds

if TYPE_CHECKING:
    from scheduler.app import Program
    from scheduler.stores.runs import Record

_PAGE = 500
MOST = 10_000


def history(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's name; one that is gone may still have runs.")],
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="How many at most.")] = 20,
    outcome: Annotated[
        str | None, typer.Option("--outcome", help="Only these: succeeded, failed, timed_out, skipped, running, ...")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on any output, as GET /api/runs.")] = False,
) -> None:
    """Runs of a job, newest first.

    Due instant, outcome, attempts, duration, lateness, and what went wrong.

    \b
    Examples:
      history checkout-api
      history checkout-api --outcome failed --limit 5
      history checkout-api | cut -f 1,2
    """
    from scheduler.cli.configured import configured, in_program, no_such_job
    from scheduler.stores.runs import RUN_FILTERS

    if outcome is not None and outcome not in RUN_FILTERS:
        fail(f"--outcome: {outcome!r} is none of {', '.join(RUN_FILTERS)}")
    configuration = configured()
    records = in_program(configuration, lambda program: _records(program, job, outcome, limit))
    if not records:
        names = configuration.jobs.jobs
        if job not in names:
            fail(no_such_job(job, names))
        note(f"{job} has no runs yet" if outcome is None else f"{job} has no runs that are {outcome}")
    _show(records, as_json)


async def _records(program: Program, job: str, outcome: str | None, limit: int) -> list[Record]:
    records: list[Record] = []
    continuation: str | None = None
    while len(records) < limit:
        wanted = min(_PAGE, limit - len(records))
        page = await program.queries.runs(job=job, outcome=outcome, limit=wanted, continuation=continuation)
        records += page.records
        continuation = page.continuation
        if continuation is None:
            break
    return records


def _show(records: list[Record], as_json: bool) -> None:
    if as_json:
        from scheduler.api.models import RunList, RunModel

        runs = [RunModel.of(record) for record in records]
        print(RunList(runs=runs, continuation=None).model_dump_json(indent=2))
    elif not on_terminal():
        from scheduler.cli.outcomes import RUN_FIELDS, run_fields

        show_tabs(RUN_FIELDS, map(run_fields, records))
    elif records:
        _show_table(records)


def _show_table(records: list[Record]) -> None:
    columns = (
        Column("due"),
        Column("outcome"),
        Column("trigger", "dim", spare=True),
        Column("attempts", right=True, spare=True),
        Column("took", right=True),
        Column("late", right=True, spare=True),
        Column("error", spare=True),
        Column("what happened", whole=False),
    )
    show_table(columns, map(_cells, records), title=records[0].ticket.job)


def _cells(record: Record) -> tuple[Cell, ...]:
    from scheduler.cli.outcomes import outcome_cell

    due, trigger, run = local(record.ticket.due_at), str(record.ticket.trigger), record.run
    if run is None:
        # What `cancel` wants to know.
        return due, outcome_cell(record), trigger, "-", "-", "-", "", (record.ticket.id, "dim")
    took, late = milliseconds(run.duration_ms), milliseconds(run.lateness_ms)
    error: Cell = run.error or "", "red"
    return due, outcome_cell(record), trigger, str(len(run.attempts)), took, late, error, run.message
