"""`backfill`: runs what fell due in a past interval and never ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import FAILED, note

if TYPE_CHECKING:
    from scheduler.app import Program
    from scheduler.operations import Backfill
    from scheduler.stores.runs import Record


def backfill(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's name; `jobs` lists them.")],
    since: Annotated[
        str, typer.Option("--from", metavar="ISO", help="The interval's start; without an offset it is UTC.")
    ],
    until: Annotated[
        str | None, typer.Option("--to", metavar="ISO", help="Its end, which belongs to it. [now]")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="More runs than these are refused.")] = 100,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON on any output, as POST /api/jobs/JOB/backfill.")
    ] = False,
) -> None:
    """Run what fell due in a past interval and has no run, one after the other, and wait for the end.

    What has a run, also a skipped one, is left as it is. Exit code 1: a run did not succeed.

    \b
    Examples:
      backfill checkout-api --from 2026-11-25T01:00:00Z --to 2026-11-25T02:00:00Z --dry-run
      backfill checkout-api --from 2026-11-25T01:00:00Z --limit 500
    """
    from scheduler.cli.changes import changed, settled, unlogged
    from scheduler.cli.options import instant_option
    from scheduler.operations import Way

    start, end = instant_option("--from", since), instant_option("--to", until)
    assert start is not None

    async def work(program: Program) -> tuple[Backfill, list[Record]]:
        done = await program.operations.backfilling.backfill(
            job, start, end, limit=limit, dry_run=dry_run, way=Way.COMMAND_LINE
        )
        await settled(program)
        records = [] if dry_run else [await program.queries.run(ticket.id) for ticket in done.tickets]
        return done, [record for record in records if record is not None]

    with unlogged():
        done, records = changed(work, job=job)
    _show(job, done, records, dry_run, as_json)
    note(f"{len(done.tickets)} due instants had no run, {done.ran} have one already")
    if any(record.run is None or record.run.outcome != "succeeded" for record in records):
        raise typer.Exit(FAILED)


def _show(job: str, done: Backfill, records: list[Record], dry_run: bool, as_json: bool) -> None:
    if as_json:
        from scheduler.api.backfill_routes import BackfillModel, BackfillRun

        runs = [BackfillRun.of(ticket) for ticket in done.tickets]
        print(BackfillModel(job=job, dry_run=dry_run, runs=runs, ran=done.ran).model_dump_json(indent=2))
    elif dry_run:
        print("".join(f"{ticket.id}\n" for ticket in done.tickets), end="")
    else:
        from scheduler.cli.outcomes import show_runs

        show_runs(records)
