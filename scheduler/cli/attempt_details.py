"""The steps, TLS session, DNS records and health of an attempt, for `run`, `history` and replays. Called by results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.formats.counts import format_count
from jobs.formats.instants import format_iso_instant
from scheduler.cli.output import Column, escape_controls, show_table, show_tabs, show_text
from scheduler.cli.run_table import format_number, outcome_style
from scheduler.cli.times import format_local, format_milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from jobs.runs import Attempt
    from jobs.runs.details import CertificateDetail, DnsDetail, HealthDetail, StepDetail, TlsDetail

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
