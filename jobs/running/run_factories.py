"""Builds attempts and runs as they are recorded: their details, and the excerpt of an answer that failed. Pure.

The limits keep a run's row small: a job with an interval of 10 s writes 8,640 rows a day, and SQLite stores a row of
more than about 1,000 bytes in a separate page (4,096 bytes). Only long checks with steps exceed that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jobs.certificates import Certificate, UnreadableCertificate, read_certificate
from jobs.expectations.entry import JudgedAnswer
from jobs.expectations.judging import MAX_LISTED_FAILURES, describe_degraded, describe_unmet
from jobs.problems import make_printable
from jobs.redaction import Redact
from jobs.runs import Attempt, ErrorClass, Failure, Observation, Outcome, Run, Severity, Ticket
from jobs.runs.details import (
    CertificateDetail,
    Details,
    DnsDetail,
    EntryStatus,
    HealthDetail,
    ReportedEntry,
    StepDetail,
    StepOutcome,
    TlsDetail,
    split_entries,
)
from jobs.runs.outcomes import Reason, ReasonCode

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from jobs.ports import Clock
    from jobs.redaction import Redactor

MAX_STEP_DETAILS = 100
"""The maximum of a check, including its `cleanup`."""
MAX_CERTIFICATE_NAMES = 5
"""Names of a certificate. Those of a content delivery network have a hundred."""
MAX_CERTIFICATE_NAMES_LENGTH = 200
"""Characters of all names of a certificate."""
MAX_DETAIL_NAME = 100
"""Characters of a subject, an issuer, a name or a step's name."""
MAX_DNS_RECORDS = 20
MAX_DNS_RECORD = 255
"""Characters of a DNS record."""
MAX_DNS_RECORDS_LENGTH = 500
"""Characters of all records."""
MAX_HEALTH_TEXT = 200
"""Characters of the text of an entry of a health document."""
MAX_HEALTH_TEXTS = 2000
"""Characters of all of them."""

_CACHED_CERTIFICATES = 256
"""A certificate is parsed once and used by thousands of runs. An entry takes 2 to 5 KiB."""
_REDACTED_AHEAD = 4096
"""Characters beyond the limit that are searched for secrets: redaction shortens the text."""


def build_details(seen: Observation, redact: Redact) -> Details | None:
    """Return the details of an observation, printable and redacted; None if it has none."""
    facts = seen.facts
    steps, has_answer = facts.get("steps", ()), "rcode" in facts
    has_tls = bool(facts.get("tls_version") or seen.certificates)
    if not (steps or has_tls or has_answer or seen.health is not None):
        return None
    texts = _Texts(redact)
    return Details(
        steps=tuple(_step(step, texts) for step in steps[:MAX_STEP_DETAILS]),
        tls=_tls(seen, texts) if has_tls else None,
        dns=_dns(facts, texts) if has_answer else None,
        health=None if seen.health is None else _health(seen.health, texts),
    )


class _Texts:
    """Redacts texts, then shortens them."""

    def __init__(self, redact: Redact) -> None:
        self._redact = redact

    def short(self, text: str, most: int = MAX_DETAIL_NAME) -> str:
        """Return at most `most` characters on one line; an ellipsis marks a shortened text."""
        cut = len(text) > most + _REDACTED_AHEAD
        return make_printable(self._redact(text[: most + _REDACTED_AHEAD], cut=cut), most)


def _step(step: Mapping[str, Any], texts: _Texts) -> StepDetail:
    return StepDetail(
        name=texts.short(step["name"]),
        status=step["status"],
        took_ms=round(step["ms"], 3),
        outcome=StepOutcome(step["outcome"]),
        error=step.get("error", ""),
        cleanup=step.get("cleanup", False),
    )


def _tls(seen: Observation, texts: _Texts) -> TlsDetail:
    version = str(seen.facts.get("tls_version") or "")  # not agreed on if the certificate was not accepted
    certificate = _parsed(seen.certificates[0]) if seen.certificates else None
    return TlsDetail(version, None if certificate is None else _certificate(certificate, texts))


