"""The details of an attempt as stored text: everything comes back."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from jobs.runs.details import CertificateDetail, Details, DnsDetail, StepDetail, StepOutcome, TlsDetail
from scheduler.stores.runs.codecs.details import decode_details, encode_details

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
