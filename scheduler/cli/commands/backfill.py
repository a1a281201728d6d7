"""`backfill`: run the due instants of a past interval that have not run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats.counts import format_count
from scheduler.cli.output import EXIT_FAILED, print_note, show_json

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import datetime

    from scheduler.app import Program
    from scheduler.operations.backfills import BackfillResult
    from scheduler.stores.runs.repository import RunRecord


_FromOption = Annotated[
    str,
    typer.Option("--from", metavar="ISO", help="Start of the interval, inclusive; UTC unless it has an offset."),
]
_ToOption = Annotated[
    str | None, typer.Option("--to", metavar="ISO", help="End of the interval, inclusive. (default: now)")
]
_LimitOption = Annotated[
    int, typer.Option("--limit", min=1, max=1000, help="Maximum number of runs; refuse a longer interval.")
]
_LeaveSkippedOption = Annotated[
    bool, typer.Option("--leave-skipped", help="Do not run instants that are recorded as skipped.")
]
_BeforeFirstVersionOption = Annotated[
    bool, typer.Option("--before-first-version", help="Include instants before the job existed.")
]


def backfill(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job name; `jobs` lists all jobs.")],
    since: _FromOption,
    until: _ToOption = None,
    limit: _LimitOption = 100,
    leave_skipped: _LeaveSkippedOption = False,
    before_first_version: _BeforeFirstVersionOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as POST /api/jobs/JOB/backfill.")] = False,
) -> None:
    """Run the due instants of a past interval that have not run, one after the other, and wait until they finish.

    The check runs now, so these runs have the trigger `backfill`: they count neither for uptime nor as the job's latest
    run. Instants before the job's first version are refused, unless --before-first-version is given.

    An instant that has run is not run again, whatever its outcome, so the command can be repeated. An instant that was
    skipped (by a pause, an overlap, or while no server ran) is run, and history retains the skipped run; not with
    --leave-skipped. Exit code 1: a run did not succeed.

    \b
    Examples:
      backfill checkout-api --from 2026-11-25T01:00:00Z --to 2026-11-25T01:10:00Z --dry-run
      backfill checkout-api --from 2026-11-25T01:00:00Z --limit 500
    """
    from scheduler.cli.mutations import count_finished_runs, quiet_run_log, run_operation
    from scheduler.cli.options import parse_instant_option

    start, end = parse_instant_option("--from", since), parse_instant_option("--to", until)
    assert start is not None

    def work(program: Program) -> Awaitable[tuple[BackfillResult, list[RunRecord]]]:
        return _backfill(program, job, start, end, limit, leave_skipped, before_first_version, dry_run)

    with quiet_run_log(), count_finished_runs() as listener:
        done, records = run_operation("backfill", work, job=job, listener=listener)
    _show(job, done, records, dry_run, as_json)
    print_note(_describe_result(done, dry_run, leave_skipped))
    if any(record.run is None or record.run.outcome != "succeeded" for record in records):
        raise typer.Exit(EXIT_FAILED)


async def _backfill(
    program: Program,
    job: str,
    start: datetime,
    end: datetime | None,
    limit: int,
    leave_skipped: bool,
    before_first_version: bool,
    dry_run: bool,
) -> tuple[BackfillResult, list[RunRecord]]:
    """Return the result, and the records of its runs once all have finished."""
    from scheduler.cli.mutations import wait_for_runs
    from scheduler.identity.command_caller import command_caller

    done = await program.operations.backfills.backfill(
        job,
        start,
        end,
        limit=limit,
        leave_skipped=leave_skipped,
        before_first_version=before_first_version,
        dry_run=dry_run,
        caller=command_caller(),
    )
    if dry_run:
        return done, []
    ids = [ticket.id for ticket in done.tickets]
    await wait_for_runs(program, ids, "repeat the command to run them now, ")
    records = [await program.queries.find_run(run_id) for run_id in ids]
    return done, [record for record in records if record is not None]


def _describe_result(done: BackfillResult, dry_run: bool, leave_skipped: bool) -> str:
    """`3 due instants to be run, 1 of which was skipped; 5 ran already`."""
    number = len(done.tickets)
    runs = f"{format_count(number, 'due instant')} {'to be run' if dry_run else 'run'}"
    if done.skipped and not leave_skipped:
        runs += f", {done.skipped} of which {'was' if done.skipped == 1 else 'were'} skipped"
    left = f", {done.skipped} skipped left as they are" if done.skipped and leave_skipped else ""
    return f"{runs}; {done.already_run} ran already{left}"


def _show(job: str, done: BackfillResult, records: list[RunRecord], dry_run: bool, as_json: bool) -> None:
    if as_json:
        from scheduler.api.models.backfills import BackfillModel

        show_json(BackfillModel.from_result(job, done, dry_run=dry_run).model_dump_json(indent=2))
    elif dry_run:
        print("".join(f"{ticket.id}\n" for ticket in done.tickets), end="")
    else:
        from scheduler.cli.run_report import show_runs

        show_runs(records)