def _certificate(certificate: Certificate, texts: _Texts) -> CertificateDetail:
    return CertificateDetail(
        subject=texts.short(certificate.subject),
        issuer=texts.short(certificate.issuer),
        names=_first(map(texts.short, certificate.names[:MAX_CERTIFICATE_NAMES]), MAX_CERTIFICATE_NAMES_LENGTH),
        name_count=len(certificate.names),
        expires_at=certificate.not_after.replace(microsecond=0),
    )


@lru_cache(_CACHED_CERTIFICATES)
def _parsed(der: bytes) -> Certificate | None:
    try:
        return read_certificate(der)
    except UnreadableCertificate:
        return None


def _dns(facts: Mapping[str, Any], texts: _Texts) -> DnsDetail:
    answers = facts.get("answers") or ()
    return DnsDetail(
        rcode=texts.short(str(facts["rcode"])),
        records=_first(
            (texts.short(record, MAX_DNS_RECORD) for record in answers[:MAX_DNS_RECORDS]), MAX_DNS_RECORDS_LENGTH
        ),
        record_count=len(answers),
        ttl_s=facts.get("ttl"),
        server=texts.short(str(facts.get("server") or "")),
    )


def _health(health: HealthDetail, texts: _Texts) -> HealthDetail:
    first, rest = split_entries(health.entries)
    used: set[str] = set()
    entries = tuple(_entries(first, texts, used))
    return HealthDetail(
        texts.short(health.word), health.status, entries, health.entry_count, tuple(_entries(rest, texts, used))
    )


def _entries(entries: Iterable[ReportedEntry], texts: _Texts, used: set[str]) -> Iterator[ReportedEntry]:
    """Yield the entries as they are recorded. `used`: names, which can be equal once they are shortened."""
    characters_left = MAX_HEALTH_TEXTS
    words: dict[str, str] = {}
    for entry in entries:
        own, text = texts.short(entry.name), texts.short(entry.text, MAX_HEALTH_TEXT) if entry.text else ""
        name, number = own, 1
        while name in used:
            number += 1
            name = f"{own[: MAX_DETAIL_NAME - 8]} ({number})"
        used.add(name)
        if entry.status is EntryStatus.UP or len(text) > characters_left:
            text = ""
        characters_left -= len(text)
        # Words and units of the frameworks are short; others can contain anything.
        word = words.get(entry.word)
        if word is None:
            word = words[entry.word] = texts.short(entry.word)
        observed = texts.short(entry.observed) if entry.observed else ""
        yield ReportedEntry(name, entry.status, word, text, entry.duration_ms, observed, entry.effect)


def _first(texts: Iterable[str], most: int) -> tuple[str, ...]:
    """Return the leading texts that have at most `most` characters in total."""
    leading: list[str] = []
    for text in texts:
        most -= len(text)
        if most < 0:
            break
        leading.append(text)
    return tuple(leading)


DEFAULT_EXCERPT_BYTES = 2048
"""Bytes, for kinds of targets without a setting."""
_MAX_CHARACTER = 4
"""Bytes."""
_AS_THEY_ARE = "\n\t"


def extract_excerpt(seen: Observation, limit: int, redact: Redact) -> str:
    """Return the start of the body as text: at most `limit` bytes of UTF-8, redacted and printable."""
    if not (limit and seen.body):
        return ""
    # Enough bytes for any characters: a long body is not decoded as a whole.
    begin = (limit + _REDACTED_AHEAD) * _MAX_CHARACTER
    if len(seen.body) > begin:
        seen = replace(seen, body=seen.body[:begin], body_truncated=True)
    answer = JudgedAnswer(seen, redact)
    text = answer.redact(answer.text, limit + _REDACTED_AHEAD)[:limit]
    text = "".join(each if each.isprintable() or each in _AS_THEY_ARE else _escaped(each) for each in text)
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def _escaped(character: str) -> str:
    return "" if character == "\r" else character.encode("unicode_escape", "backslashreplace").decode()


def is_about_time(failure: Failure) -> bool:
    """Return whether the failed expectation compares the response time."""
    return failure.expectation == "response_time_below"


def mark_starved(attempt: Attempt, unjudged: Sequence[Failure]) -> Attempt:
    """Return the attempt of a scheduler that lacked CPU. `unjudged`: failed expectations about its response time."""
    if not unjudged:
        return replace(attempt, starved=True)
    names = ", ".join(dict.fromkeys(failure.expectation for failure in unjudged))
    note = f"Not judged: {names}, because the scheduler lacked CPU, so the response time is unreliable."
    return replace(attempt, starved=True, message=f"{attempt.message} {note}".lstrip())


