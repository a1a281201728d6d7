"""`backfill`: runs what fell due in a past interval and has not run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import FAILED, note, show_json

if TYPE_CHECKING:
    from scheduler.app import Program
    from scheduler.operations.backfilling import Backfill
    from scheduler.stores.runs import Record


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
    from scheduler.cli.changes import changed, counted, settled, unlogged
    from scheduler.cli.options import instant_option
    from scheduler.operations.audit import Way

    start, end = instant_option("--from", since), instant_option("--to", until)
    assert start is not None

    async def work(program: Program) -> tuple[Backfill, list[Record]]:
        done = await program.operations.backfilling.backfill(
            job,
            start,
            end,
            limit=limit,
            leave_skipped=leave_skipped,
            before_first_version=before_first_version,
            dry_run=dry_run,
            way=Way.COMMAND_LINE,
        )
        if dry_run:
            return done, []
        ids = [ticket.id for ticket in done.tickets]
        await settled(program, ids, "the same command goes on with them, ")
        records = [await program.queries.run(run_id) for run_id in ids]
        return done, [record for record in records if record is not None]

    with unlogged(), counted() as listener:
        done, records = changed("backfill", work, job=job, listener=listener)
    _show(job, done, records, dry_run, as_json)
    note(_told(done, dry_run, leave_skipped))
    if any(record.run is None or record.run.outcome != "succeeded" for record in records):
        raise typer.Exit(FAILED)


def _told(done: Backfill, dry_run: bool, leave_skipped: bool) -> str:
    """`3 due instants to be run, 1 of which was skipped; 5 ran already`."""
    number = len(done.tickets)
    runs = f"{number} due {'instant' if number == 1 else 'instants'} {'to be run' if dry_run else 'run'}"
    if done.skipped and not leave_skipped:
        runs += f", {done.skipped} of which {'was' if done.skipped == 1 else 'were'} skipped"
    left = f", {done.skipped} skipped left as they are" if done.skipped and leave_skipped else ""
    return f"{runs}; {done.ran} ran already{left}"


def _show(job: str, done: Backfill, records: list[Record], dry_run: bool, as_json: bool) -> None:
    if as_json:
        from scheduler.api.backfill_routes import BackfillModel

        show_json(BackfillModel.of(job, done, dry_run=dry_run).model_dump_json(indent=2))
    elif dry_run:
        print("".join(f"{ticket.id}\n" for ticket in done.tickets), end="")
    else:
        from scheduler.cli.outcomes import show_runs

        show_runs(records)
