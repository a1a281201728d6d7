"""Replays one dead letter, or those that a filter selects, and shows the runs. Used by group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from scheduler.cli.commands.dead_letters.listing import LISTING_HINT, show_letters
from scheduler.cli.output import EXIT_FAILED, fail, print_note, show_json

if TYPE_CHECKING:
    from scheduler.app import Program
    from scheduler.operations.dead_letters import LetterFilter, ReplayResult
    from scheduler.stores.runs.repository import RunRecord


def replay_one(letter: str, as_json: bool) -> None:
    from scheduler.cli.mutations import quiet_run_log, run_operation, wait_for_runs
    from scheduler.identity.command_caller import command_caller

    async def work(program: Program) -> RunRecord | None:
        record = await program.operations.dead_letters.replay(letter, caller=command_caller())
        await wait_for_runs(program, [record.ticket.id])
        return await program.queries.find_run(record.ticket.id)

    with quiet_run_log():
        record = run_operation("dead-letters replay", work, listing_hint=LISTING_HINT)
    if record is None or record.run is None:
        fail(f"the replay of {letter} did not finish, see the log", EXIT_FAILED)
    if as_json:
        from scheduler.features.runs.models import RunModel

        show_json(RunModel.from_record(record).model_dump_json(indent=2))
    else:
        from scheduler.cli.run_report import show_run

        show_run(record.run)
    if record.run.outcome != "succeeded":
        raise typer.Exit(EXIT_FAILED)


def replay_many(letter_filter: LetterFilter, per_second: float, limit: int, dry_run: bool, as_json: bool) -> None:
    from scheduler.cli.mutations import count_finished_runs, quiet_run_log, run_operation, wait_for_runs
    from scheduler.cli.run_report import show_runs
    from scheduler.identity.command_caller import command_caller

    async def work(program: Program) -> tuple[ReplayResult, list[RunRecord]]:
        replayed = await program.operations.dead_letters.replay_all(
            letter_filter, per_second=per_second, limit=limit, dry_run=dry_run, caller=command_caller()
        )
        runs = [letter.replay.ticket.id for letter in replayed.letters if letter.replay is not None and not dry_run]
        await wait_for_runs(program, runs)
        records = [await program.queries.find_run(run_id) for run_id in runs]
        return replayed, [record for record in records if record is not None]

    with quiet_run_log(), count_finished_runs() as listener:
        replayed, records = run_operation("dead-letters replay", work, job=letter_filter.job, listener=listener)
    if as_json:
        from scheduler.api.models.dead_letters import ReplayModel

        show_json(ReplayModel.from_result(replayed, dry_run=dry_run).model_dump_json(indent=2))
    elif dry_run:
        show_letters(replayed.letters)
    else:
        show_runs(records)
    for job in replayed.unknown_jobs:
        print_note(f"there is no job named {job} any more: its dead letters are not replayed")
    if replayed.remaining:
        print_note(f"{replayed.remaining} more match: raise --limit, or repeat the command")
    if not replayed.letters:
        print_note("no dead letter that can be replayed matches")
    if any(record.run is None or record.run.outcome != "succeeded" for record in records):
        raise typer.Exit(EXIT_FAILED)
