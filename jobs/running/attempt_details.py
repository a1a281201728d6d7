"""Builds the details of an attempt and the excerpt of an answer that failed, bounded and without secrets. Pure.

The limits keep a run's row small: a job with an interval of 10 s writes 8,640 rows a day, and SQLite stores a row of
more than about 1,000 bytes in a separate page (4,096 bytes). Only long checks with steps exceed that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from jobs.certificates import Certificate, UnreadableCertificate, read_certificate
from jobs.expectations.entry import JudgedAnswer
from jobs.problems import make_printable
from jobs.redaction import Redact
from jobs.runs import Observation
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
