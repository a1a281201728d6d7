"""`dead-letters`: list, show, replay and discard dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import format_iso_instant
from scheduler.cli.listing import Field, act, read_newest, show_items, show_list, show_model
from scheduler.cli.output import (
    EXIT_FAILED,
    Column,
    escape_controls,
    fail,
    print_note,
)
from scheduler.cli.times import format_local

if TYPE_CHECKING:
    from scheduler.app import Program, ReadOnlyProgram
    from scheduler.features.dead_letters.models import (
        DeadLetterDetail,
        DeadLetterList,
        DeadLetterSummary,
        ReplayModel,
    )
    from scheduler.features.dead_letters.service import LetterFilter
    from scheduler.stores.runs.repository import RunRecord

_LISTING_HINT = "`dead-letters list` lists all dead letters"
_FIELDS: tuple[Field[DeadLetterSummary], ...] = (
    Field("id", lambda letter: letter.id, Column("id", "bold")),
    Field(
        "at",
        lambda letter: format_iso_instant(letter.at, precise=True),
        Column("at", is_optional=True),
        lambda letter: format_local(letter.at),
    ),
    Field("job", lambda letter: letter.job or "", Column("job"), lambda letter: letter.job or "-"),
    Field("attempts", lambda letter: str(letter.attempt_count), Column("attempts", align_right=True, is_optional=True)),
    Field("error", lambda letter: letter.error or ""),
    Field("state", lambda letter: letter.state, Column("state")),
    Field("replayed_by", lambda letter: letter.replayed_by or ""),
    Field("reason", lambda letter: letter.reason, Column("reason", no_wrap=False, min_width=20)),
)


def _show_details(letter: DeadLetterDetail) -> None:
    """Print key and value a line, then values of several lines."""
    import json

    values: dict[str, str | None] = {
        "id": letter.id,
        "at": format_iso_instant(letter.at, precise=True),
        "job": letter.job,
        "run": letter.run_id,
        "reason": letter.reason,
        "error": letter.error,
        "replayed by": letter.replayed_by,
        "message": letter.message or None,
    }
    for name, value in values.items():
        if value is not None:
            print(f"{name}: {escape_controls(value)}")
    for attempt in letter.attempts:
        print(escape_controls(f"attempt {attempt.number}: {attempt.message}"))
    if letter.definition is not None:
        print(f"definition: {json.dumps(letter.definition, ensure_ascii=True)}")
    for line in letter.traceback.splitlines():
        print(escape_controls(line))


ABOUT = """Dead letters: list, show, replay, discard.

A run becomes a dead letter when it is down after its last attempt and its job sets `dead_letter: true`. A message
becomes one when the platform has delivered it the maximum number of times and no run finished.

\b
Examples:
  dead-letters list
  dead-letters replay --job checkout-api --dry-run"""

dead_letters = typer.Typer(help=ABOUT, no_args_is_help=True)

LetterId = Annotated[
    str, typer.Argument(metavar="ID", help="Dead letter id; `dead-letters list` lists all dead letters.")
]


@dead_letters.command("list")
def list_letters(
    job: Annotated[str | None, typer.Option("--job", help="Only dead letters of this job.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Maximum number of results.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/dead-letters.")] = False,
) -> None:
    """List dead letters, newest first.

    \b
    Examples:
      dead-letters list
      dead-letters list --job checkout-api | cut -f 1,8
    """
    from scheduler.cli.context import load_for_command, run_without_jobs
    from scheduler.cli.selection import require_job

    listed = run_without_jobs("dead-letters list", lambda program: _read_letters(program, job, limit))
    if job is not None and not listed.dead_letters:
        require_job(load_for_command("dead-letters list"), job)
    empty = "there are no dead letters" if job is None else f"{job} has no dead letters"
    show_list(listed, _FIELDS, as_json=as_json, empty=empty)


@dead_letters.command("show")
def show_letter(
    letter: LetterId,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/dead-letters/ID.")] = False,
) -> None:
    """Show a dead letter: reason, attempts, traceback, and the job's definition at that time.

    \b
    Examples:
      dead-letters show 20261125T015030.000Z.0123456789ab
    """
    from scheduler.cli.context import run_without_jobs
    from scheduler.identity.principal import LOCAL_PRINCIPAL

    details = run_without_jobs("dead-letters show", lambda program: program.dead_letters.find(letter, LOCAL_PRINCIPAL))
    if details is None:
        fail(f"there is no dead letter {letter!r}; {_LISTING_HINT}", EXIT_FAILED)
    if as_json:
        show_model(details)
    else:
        _show_details(details)


@dead_letters.command("replay")
def replay_letters(
    letter: Annotated[
        str | None, typer.Argument(metavar="ID", help="One dead letter; to replay several, use the options.")
    ] = None,
    job: Annotated[str | None, typer.Option("--job", help="Only dead letters of this job.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Only dead letters whose reason contains this text.")] = "",
    after: Annotated[
        str | None, typer.Option("--after", metavar="ISO", help="Only dead letters of this instant or later.")
    ] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="ISO", help="Only dead letters before this instant.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1000, help="Maximum number of dead letters, oldest first.")
    ] = 100,
    per_second: Annotated[
        float, typer.Option("--per-second", help="Maximum number of replays started per second.")
    ] = 5.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would run.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replay dead letters with the current job definitions, and wait until the runs finish.

    A dead letter is replayed once. Exit code 1: a run did not succeed, or the dead letter has been replayed already.

    \b
    Examples:
      dead-letters replay 20261125T015030.000Z.0123456789ab
      dead-letters replay --job checkout-api --reason refused --dry-run
      dead-letters replay --after 2026-11-25T00:00:00Z --per-second 2
    """
    from scheduler.cli.times import parse_instant_option
    from scheduler.features.dead_letters.service import LetterFilter

    between = parse_instant_option("--after", after), parse_instant_option("--before", before)
    letter_filter = LetterFilter(job, reason, *between)
    if letter is None and letter_filter == LetterFilter():
        fail("no dead letters selected: give an ID, or --job, --reason, --after or --before")
    elif letter is None:
        _replay_many(letter_filter, per_second, limit, dry_run, as_json)
    elif letter_filter != LetterFilter() or dry_run:
        fail("give either the ID of one dead letter, or options that select several")
    else:
        _replay_one(letter, as_json)