ERRORS_UNRELATED_TO_TARGET = frozenset(
    {
        ErrorClass.SECRET_UNAVAILABLE,
        ErrorClass.TOKEN_UNAVAILABLE,
        ErrorClass.TARGET_DENIED,
        ErrorClass.OUT_OF_RESOURCES,
        ErrorClass.INTERNAL_ERROR,
        ErrorClass.INTERRUPTED,
    }
)
"""Errors of this program or its environment: the target's circuit does not count them."""


def build_attempt(
    number: int,
    started_at: datetime,
    seen: Observation,
    failures: tuple[Failure, ...],
    redactor: Redactor,
    excerpt_bytes: int = 0,
) -> Attempt:
    """Build a redacted attempt from an observation and its failed expectations, which `judge` has redacted.

    `excerpt_bytes`: maximum bytes of the body that are stored if the answer failed the attempt.
    """
    details = build_details(seen, redactor.redact)
    if seen.unknown:
        message = redactor.redact(seen.unknown)
        return Attempt(number, started_at, seen.phases, seen.status, message=message, details=details)
    if seen.error is not None:
        error: ErrorClass = seen.error
        message = redactor.redact(seen.message)
        return Attempt(number, started_at, seen.phases, seen.status, error, message, details=details)
    if not failures:
        return Attempt(number, started_at, seen.phases, seen.status, details=details)
    if all(failure.severity is Severity.DEGRADED for failure in failures):
        message = redactor.redact(describe_degraded(failures))
        return Attempt(number, started_at, seen.phases, seen.status, None, message, _most(failures), details=details)
    # The reason is shortened, and a secret that is cut in two would not be redacted.
    error, message = describe_unmet(replace(seen, reason=redactor.redact(seen.reason)), failures)
    return Attempt(
        number,
        started_at,
        seen.phases,
        seen.status,
        error,
        redactor.redact(message),
        _most(failures),
        body=extract_excerpt(seen, excerpt_bytes, redactor.redact),
        details=details,
    )


def _most(failures: tuple[Failure, ...]) -> tuple[Failure, ...]:
    """Return the failures that history stores, in order: decisive ones before degrading ones. The message counts the
    others."""
    if len(failures) <= MAX_LISTED_FAILURES:
        return failures
    ranked = sorted(range(len(failures)), key=lambda at: failures[at].severity is Severity.DEGRADED)
    return tuple(failures[at] for at in sorted(ranked[:MAX_LISTED_FAILURES]))


def finished_run(
    job: JobDefinition, ticket: Ticket, started_at: datetime, now: datetime, attempts: Sequence[Attempt], note: str
) -> Run:
    """Build the run from its last attempt. `note`: why no further attempt was made.

    A run for which this machine lacked resources is skipped: its result is unrelated to the target. But a run with
    `effect: once` is not executed again, so it has failed.
    """
    last = attempts[-1]
    if last.error is None:
        return _run(job, ticket, Outcome.SUCCEEDED, started_at, now, attempts, message=last.message)
    outcome = Outcome.TIMED_OUT if last.error.is_timeout else Outcome.FAILED
    if job.effect != "once" and all(each.error is ErrorClass.OUT_OF_RESOURCES for each in attempts):
        outcome = Outcome.SKIPPED
    reason = ReasonCode.OUT_OF_RESOURCES if outcome is Outcome.SKIPPED else None
    if last.error is ErrorClass.TARGET_DENIED:
        reason = ReasonCode.TARGET_DENIED
    message = f"{last.message} {note}".rstrip()
    return _run(job, ticket, outcome, started_at, now, attempts, last.error, message, reason)


def blind_run(run: Run, cause: str) -> Run:
    """Return a failed run as one that does not describe its target. `cause`: what the scheduler could not do."""
    message = f"Not judged: {cause}. The last attempt: {run.message}"
    return replace(run, outcome=Outcome.SKIPPED, message=message, reason=ReasonCode.BLIND)


