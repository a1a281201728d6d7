"""The attempts of a run, their details and health documents as parts of its stored text and back.

Details are lists by position, because names would be repeated in every row. Positions are only ever appended: a reader
ignores unknown ones and reads missing ones as None. Instants of details are seconds since 1970. A health document is

    [word, status, count, [[name, duration], [name, duration, word, status, effect, text, observed], ...], up]

`up` is the word of most entries that are up. Such an entry has its name and its duration only: most entries are up, and
each row has all of them. Its milliseconds are whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from jobs.runs import Attempt, ErrorClass, Failure, Phases, Severity
from jobs.runs.details import (
    CertificateDetail,
    Details,
    DnsDetail,
    EntryEffect,
    EntryStatus,
    HealthDetail,
    ReportedEntry,
    StepDetail,
    StepOutcome,
    TlsDetail,
)

_E = TypeVar("_E", bound=StrEnum)
_SECOND = timedelta(seconds=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def read_error(name: str | None) -> ErrorClass | None:
    if name is None:
        return None
    try:
        return ErrorClass(name)
    except ValueError:
        return ErrorClass.INTERNAL_ERROR


def to_microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(us: int) -> datetime:
    return _EPOCH + us * _MICROSECOND


def round_ms(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)


def encode_health(health: HealthDetail) -> list[Any]:
    """Return the parts."""
    up = _up_word(health.entries)
    entries = [_entry_parts(entry, up) for entry in health.entries]
    return [health.word, health.status.value, health.entry_count, entries, up]


def decode_health(parts: Sequence[Any]) -> HealthDetail:
    word, status, count, entries, up, *_ = parts
    return HealthDetail(word, _entry_status(status), tuple(_read_entry(entry, up) for entry in entries), count)


def _up_word(entries: Sequence[ReportedEntry]) -> str:
    """Return the word of most entries that are up."""
    common = Counter(entry.word for entry in entries if entry.status is EntryStatus.UP).most_common(1)
    return common[0][0] if common else ""


def _entry_parts(entry: ReportedEntry, up: str) -> list[Any]:
    took = None if entry.duration_ms is None else round(entry.duration_ms)
    plain = (entry.status, entry.word, entry.effect, entry.text, entry.observed)
    if plain == (EntryStatus.UP, up, EntryEffect.NONE, "", ""):
        return [entry.name] if took is None else [entry.name, took]
    return [entry.name, took, entry.word, entry.status.value, entry.effect.value, entry.text, entry.observed]


def _read_entry(parts: Sequence[Any], up: str) -> ReportedEntry:
    name, took, word, status, effect, text, observed, *_ = [*parts, None, None, None, None, None, None]
    if word is None:
        return ReportedEntry(name, EntryStatus.UP, up, duration_ms=took)
    return ReportedEntry(
        name,
        _entry_status(status),
        word,
        text or "",
        took,
        observed or "",
        _member(effect, EntryEffect, EntryEffect.NONE),
    )


def _entry_status(text: Any) -> EntryStatus:
    return _member(text, EntryStatus, EntryStatus.UNKNOWN)


def _member(text: Any, values: type[_E], default: _E) -> _E:
    """Read a value of a newer version as the default."""
    try:
        return values(text)
    except ValueError:
        return default


def encode_details(details: Details) -> dict[str, Any]:
    """Return the keys `steps`, `tls`, `dns` and `health` of an attempt, if it has these details."""
    body: dict[str, Any] = {}
    if details.steps:
        body["steps"] = [_step_parts(step) for step in details.steps]
    if details.tls is not None:
        body["tls"] = _tls_parts(details.tls)
    if details.dns is not None:
        dns = details.dns
        body["dns"] = [dns.rcode, dns.server, dns.ttl_s, list(dns.records), dns.record_count]
    if details.health is not None:
        body["health"] = encode_health(details.health)
    return body


def decode_details(attempt: Mapping[str, Any]) -> Details | None:
    """Return None if the attempt has none, as in the rows of version 0.1.0."""
    steps, tls, dns, health = (attempt.get(key) for key in ("steps", "tls", "dns", "health"))
    if steps is None and tls is None and dns is None and health is None:
        return None
    return Details(
        steps=tuple(map(_read_step, steps or ())),
        tls=None if tls is None else _read_tls(tls),
        dns=None if dns is None else _read_dns(dns),
        health=None if health is None else decode_health(health),
    )


def _step_parts(step: StepDetail) -> list[Any]:
    parts: list[Any] = [step.name, step.status, round(step.took_ms, 3)]
    more = [step.outcome.value, step.error, 1] if step.cleanup else [step.outcome.value, step.error]
    return parts if step.outcome is StepOutcome.SUCCEEDED and not step.cleanup else [*parts, *more]


def _read_step(parts: Sequence[Any]) -> StepDetail:
    name, status, took_ms, outcome, error, cleanup, *_ = [*parts, None, None, None]
    return StepDetail(name, status, took_ms, _step_outcome(outcome), error or "", bool(cleanup))


def _step_outcome(name: str | None) -> StepOutcome:
    """Read an outcome of a newer version as `failed`."""
    try:
        return StepOutcome.SUCCEEDED if name is None else StepOutcome(name)
    except ValueError:
        return StepOutcome.FAILED


def _tls_parts(tls: TlsDetail) -> list[Any]:
    certificate = tls.certificate
    if certificate is None:
        return [tls.version]
    names = list(certificate.names)
    # Most certificates have their subject among their names, as the first one.
    subject = None if names[:1] == [certificate.subject] else certificate.subject
    expires = (certificate.expires_at - _EPOCH) // _SECOND
    parts = [tls.version, expires, certificate.issuer, names, subject]
    return parts if certificate.name_count == len(names) else [*parts, certificate.name_count]


def _read_tls(parts: Sequence[Any]) -> TlsDetail:
    version = parts[0]
    if len(parts) == 1:
        return TlsDetail(version)
    expires, issuer, names, subject, count, *_ = [*parts[1:], None]
    certificate = CertificateDetail(
        subject=names[0] if subject is None else subject,
        issuer=issuer,
        names=tuple(names),
        name_count=len(names) if count is None else count,
        expires_at=_EPOCH + expires * _SECOND,
    )
    return TlsDetail(version, certificate)


def _read_dns(parts: Sequence[Any]) -> DnsDetail:
    rcode, server, ttl_s, records, count, *_ = parts
    return DnsDetail(rcode, tuple(records), count, ttl_s, server)


def encode_attempt(attempt: Attempt, last: Attempt, message: str) -> dict[str, Any]:
    """Omit what it has in common with the run's message or its last attempt: most attempts fail alike."""
    phases = attempt.phases
    body: dict[str, Any] = {
        "at": to_microseconds(attempt.started_at),
        "ms": [
            round_ms(phases.dns_ms),
            round_ms(phases.connect_ms),
            round_ms(phases.tls_ms),
            round_ms(phases.first_byte_ms),
            round(phases.total_ms, 3),
        ],
    }
    if attempt.status is not None:
        body["status"] = attempt.status
    if attempt.error is not None:
        body["error"] = attempt.error.value
    if attempt.message and message.startswith(attempt.message):
        body["said"] = len(attempt.message)
    elif attempt.message:
        body["message"] = attempt.message
    if attempt is not last and attempt.failures and _have_same_failure(attempt, last):
        body["like_last"] = 1
    elif attempt.failures:
        body["failures"] = [_failure_parts(failure) for failure in attempt.failures]
    if attempt.wait_ms is not None:
        body["wait"] = round(attempt.wait_ms, 3)
    if attempt.body and "like_last" not in body:
        body["body"] = attempt.body
    if attempt.details is not None:
        body |= encode_details(attempt.details)
    if attempt.starved:
        body["starved"] = 1
    if attempt.address:
        body["ip"] = attempt.address
    return body


