"""`dead-letters`: list, show, replay and discard dead letters."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.cli.commands.dead_letters.listing import (
    LISTING_HINT,
    read_letters,
    show_letter_details,
    show_letters,
)
from scheduler.cli.output import EXIT_FAILED, escape_controls, fail, print_note, show_json

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

    letters = run_without_jobs("dead-letters list", lambda program: read_letters(program, job, limit))
    if job is not None and not letters:
        require_job(load_for_command("dead-letters list"), job)
    if as_json:
        from scheduler.api.models.dead_letters import DeadLetterList, DeadLetterSummary

        listed = [DeadLetterSummary.from_letter(letter) for letter in letters]
        show_json(DeadLetterList(dead_letters=listed, continuation=None).model_dump_json(indent=2))
        return
    if not letters:
        print_note("there are no dead letters" if job is None else f"{job} has no dead letters")
    show_letters(letters)


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

    found = run_without_jobs("dead-letters show", lambda program: program.queries.find_dead_letter(letter))
    if found is None:
        fail(f"there is no dead letter {letter!r}; {LISTING_HINT}", EXIT_FAILED)
    if as_json:
        from scheduler.api.models.dead_letters import DeadLetterDetail
        from scheduler.identity.principal import command_caller

        show_json(DeadLetterDetail.from_full_letter(found, command_caller().principal).model_dump_json(indent=2))
        return
    show_letter_details(found)


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
    from scheduler.cli.commands.dead_letters.replay import replay_many, replay_one
    from scheduler.cli.times import parse_instant_option
    from scheduler.operations.dead_letters import LetterFilter

    between = parse_instant_option("--after", after), parse_instant_option("--before", before)
    letter_filter = LetterFilter(job, reason, *between)
    if letter is None and letter_filter == LetterFilter():
        fail("no dead letters selected: give an ID, or --job, --reason, --after or --before")
    elif letter is None:
        replay_many(letter_filter, per_second, limit, dry_run, as_json)
    elif letter_filter != LetterFilter() or dry_run:
        fail("give either the ID of one dead letter, or options that select several")
    else:
        replay_one(letter, as_json)


@dead_letters.command("discard")
def discard_letter(letter: LetterId) -> None:
    """Delete a dead letter permanently.

    \b
    Examples:
      dead-letters discard 20261125T015030.000Z.0123456789ab
    """
    from scheduler.cli.context import run_operation
    from scheduler.identity.command_caller import command_caller
    from scheduler.cli.mutations import run_operation
    from scheduler.identity.principal import command_caller

    run_operation(
        "dead-letters discard",
        lambda program: program.operations.dead_letters.discard(letter, caller=command_caller()),
        listing_hint=LISTING_HINT,
    )
    print(escape_controls(f"{letter} was discarded"))
