"""`dead-letters`: what was given up. Lists, shows, replays and discards it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import FAILED, Column, clean, fail, note, on_terminal, show_json, show_table, show_tabs
from scheduler.cli.texts import iso, local

if TYPE_CHECKING:
    from scheduler.app import Program, Reading
    from scheduler.operations.replaying import Replayed, Wanted
    from scheduler.stores.dead_letters import DeadLetter
    from scheduler.stores.runs import Record

_PAGE = 500
_LISTED_BY = "`dead-letters list` lists them"
_FIELDS = ("id", "at", "job", "attempts", "error", "state", "replayed_by", "reason")

ABOUT = """Runs and messages that were given up: list, show, replay, discard.

A run becomes a dead letter when it is down after its last attempt and its job says `dead_letter: true`, or when the
platform delivered it in vain as often as it may.

\b
Examples:
  dead-letters list
  dead-letters replay --job checkout-api --dry-run"""

dead_letters = typer.Typer(help=ABOUT, no_args_is_help=True)

Letter = Annotated[str, typer.Argument(metavar="ID", help="The dead letter's id; `dead-letters list` shows it.")]


@dead_letters.command("list")
def list_letters(
    job: Annotated[str | None, typer.Option("--job", help="Only this job's.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on any output, as GET /api/dead-letters.")] = False,
) -> None:
    """What was given up, newest first.

    \b
    Examples:
      dead-letters list
      dead-letters list --job checkout-api | cut -f 1,8
    """
    from scheduler.cli.configured import configured, in_history, known_job

    letters = in_history("dead-letters list", lambda program: _letters(program, job, limit))
    if job is not None and not letters:
        known_job(configured("dead-letters list"), job)
    if as_json:
        from scheduler.api.letter_models import LetterList, LetterSummary

        listed = [LetterSummary.of(letter) for letter in letters]
        show_json(LetterList(dead_letters=listed, continuation=None).model_dump_json(indent=2))
        return
    if not letters:
        note("there are no dead letters" if job is None else f"{job} has no dead letters")
    _show(letters)


@dead_letters.command("show")
def show_letter(
    letter: Letter,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on any output, as GET /api/dead-letters/ID.")] = False,
) -> None:
    """One dead letter with all that is known: reason, attempts, traceback, the job as it was then.

    \b
    Examples:
      dead-letters show 20261125T015030.000Z.0123456789ab
    """
    from scheduler.cli.configured import in_history

    found = in_history("dead-letters show", lambda program: program.queries.dead_letter(letter))
    if found is None:
        fail(f"there is no dead letter {letter!r}; {_LISTED_BY}", FAILED)
    if as_json:
        from scheduler.api.letter_models import LetterDetail

        show_json(LetterDetail.of_letter(found).model_dump_json(indent=2))
        return
    _show_one(found)


@dead_letters.command("replay")
def replay_letters(
    letter: Annotated[str | None, typer.Argument(metavar="ID", help="One letter; or choose by the options.")] = None,
    job: Annotated[str | None, typer.Option("--job", help="Those of this job.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Those with this text in their reason.")] = "",
    after: Annotated[
        str | None, typer.Option("--after", metavar="ISO", help="Given up at this instant or later.")
    ] = None,
    before: Annotated[str | None, typer.Option("--before", metavar="ISO", help="Given up before this instant.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most, the oldest.")] = 100,
    per_second: Annotated[float, typer.Option("--per-second", help="Runs that begin in a second.")] = 5.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on any output.")] = False,
) -> None:
    """Run again what was given up, by the definition in force now, and wait for the end.

    A letter is replayed once. Exit code 1: a run did not succeed, or the letter was replayed already.

    \b
    Examples:
      dead-letters replay 20261125T015030.000Z.0123456789ab
      dead-letters replay --job checkout-api --reason refused --dry-run
      dead-letters replay --after 2026-11-25T00:00:00Z --per-second 2
    """
    from scheduler.cli.options import instant_option
    from scheduler.operations.replaying import Wanted

    wanted = Wanted(job, reason, instant_option("--after", after), instant_option("--before", before))
    if letter is None and wanted == Wanted():
        fail("say which letters: one by its ID, or many by --job, --reason, --after or --before")
    elif letter is None:
        _replay_many(wanted, per_second, limit, dry_run, as_json)
    elif wanted != Wanted() or dry_run:
        fail("either one dead letter by its id, or many by options")
    else:
        _replay_one(letter, as_json)


@dead_letters.command("discard")
def discard_letter(letter: Letter) -> None:
    """Delete a dead letter for good.

    \b
    Examples:
      dead-letters discard 20261125T015030.000Z.0123456789ab
    """
    from scheduler.cli.changes import changed
    from scheduler.operations.audit import Way

    changed(
        "dead-letters discard",
        lambda program: program.operations.replaying.discard(letter, way=Way.COMMAND_LINE),
        listed_by=_LISTED_BY,
    )
    print(clean(f"{letter} is discarded"))


async def _letters(program: Reading, job: str | None, limit: int) -> list[DeadLetter]:
    letters: list[DeadLetter] = []
    continuation: str | None = ""
    while continuation is not None and len(letters) < limit:
        wanted = min(_PAGE, limit - len(letters))
        page = await program.queries.dead_letters(job=job, limit=wanted, continuation=continuation)
        letters += page.letters
        continuation = page.continuation
    return letters


def _replay_one(letter: str, as_json: bool) -> None:
    from scheduler.cli.changes import changed, settled, unlogged
    from scheduler.operations.audit import Way

    async def work(program: Program) -> Record | None:
        record = await program.operations.replaying.replay(letter, way=Way.COMMAND_LINE)
        await settled(program, [record.ticket.id])
        return await program.queries.run(record.ticket.id)

    with unlogged():
        record = changed("dead-letters replay", work, listed_by=_LISTED_BY)
    if record is None or record.run is None:
        fail(f"the replay of {letter} did not come to its end, see the log", FAILED)
    if as_json:
        from scheduler.api.models import RunModel

        show_json(RunModel.of(record).model_dump_json(indent=2))
    else:
        from scheduler.cli.results import show_run

        show_run(record.run)
    if record.run.outcome != "succeeded":
        raise typer.Exit(FAILED)


def _replay_many(wanted: Wanted, per_second: float, limit: int, dry_run: bool, as_json: bool) -> None:
    from scheduler.cli.changes import changed, counted, settled, unlogged
    from scheduler.cli.outcomes import show_runs
    from scheduler.operations.audit import Way

    async def work(program: Program) -> tuple[Replayed, list[Record]]:
        replayed = await program.operations.replaying.replay_all(
            wanted, per_second=per_second, limit=limit, dry_run=dry_run, way=Way.COMMAND_LINE
        )
        runs = [letter.replay.ticket.id for letter in replayed.letters if letter.replay is not None and not dry_run]
        await settled(program, runs)
        records = [await program.queries.run(run_id) for run_id in runs]
        return replayed, [record for record in records if record is not None]

    with unlogged(), counted() as listener:
        replayed, records = changed("dead-letters replay", work, job=wanted.job, listener=listener)
    if as_json:
        from scheduler.api.letter_models import ReplayModel

        show_json(ReplayModel.of(replayed, dry_run=dry_run).model_dump_json(indent=2))
    elif dry_run:
        _show(replayed.letters)
    else:
        show_runs(records)
    for job in replayed.unknown:
        note(f"{job} is no job any more, so its letters stay as they are")
    if replayed.left:
        note(f"{replayed.left} more fit: raise --limit, or replay again")
    if not replayed.letters:
        note("no dead letter fits that is not replayed yet")
    if any(record.run is None or record.run.outcome != "succeeded" for record in records):
        raise typer.Exit(FAILED)


def _show(letters: list[DeadLetter] | tuple[DeadLetter, ...]) -> None:
    if not on_terminal():
        show_tabs(_FIELDS, map(_fields, letters))
    elif letters:
        columns = (
            Column("id", "bold"),
            Column("given up", spare=True),
            Column("job"),
            Column("attempts", right=True, spare=True),
            Column("state"),
            Column("reason", whole=False, least=20),
        )
        show_table(columns, map(_cells, letters))


def _cells(letter: DeadLetter) -> tuple[str, ...]:
    from scheduler.api.letter_models import state_of

    return letter.id, local(letter.at), letter.job or "-", str(letter.attempts), state_of(letter), letter.reason


def _fields(letter: DeadLetter) -> tuple[str, ...]:
    from scheduler.api.letter_models import state_of

    replayed_by = letter.replay.ticket.id if letter.replay is not None else ""
    head = (letter.id, iso(letter.at, precise=True), letter.job or "", str(letter.attempts), letter.error or "")
    return *head, state_of(letter), replayed_by, letter.reason


def _show_one(letter: DeadLetter) -> None:
    """Key and value a line, then what has several lines of its own."""
    import json

    known: list[tuple[str, str | datetime | None]] = [
        ("id", letter.id),
        ("given up", letter.at),
        ("job", letter.job),
        ("run", letter.ticket.id if letter.ticket else None),
        ("reason", letter.reason),
        ("error", letter.error),
        ("replayed by", letter.replay.ticket.id if letter.replay else None),
        ("message", letter.message or None),
    ]
    for name, value in known:
        if value is not None:
            print(f"{name}: {clean(iso(value, precise=True) if isinstance(value, datetime) else value)}")
    for attempt in letter.tried:
        print(clean(f"attempt {attempt.number}: {attempt.message}"))
    if letter.definition is not None:
        print(f"definition: {json.dumps(letter.definition, ensure_ascii=True)}")
    for line in letter.traceback.splitlines():
        print(clean(line))
