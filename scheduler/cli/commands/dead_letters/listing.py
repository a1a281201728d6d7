"""Dead letters as a table, as lines, and one with all its details. Used by group and replay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from jobs.formats.instants import format_iso_instant
from scheduler.cli.output import Column, escape_controls, is_terminal, show_table, show_tabs
from scheduler.cli.times import format_local

if TYPE_CHECKING:
    from scheduler.app import ReadOnlyProgram
    from scheduler.stores.dead_letters import DeadLetter

_PAGE = 500
LISTING_HINT = "`dead-letters list` lists all dead letters"
_FIELDS = ("id", "at", "job", "attempts", "error", "state", "replayed_by", "reason")


async def read_letters(program: ReadOnlyProgram, job: str | None, limit: int) -> list[DeadLetter]:
    letters: list[DeadLetter] = []
    continuation: str | None = ""
    while continuation is not None and len(letters) < limit:
        page_size = min(_PAGE, limit - len(letters))
        page = await program.queries.list_dead_letters(job=job, limit=page_size, continuation=continuation)
        letters += page.letters
        continuation = page.continuation
    return letters


def show_letters(letters: Sequence[DeadLetter]) -> None:
    if not is_terminal():
        show_tabs(_FIELDS, map(_fields, letters))
    elif letters:
        columns = (
            Column("id", "bold"),
            Column("at", is_optional=True),
            Column("job"),
            Column("attempts", align_right=True, is_optional=True),
            Column("state"),
            Column("reason", no_wrap=False, min_width=20),
        )
        show_table(columns, map(_cells, letters))


def _cells(letter: DeadLetter) -> tuple[str, ...]:
    from scheduler.api.models.dead_letters import replay_state

    return (
        letter.id,
        format_local(letter.at),
        letter.job or "-",
        str(letter.attempts),
        replay_state(letter),
        letter.reason,
    )


def _fields(letter: DeadLetter) -> tuple[str, ...]:
    from scheduler.api.models.dead_letters import replay_state

    replayed_by = letter.replay.ticket.id if letter.replay is not None else ""
    head = (
        letter.id,
        format_iso_instant(letter.at, precise=True),
        letter.job or "",
        str(letter.attempts),
        letter.error or "",
    )
    return *head, replay_state(letter), replayed_by, letter.reason


def show_letter_details(letter: DeadLetter) -> None:
    """Key and value a line, then values of several lines."""
    import json

    known: list[tuple[str, str | datetime | None]] = [
        ("id", letter.id),
        ("at", letter.at),
        ("job", letter.job),
        ("run", letter.ticket.id if letter.ticket else None),
        ("reason", letter.reason),
        ("error", letter.error),
        ("replayed by", letter.replay.ticket.id if letter.replay else None),
        ("message", letter.message or None),
    ]
    for name, value in known:
        if value is not None:
            print(
                f"{name}: "
                f"{escape_controls(format_iso_instant(value, precise=True) if isinstance(value, datetime) else value)}"
            )
    for attempt in letter.tried:
        print(escape_controls(f"attempt {attempt.number}: {attempt.message}"))
    if letter.definition is not None:
        print(f"definition: {json.dumps(letter.definition, ensure_ascii=True)}")
    for line in letter.traceback.splitlines():
        print(escape_controls(line))
