"""A finished run with its attempts, their phases and their details, for `run`, `history` and replays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.formats.counts import format_count
from jobs.formats.instants import format_iso_instant
from jobs.formats.trace_ids import format_trace_id
from scheduler.cli.attempt_details import print_details, show_details
from scheduler.cli.output import Cell, Column, escape_controls, is_terminal, show_table, show_tabs, show_text
from scheduler.cli.run_table import format_number, outcome_style
from scheduler.cli.times import format_local, format_milliseconds

if TYPE_CHECKING:
    from jobs.runs import Attempt, Run

_PHASES = ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "total_ms")
_FIELDS = ("attempt", "started_at", "status", *_PHASES, "error", "message", "wait_ms")


def show_run(run: Run) -> None:
    """The result in a line, why in a sentence, then the attempts."""
    if is_terminal():
        from rich.text import Text

        show_text(
            Text.assemble(
                (run.job, "bold"), " ", (str(run.outcome), outcome_style(run.outcome)), _describe_attempts(run)
            )
        )
        if run.message:
            show_text(Text(escape_controls(run.message)))
        if run.attempts:
            _show_attempts(run.attempts)
            show_details(run.attempts)
        show_text(Text(_describe_identity(run), "dim"))
        return
    print(f"{run.job} {run.outcome}{_describe_attempts(run)}")
    if run.message:
        print(escape_controls(run.message))
    show_tabs(_FIELDS, map(_fields, run.attempts))
    print_details(run.attempts)
    print(f"trace\t{format_trace_id(run.id)}")


def _describe_identity(run: Run) -> str:
    """What a table of runs would say of it; and the run whose chain, replay or backfill it is."""
    text = f"run {run.id} ({run.trigger}), due {format_local(run.due_at)}, trace {format_trace_id(run.id)}"
    return text if run.correlation_id in ("", run.id) else f"{text}, after {run.correlation_id}"


def _describe_attempts(run: Run) -> str:
    count = len(run.attempts)
    if not count:
        return ""
    degraded = ", degraded" if run.degraded else ""
    return f"{degraded} after {format_count(count, 'attempt')} in {format_milliseconds(run.duration_ms)}"


def _show_attempts(attempts: tuple[Attempt, ...]) -> None:
    phases = [name for name in _PHASES if any(getattr(attempt.phases, name) is not None for attempt in attempts)]
    columns = (
        Column("attempt", align_right=True),
        Column("status", align_right=True),
        *(Column(name.removesuffix("_ms").replace("_", " "), align_right=True) for name in phases),
        Column("what happened", no_wrap=False),
        Column("then waited", align_right=True),
    )
    show_table(columns, (_cells(attempt, phases) for attempt in attempts))


def _cells(attempt: Attempt, phases: list[str]) -> tuple[Cell, ...]:
    times = (format_milliseconds(getattr(attempt.phases, name)) for name in phases)
    happened: Cell = ("ok", "green") if not attempt.message else (attempt.message, "red" if attempt.error else "yellow")
    waited = format_milliseconds(attempt.wait_ms) if attempt.wait_ms is not None else ""
    return str(attempt.number), str(attempt.status or "-"), *times, happened, waited


def _fields(attempt: Attempt) -> tuple[str, ...]:
    phases = (format_number(getattr(attempt.phases, name)) for name in _PHASES)
    head = (str(attempt.number), format_iso_instant(attempt.started_at, precise=True), str(attempt.status or ""))
    return *head, *phases, attempt.error or "", attempt.message, format_number(attempt.wait_ms)