def _have_same_failure(first: Attempt, second: Attempt) -> bool:
    return (first.failures, first.body) == (second.failures, second.body)


def _failure_parts(failure: Failure) -> list[str]:
    parts = [failure.expectation, failure.expected, failure.observed]
    return parts if failure.severity is Severity.FAIL else [*parts, failure.severity.value]


def _read_failure(parts: Sequence[str]) -> Failure:
    expectation, expected, observed, *rest = parts
    return Failure(expectation, expected, observed, Severity.DEGRADED if rest[:1] == ["degraded"] else Severity.FAIL)


def decode_attempt(number: int, body: Mapping[str, Any], last: Mapping[str, Any], message: str) -> Attempt:
    """Build the attempt from its parts, those of the last attempt, and the run's message."""
    failed = last if body.get("like_last") else body
    return Attempt(
        number=number,
        started_at=from_microseconds(body["at"]),
        phases=Phases(*body["ms"][:5]),
        status=body.get("status"),
        error=read_error(body.get("error")),
        message=message[: body["said"]] if "said" in body else body.get("message", ""),
        failures=tuple(map(_read_failure, failed.get("failures", ()))),
        wait_ms=body.get("wait"),
        body=failed.get("body", ""),
        details=decode_details(body),
        starved=bool(body.get("starved")),
        address=body.get("ip", ""),
    )
