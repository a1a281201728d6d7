"""A finished run with its attempts, their phases and their details, for `run`, `history` and replays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.cli.details import print_details, show_details
from scheduler.cli.outcomes import number, style_of
from scheduler.cli.output import Cell, Column, clean, on_terminal, show_table, show_tabs, show_text
from scheduler.cli.texts import iso, local, milliseconds

if TYPE_CHECKING:
    from jobs.runs import Attempt, Run

_PHASES = ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "total_ms")
_FIELDS = ("attempt", "started_at", "status", *_PHASES, "error", "message", "wait_ms")


def show_run(run: Run) -> None:
    """The result in a line, why in a sentence, then the attempts."""
    if on_terminal():
        from rich.text import Text

        show_text(Text.assemble((run.job, "bold"), " ", (str(run.outcome), style_of(run.outcome)), _how(run)))
        if run.message:
            show_text(Text(clean(run.message)))
        if run.attempts:
            _show_attempts(run.attempts)
            show_details(run.attempts)
        show_text(Text(_which(run), "dim"))
        return
    print(f"{run.job} {run.outcome}{_how(run)}")
    if run.message:
        print(clean(run.message))
    show_tabs(_FIELDS, map(_fields, run.attempts))
    print_details(run.attempts)


def _which(run: Run) -> str:
    """What a table of runs would say of it; and the run whose chain, replay or backfill it is."""
    text = f"run {run.id} ({run.trigger}), due {local(run.due_at)}"
    return text if run.correlation_id in ("", run.id) else f"{text}, after {run.correlation_id}"


def _how(run: Run) -> str:
    count = len(run.attempts)
    if not count:
        return ""
    degraded = ", degraded" if run.degraded else ""
    return f"{degraded} after {count} {'attempt' if count == 1 else 'attempts'} in {milliseconds(run.duration_ms)}"


def _show_attempts(attempts: tuple[Attempt, ...]) -> None:
    phases = [name for name in _PHASES if any(getattr(attempt.phases, name) is not None for attempt in attempts)]
    columns = (
        Column("attempt", right=True),
        Column("status", right=True),
        *(Column(name.removesuffix("_ms").replace("_", " "), right=True) for name in phases),
        Column("what happened", whole=False),
        Column("then waited", right=True),
    )
    show_table(columns, (_cells(attempt, phases) for attempt in attempts))


def _cells(attempt: Attempt, phases: list[str]) -> tuple[Cell, ...]:
    times = (milliseconds(getattr(attempt.phases, name)) for name in phases)
    happened: Cell = ("ok", "green") if not attempt.message else (attempt.message, "red" if attempt.error else "yellow")
    waited = milliseconds(attempt.wait_ms) if attempt.wait_ms is not None else ""
    return str(attempt.number), str(attempt.status or "-"), *times, happened, waited


def _fields(attempt: Attempt) -> tuple[str, ...]:
    phases = (number(getattr(attempt.phases, name)) for name in _PHASES)
    head = (str(attempt.number), iso(attempt.started_at, precise=True), str(attempt.status or ""))
    return *head, *phases, attempt.error or "", attempt.message, number(attempt.wait_ms)
