"""Shows runs: as rows of tables, and one finished run with its attempts, their phases and their details."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.formats import format_count, format_iso_instant
from jobs.runs.waits import NOTABLE_LATENESS_MS, explain_lateness
from jobs.trace_ids import format_trace_id
from scheduler.cli.output import Cell, Column, escape_controls, is_terminal, show_table, show_tabs, show_text
from scheduler.cli.times import format_local, format_milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from jobs.runs import Attempt, Run
    from jobs.runs.details import CertificateDetail, DnsDetail, HealthDetail, StepDetail, TlsDetail
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
    """Return the outcome with its colour, and whether it is degraded."""
    word = outcome_text(record)
    if record.run is not None and record.run.is_unknown:
        return "unknown", "yellow"
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


def describe_notable_lateness(run: Run) -> str:
    """Return why a run started notably late, as a sentence; empty for other runs."""
    return explain_lateness(run.waits, run.lateness_ms) if run.lateness_ms >= NOTABLE_LATENESS_MS else ""


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


_STEP_FIELDS = ("attempt", "step", "status", "duration_ms", "outcome", "error", "cleanup")


def show_details(attempts: tuple[Attempt, ...]) -> None:
    """On a terminal: those of the last attempt that has some, as it decides the run."""
    attempt = next((attempt for attempt in reversed(attempts) if attempt.details is not None), None)
    if attempt is None or attempt.details is None:
        return
    details = attempt.details
    if details.steps:
        which = f"steps of attempt {attempt.number}" if len(attempts) > 1 else ""
        _show_steps(details.steps, which)
    for label, text in _lines(attempt):
        from rich.text import Text

        show_text(Text.assemble((f"{label}  ", "bold"), escape_controls(text)))


def print_details(attempts: tuple[Attempt, ...]) -> None:
    """For a program: a table of the steps of all attempts, then a line each of what the last attempt saw."""
    rows = [
        (str(attempt.number), *_step_fields(step))
        for attempt in attempts
        if attempt.details is not None
        for step in attempt.details.steps
    ]
    if rows:
        show_tabs(_STEP_FIELDS, rows)
    if attempts:
        for label, text in _lines(attempts[-1], exact=True):
            print(f"{label}\t{escape_controls(text)}")


def _show_steps(steps: tuple[StepDetail, ...], title: str) -> None:
    columns = (
        Column("step"),
        Column("status", align_right=True),
        Column("took", align_right=True),
        Column("outcome"),
        Column("error"),
    )
    rows = (
        (
            f"{step.name} (cleanup)" if step.cleanup else step.name,
            str(step.status or "-"),
            format_milliseconds(step.took_ms),
            (step.outcome.value, outcome_style(step.outcome)),
            (step.error, "red"),
        )
        for step in steps
    )
    show_table(columns, rows, title=title)


def _step_fields(step: StepDetail) -> tuple[str, ...]:
    cleanup = "true" if step.cleanup else ""
    return step.name, str(step.status or ""), format_number(step.took_ms), step.outcome, step.error, cleanup


def _lines(attempt: Attempt, *, exact: bool = False) -> Iterator[tuple[str, str]]:
    """Labels and texts; `exact`: with instants for programs."""
    details = attempt.details
    if details is None:
        return
    if details.tls is not None:
        yield from _tls_lines(details.tls, attempt.started_at, exact=exact)
    if details.dns is not None:
        yield from _dns_lines(details.dns)
    if details.health is not None:
        yield from _health_lines(details.health)


def _tls_lines(tls: TlsDetail, at: datetime, *, exact: bool) -> Iterator[tuple[str, str]]:
    if tls.version:
        yield "tls", tls.version
    if tls.certificate is not None:
        yield "certificate", _certificate(tls.certificate, at, exact=exact)


def _certificate(certificate: CertificateDetail, at: datetime, *, exact: bool) -> str:
    """`api.example, issued by R11, expires 2027-01-01 12:00:00 UTC (36 days left), names: api.example, ...`."""
    expires = format_iso_instant(certificate.expires_at) if exact else format_local(certificate.expires_at)
    days = certificate.days_left(at)
    left = f"{format_count(days, 'day')} left" if days >= 0 else "expired"
    text = f"{certificate.subject}, issued by {certificate.issuer}, expires {expires} ({left})"
    return f"{text}, names: {_with_rest(certificate.names, certificate.name_count)}" if certificate.names else text


def _dns_lines(dns: DnsDetail) -> Iterator[tuple[str, str]]:
    ttl = "" if dns.ttl_s is None else f", TTL {dns.ttl_s} s"
    yield "dns", f"{dns.rcode} from {dns.server}{ttl}"
    if dns.record_count:
        yield "records", _with_rest(dns.records, dns.record_count)


def _health_lines(health: HealthDetail) -> Iterator[tuple[str, str]]:
    """The document as a whole, then each entry that is not up, and the number of the others."""
    yield "health", health.word
    up = [entry for entry in health.entries if entry.status == "up"]
    for entry in health.entries:
        if entry.status != "up":
            took = "" if entry.duration_ms is None else format_milliseconds(entry.duration_ms)
            more = ", ".join(filter(None, (entry.text, entry.observed, took)))
            ignored = "" if entry.effect != "none" else " (does not count)"
            yield "entry", f"{entry.name}: {entry.word}{ignored}{f', {more}' if more else ''}"
    if up:
        count = len(up) + health.entry_count - len(health.entries)
        yield "up", format_count(count, "entry", "entries")


def _with_rest(shown: tuple[str, ...], count: int) -> str:
    rest = count - len(shown)
    return ", ".join(shown) if not rest else ", ".join((*shown, f"and {rest} more"))


_PHASES = ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "total_ms")
_FIELDS = ("attempt", "started_at", "status", *_PHASES, "error", "message", "wait_ms")


def show_run(run: Run) -> None:
    """The result in a line, why in a sentence, why it started late in another one, then the attempts."""
    late = explain_lateness(run.waits, run.lateness_ms)
    if is_terminal():
        from rich.text import Text

        show_text(
            Text.assemble(
                (run.job, "bold"), " ", (str(run.outcome), outcome_style(run.outcome)), _describe_attempts(run)
            )
        )
        if run.message:
            show_text(Text(escape_controls(run.message)))
        if late:
            show_text(Text(escape_controls(late)))
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
    if late:
        print(f"late\t{escape_controls(late)}")
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
    starved = "; its response time is unreliable: the scheduler lacked CPU" if run.starved else ""
    return f"{degraded} after {format_count(count, 'attempt')} in {format_milliseconds(run.duration_ms)}{starved}"


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