def unknown_run(
    job: JobDefinition, ticket: Ticket, started_at: datetime, now: datetime, attempts: Sequence[Attempt]
) -> Run:
    """Build a run that does not show the state of its target. It is not executed again, whatever its effect."""
    message, reason = attempts[-1].message, ReasonCode.UNKNOWN
    return _run(job, ticket, Outcome.SKIPPED, started_at, now, attempts, message=message, reason=reason)


def overdue_run(
    job: JobDefinition, ticket: Ticket, started_at: datetime, now: datetime, attempts: Sequence[Attempt]
) -> Run:
    """Build a run whose time ended between two attempts."""
    message = f"The run's time ended before attempt {len(attempts) + 1} could start."
    if attempts:
        message += f" The last attempt: {attempts[-1].message}"
    return _run(job, ticket, Outcome.TIMED_OUT, started_at, now, attempts, ErrorClass.RUN_TIMEOUT, message)


def rejected_run(job: JobDefinition, ticket: Ticket, started_at: datetime, now: datetime, reason: str) -> Run:
    """Build a run that the circuit rejected."""
    message = f"Rejected: {reason}."
    code = ReasonCode.CIRCUIT_OPEN
    return _run(job, ticket, Outcome.REJECTED, started_at, now, (), ErrorClass.CIRCUIT_OPEN, message, code)


def cancelled_run(
    job: JobDefinition | None,
    ticket: Ticket,
    started_at: datetime,
    now: datetime,
    attempts: Sequence[Attempt] = (),
    *,
    cancelled_by: str = "",
) -> Run:
    """Build a run that was cancelled (`cancelled_by`: how, such as `over the API`), or interrupted by the program's
    stop.

    `job` None: the job no longer exists.
    """
    if cancelled_by:
        message = f"Cancelled {cancelled_by} before it finished."
        reason = ReasonCode.CANCELLED
        return _run(job, ticket, Outcome.CANCELLED, started_at, now, attempts, message=message, reason=reason)
    message = "The program stopped before the run finished."
    error = ErrorClass.INTERRUPTED
    return _run(job, ticket, Outcome.CANCELLED, started_at, now, attempts, error, message, ReasonCode.SHUTDOWN)


def skipped_run(job: JobDefinition | None, ticket: Ticket, clock: Clock, reason: Reason) -> Run:
    """Build a skipped run. `job` None: no such job."""
    now = clock.now()
    return _run(job, ticket, Outcome.SKIPPED, now, now, message=reason.message, reason=reason.code)


def interrupted_run(ticket: Ticket, started_at: datetime, now: datetime, job: JobDefinition | None = None) -> Run:
    """Build a run whose process died; its result is lost. `job` None: the job no longer exists.

    It is unrelated to the target. But with `effect: once` the effect may be missing, so the run has failed.
    """
    message = "The worker process died during the run; its result is unknown."
    outcome = Outcome.CANCELLED
    if job is not None and job.effect == "once":
        outcome, message = Outcome.FAILED, f"{message} It is not executed again (effect: once)."
    code = ReasonCode.INTERRUPTED
    return _run(job, ticket, outcome, started_at, now, (), ErrorClass.INTERRUPTED, message, code)


def dead_lettered_run(ticket: Ticket, now: datetime, reason: str, job: JobDefinition | None = None) -> Run:
    """Build a run that was given up before its end. It counts as down: a job that cannot run checks nothing."""
    message = f"Given up and stored as a dead letter: {reason}"
    return _run(job, ticket, Outcome.FAILED, now, now, (), ErrorClass.DEAD_LETTERED, message)


def _run(
    job: JobDefinition | None,
    ticket: Ticket,
    outcome: Outcome,
    started_at: datetime,
    now: datetime,
    attempts: Sequence[Attempt] = (),
    error: ErrorClass | None = None,
    message: str = "",
    reason: ReasonCode | None = None,
) -> Run:
    return Run(
        id=ticket.id,
        job=ticket.job,
        trigger=ticket.trigger,
        outcome=outcome,
        due_at=ticket.due_at,
        started_at=started_at,
        finished_at=now,
        attempts=tuple(attempts),
        error=error,
        message=message,
        reason=reason,
        endpoint=job.check.endpoint if job else "",
        generation=ticket.generation,
        correlation_id=ticket.correlation_id,
        tags=job.tags if job else {},
    )
