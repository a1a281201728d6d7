"""`backfill`: runs what fell due in a past interval and has not run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import EXIT_FAILED, print_note, show_json

if TYPE_CHECKING:
    from scheduler.app import Program
    from scheduler.operations.backfills import BackfillResult
    from scheduler.stores.runs.repository import RunRecord


def backfill(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's name; `jobs` lists them.")],
    since: Annotated[
        str, typer.Option("--from", metavar="ISO", help="The interval's start; without an offset it is UTC.")
    ],
    until: Annotated[
        str | None, typer.Option("--to", metavar="ISO", help="Its end, which belongs to it. (default: now)")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="More runs than these are refused.")] = 100,
    leave_skipped: Annotated[
        bool, typer.Option("--leave-skipped", help="Leave what history says was skipped as it is.")
    ] = False,
    before_first_version: Annotated[
        bool, typer.Option("--before-first-version", help="Also instants at which the job did not exist yet.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON on any output, as POST /api/jobs/JOB/backfill.")
    ] = False,
) -> None:
    """Run what fell due in a past interval and has not run, one after the other, and wait for the end.

    The target is asked now, so these runs have the trigger `backfill`: they count neither in uptime nor as the job's
    latest run. Instants before the job's first version are refused; not with --before-first-version.

    What ran, however it went, is left as it is, so asking again does no harm. What was skipped (a pause, an overlap, no
    server) is run, beside the skipped run that history keeps; not with --leave-skipped. Exit code 1: a run did not
    succeed.

    \b
    Examples:
      backfill checkout-api --from 2026-11-25T01:00:00Z --to 2026-11-25T01:10:00Z --dry-run
      backfill checkout-api --from 2026-11-25T01:00:00Z --limit 500
    """
    from scheduler.audit import ChangeSource
    from scheduler.cli.mutations import count_finished_runs, quiet_run_log, run_operation, wait_for_runs
    from scheduler.cli.options import parse_instant_option

    start, end = parse_instant_option("--from", since), parse_instant_option("--to", until)
    assert start is not None

    async def work(program: Program) -> tuple[BackfillResult, list[RunRecord]]:
        done = await program.operations.backfills.backfill(
            job,
            start,
            end,
            limit=limit,
            leave_skipped=leave_skipped,
            before_first_version=before_first_version,
            dry_run=dry_run,
            source=ChangeSource.COMMAND_LINE,
        )
        if dry_run:
            return done, []
        ids = [ticket.id for ticket in done.tickets]
        await wait_for_runs(program, ids, "the same command goes on with them, ")
        records = [await program.queries.find_run(run_id) for run_id in ids]
        return done, [record for record in records if record is not None]

    with quiet_run_log(), count_finished_runs() as listener:
        done, records = run_operation("backfill", work, job=job, listener=listener)
    _show(job, done, records, dry_run, as_json)
    print_note(_describe_result(done, dry_run, leave_skipped))
    if any(record.run is None or record.run.outcome != "succeeded" for record in records):
        raise typer.Exit(EXIT_FAILED)


def _describe_result(done: BackfillResult, dry_run: bool, leave_skipped: bool) -> str:
    """`3 due instants to be run, 1 of which was skipped; 5 ran already`."""
    number = len(done.tickets)
    runs = f"{number} due {'instant' if number == 1 else 'instants'} {'to be run' if dry_run else 'run'}"
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
        from scheduler.cli.run_table import show_runs

        show_runs(records)
