"""How a run went, as cells of tables. Used by the commands that show runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.formats.instants import format_iso_instant
from scheduler.cli.output import Column, is_terminal, show_table, show_tabs
from scheduler.cli.times import format_local

if TYPE_CHECKING:
    from scheduler.stores.runs.repository import RunRecord

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


def outcome_text(record: RunRecord) -> str:
    """The outcome; of a run that is not finished, its state."""
    return str(record.run.outcome if record.run is not None else record.state)


def outcome_cell(record: RunRecord) -> tuple[str, str]:
    """The same with its colour, and whether it is degraded."""
    word = outcome_text(record)
    if record.run is not None and record.run.degraded:
        return f"{word}, degraded", "yellow"
    return word, outcome_style(word)


def outcome_style(word: str) -> str:
    """The rich style of an outcome or a state."""
    return _STYLES.get(word, "")


def format_number(value: float | None) -> str:
    """Milliseconds for a program; empty without a value."""
    return "" if value is None else f"{value:.3f}"


RUN_FIELDS = ("due_at", "outcome", "attempts", "duration_ms", "lateness_ms", "error", "message", "trigger", "id")


def run_fields(record: RunRecord) -> tuple[str, ...]:
    """A run's line for a program, see RUN_FIELDS."""
    ticket, run = record.ticket, record.run
    head = (format_iso_instant(ticket.due_at, precise=True), outcome_text(record))
    if run is None:
        return (*head, "", "", "", "", "", str(ticket.trigger), ticket.id)
    times = (format_number(run.duration_ms), format_number(run.lateness_ms))
    return (*head, str(len(run.attempts)), *times, run.error or "", run.message, str(run.trigger), run.id)


def show_runs(records: Sequence[RunRecord]) -> None:
    """Runs that a command made: lines for a program, a table for a person."""
    if not is_terminal():
        show_tabs(RUN_FIELDS, map(run_fields, records))
    elif records:
        columns = (
            Column("job", "bold"),
            Column("due"),
            Column("outcome"),
            Column("what happened", no_wrap=False),
        )
        rows = (
            (
                record.ticket.job,
                format_local(record.ticket.due_at),
                outcome_cell(record),
                record.run.message if record.run else "",
            )
            for record in records
        )
        show_table(columns, rows)
