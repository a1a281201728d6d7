"""Builds the details of an attempt for history, with limits on number and length. Pure; called by run_factories.

The limits keep a run's row small: a job with an interval of 10 s writes 8,640 rows a day, and SQLite stores a row of
more than about 1,000 bytes in a separate page (4,096 bytes). Only long checks with steps exceed that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from jobs.certificates import Certificate, UnreadableCertificate, read_certificate
from jobs.problems import make_printable
from jobs.redaction import Redact
from jobs.runs import Observation
from jobs.runs.details import CertificateDetail, Details, DnsDetail, StepDetail, StepOutcome, TlsDetail
from jobs.runs.health import EntryStatus, HealthDetail, first_entries

MOST_STEP_DETAILS = 100
"""The maximum of a check, including its `cleanup`."""
MOST_CERTIFICATE_NAMES = 5
"""Names of a certificate. Those of a content delivery network have a hundred."""
LONGEST_CERTIFICATE_NAMES = 200
"""Characters of all names of a certificate."""
LONGEST_DETAIL_NAME = 100
"""Characters of a subject, an issuer, a name or a step's name."""
MOST_DNS_RECORDS = 20
LONGEST_DNS_RECORD = 255
"""Characters of a DNS record."""
LONGEST_DNS_RECORDS = 500
"""Characters of all records."""
LONGEST_HEALTH_TEXT = 200
"""Characters of the text of an entry of a health document."""
LONGEST_HEALTH_TEXTS = 2000
"""Characters of all of them."""

_CACHED_CERTIFICATES = 256
"""A certificate is parsed once and used by thousands of runs. An entry takes 2 to 5 KiB."""
_REDACTED_AHEAD = 4096
"""Characters beyond the limit that are searched for secrets: redaction shortens the text."""


def build_details(seen: Observation, redact: Redact) -> Details | None:
    """Return the details of an observation, printable and redacted; None if it has none."""
    facts = seen.facts
    steps, has_tls, has_answer = facts.get("steps", ()), bool(facts.get("tls_version")), "rcode" in facts
    if not (steps or has_tls or has_answer or seen.health is not None):
        return None
    texts = _Texts(redact)
    return Details(
        steps=tuple(_step(step, texts) for step in steps[:MOST_STEP_DETAILS]),
        tls=_tls(seen, texts) if has_tls else None,
        dns=_dns(facts, texts) if has_answer else None,
        health=None if seen.health is None else _health(seen.health, texts),
    )


class _Texts:
    """Redacts texts, then shortens them."""

    def __init__(self, redact: Redact) -> None:
        self._redact = redact

    def short(self, text: str, most: int = LONGEST_DETAIL_NAME) -> str:
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
    version = str(seen.facts["tls_version"])
    certificate = _parsed(seen.certificates[0]) if seen.certificates else None
    return TlsDetail(version, None if certificate is None else _certificate(certificate, texts))


def _certificate(certificate: Certificate, texts: _Texts) -> CertificateDetail:
    return CertificateDetail(
        subject=texts.short(certificate.subject),
        issuer=texts.short(certificate.issuer),
        names=_first(map(texts.short, certificate.names[:MOST_CERTIFICATE_NAMES]), LONGEST_CERTIFICATE_NAMES),
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
            (texts.short(record, LONGEST_DNS_RECORD) for record in answers[:MOST_DNS_RECORDS]), LONGEST_DNS_RECORDS
        ),
        record_count=len(answers),
        ttl_s=facts.get("ttl"),
        server=texts.short(str(facts.get("server") or "")),
    )


def _health(health: HealthDetail, texts: _Texts) -> HealthDetail:
    left = LONGEST_HEALTH_TEXTS
    entries = []
    for entry in first_entries(health.entries):
        name, text = texts.short(entry.name), texts.short(entry.text, LONGEST_HEALTH_TEXT) if entry.text else ""
        if entry.status is EntryStatus.UP or len(text) > left:
            text = ""
        left -= len(text)
        # Words and units of the frameworks are short; others can contain anything.
        word, observed = texts.short(entry.word), texts.short(entry.observed) if entry.observed else ""
        entries.append(replace(entry, name=name, word=word, text=text, observed=observed))
    return replace(health, word=texts.short(health.word), entries=tuple(entries))


def _first(texts: Iterable[str], most: int) -> tuple[str, ...]:
    """Return the leading texts that have at most `most` characters in total."""
    found: list[str] = []
    for text in texts:
        most -= len(text)
        if most < 0:
            break
        found.append(text)
    return tuple(found)