@dead_letters.command("discard")
def discard_letter(letter: LetterId) -> None:
    """Delete a dead letter permanently.

    \b
    Examples:
      dead-letters discard 20261125T015030.000Z.0123456789ab
    """
    act(
        "dead-letters discard",
        lambda operations, caller: operations.dead_letters.discard(letter, caller=caller),
        f"{letter} was discarded",
        listing_hint=_LISTING_HINT,
    )


async def _read_letters(program: ReadOnlyProgram, job: str | None, limit: int) -> DeadLetterList:
    return await read_newest(
        lambda after, size: program.dead_letters.list_page(job=job, limit=size, continuation=after), limit
    )


def _replay_one(letter: str, as_json: bool) -> None:
    from scheduler.cli.context import quiet_run_log, run_operation, wait_for_runs
    from scheduler.identity.principal import command_caller

    async def work(program: Program) -> RunRecord | None:
        run = await program.operations.dead_letters.replay(letter, caller=command_caller())
        return next(iter(await wait_for_runs(program, [run.id])), None)

    with quiet_run_log():
        record = run_operation("dead-letters replay", work, listing_hint=_LISTING_HINT)
    if record is None or record.run is None:
        fail(f"the replay of {letter} did not finish, see the log", EXIT_FAILED)
    if as_json:
        from scheduler.features.runs.models import view_run

        show_model(view_run(record))
    else:
        from scheduler.cli.run_report import show_run

        show_run(record.run)
    if record.run.outcome != "succeeded":
        raise typer.Exit(EXIT_FAILED)


def _replay_many(letter_filter: LetterFilter, per_second: float, limit: int, dry_run: bool, as_json: bool) -> None:
    from scheduler.cli.context import count_finished_runs, quiet_run_log, run_operation, wait_for_runs
    from scheduler.cli.run_report import show_runs
    from scheduler.identity.principal import command_caller

    async def work(program: Program) -> tuple[ReplayModel, list[RunRecord]]:
        replayed = await program.operations.dead_letters.replay_all(
            letter_filter, per_second=per_second, limit=limit, dry_run=dry_run, caller=command_caller()
        )
        runs = [letter.replayed_by for letter in replayed.dead_letters if letter.replayed_by and not dry_run]
        return replayed, await wait_for_runs(program, runs)

    with quiet_run_log(), count_finished_runs() as listener:
        replayed, records = run_operation("dead-letters replay", work, job=letter_filter.job, listener=listener)
    if as_json:
        show_model(replayed)
    elif dry_run:
        show_items(replayed.dead_letters, _FIELDS)
    else:
        show_runs(records)
    for job in replayed.unknown_jobs:
        print_note(f"there is no job named {job} any more: its dead letters are not replayed")
    if replayed.remaining:
        print_note(f"{replayed.remaining} more match: raise --limit, or repeat the command")
    if not replayed.dead_letters:
        print_note("no dead letter that can be replayed matches")
    if any(record.run is None or record.run.outcome != "succeeded" for record in records):
        raise typer.Exit(EXIT_FAILED)
