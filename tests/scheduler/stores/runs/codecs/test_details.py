"""The details of an attempt as stored text: everything comes back."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

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
from scheduler.stores.runs.attempt_codec import decode_details, encode_details

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
COUNTS = st.integers(0, 100)
SECONDS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)).map(
    lambda instant: instant.replace(microsecond=0)
)
STEPS = st.builds(
    StepDetail,
    TEXT,
    st.none() | st.integers(100, 599),
    st.floats(0, 1e7).map(lambda value: round(value, 3)),
    st.just(StepOutcome.FAILED) | st.just(StepOutcome.TIMED_OUT),
    TEXT,
    st.booleans(),
)
GOOD_STEPS = st.builds(StepDetail, TEXT, st.integers(100, 599), st.just(1.5), cleanup=st.booleans())
CERTIFICATES = st.builds(CertificateDetail, TEXT, TEXT, TEXTS, COUNTS, SECONDS)
DNS = st.builds(DnsDetail, TEXT, TEXTS, COUNTS, st.none() | COUNTS, TEXT)


def again(details: Details) -> Details | None:
    return decode_details(json.loads(json.dumps(encode_details(details))))


@given(st.lists(STEPS | GOOD_STEPS, min_size=1, max_size=4).map(tuple))
def test_steps_come_back_as_they_were(steps: tuple[StepDetail, ...]) -> None:
    assert again(Details(steps=steps)) == Details(steps=steps)


@given(st.builds(TlsDetail, TEXT, st.none() | CERTIFICATES))
def test_a_tls_session_comes_back_as_it_was(tls: TlsDetail) -> None:
    assert again(Details(tls=tls)) == Details(tls=tls)


@given(DNS)
def test_a_dns_answer_comes_back_as_it_was(dns: DnsDetail) -> None:
    assert again(Details(dns=dns)) == Details(dns=dns)


ENTRIES = st.builds(
    ReportedEntry,
    TEXT,
    st.sampled_from(EntryStatus),
    st.sampled_from(["UP", "Healthy", "DOWN"]) | TEXT,
    TEXT,
    st.none() | st.integers(0, 10**6),
    TEXT,
    st.sampled_from(EntryEffect),
)
UP_ENTRIES = st.builds(ReportedEntry, TEXT, st.just(EntryStatus.UP), st.just("UP"), duration_ms=st.none() | COUNTS)
HEALTH = st.builds(
    HealthDetail, TEXT, st.sampled_from(EntryStatus), st.lists(ENTRIES | UP_ENTRIES, max_size=5).map(tuple), COUNTS
)


@given(HEALTH)
def test_a_health_document_comes_back_as_it_was(health: HealthDetail) -> None:
    assert again(Details(health=health)) == Details(health=health)


def test_an_entry_that_is_up_takes_a_few_bytes() -> None:
    entries = tuple(ReportedEntry(f"e{number}", EntryStatus.UP, "Healthy", duration_ms=1.2) for number in range(50))
    stored = encode_details(Details(health=HealthDetail("Healthy", EntryStatus.UP, entries, 50)))
    assert len(json.dumps(stored, separators=(",", ":"))) < 50 * 12


def test_a_status_of_a_newer_version_is_unknown() -> None:
    details = decode_details(
        {"health": ["UP", "dozing", 1, [["db", 1, "zzz", "dozing", "snores", "", "", "new"]], "UP"]}
    )
    assert details is not None
    assert details.health == HealthDetail(
        "UP", EntryStatus.UNKNOWN, (ReportedEntry("db", EntryStatus.UNKNOWN, "zzz", duration_ms=1),), 1
    )
