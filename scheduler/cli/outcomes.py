"""How a run went, as cells of tables. Used by the commands that show runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scheduler.cli.output import Column, on_terminal, show_table, show_tabs
from scheduler.cli.texts import iso, local

if TYPE_CHECKING:
    from scheduler.stores.runs import Record

_STYLES = {
    "succeeded": "green",
    "failed": "bold red",
    "timed_out": "bold red",
    "rejected": "magenta",
    "skipped": "yellow",
    "cancelled": "yellow",
    "queued": "dim",
    "running": "cyan",
}


def outcome_word(record: Record) -> str:
    """The outcome; of a run that is not finished, its state."""
    return str(record.run.outcome if record.run is not None else record.state)


def outcome_cell(record: Record) -> tuple[str, str]:
    """The same with its colour, and whether it is degraded."""
    word = outcome_word(record)
    if record.run is not None and record.run.degraded:
        return f"{word}, degraded", "yellow"
    return word, style_of(word)


def style_of(word: str) -> str:
    """The rich style of an outcome or a state."""
    return _STYLES.get(word, "")


def number(value: float | None) -> str:
    """Milliseconds for a program; empty if there are none."""
    return "" if value is None else f"{value:.3f}"


RUN_FIELDS = ("due_at", "outcome", "attempts", "duration_ms", "lateness_ms", "error", "message", "trigger", "id")


def run_fields(record: Record) -> tuple[str, ...]:
    """A run's line for a program, see RUN_FIELDS."""
    ticket, run = record.ticket, record.run
    head = (iso(ticket.due_at, precise=True), outcome_word(record))
    if run is None:
        return (*head, "", "", "", "", "", str(ticket.trigger), ticket.id)
    times = (number(run.duration_ms), number(run.lateness_ms))
    return (*head, str(len(run.attempts)), *times, run.error or "", run.message, str(run.trigger), run.id)


def show_runs(records: Sequence[Record]) -> None:
    """Runs that a command made: lines for a program, a table for a person."""
    if not on_terminal():
        show_tabs(RUN_FIELDS, map(run_fields, records))
    elif records:
        columns = (
            Column("job", "bold"),
            Column("due"),
            Column("outcome"),
            Column("what happened", whole=False),
        )
        rows = (
            (
                record.ticket.job,
                local(record.ticket.due_at),
                outcome_cell(record),
                record.run.message if record.run else "",
            )
            for record in records
        )
        show_table(columns, rows)
