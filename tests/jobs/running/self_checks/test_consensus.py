"""A scheduler that reaches nothing is blind; one answer of any other host proves that it is not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.running.network_self_check import EVIDENCE, EXPLAINED, MAX_AGE, Consensus, find_remote_host
from jobs.runs import ErrorClass

DNS, CONNECT = ErrorClass.DNS_FAILURE, ErrorClass.CONNECT_TIMEOUT
REFUSED, STATUS = ErrorClass.CONNECTION_REFUSED, ErrorClass.UNEXPECTED_STATUS

Event = tuple[str, ErrorClass | None]


def consensus_of(*events: Event, apart: float = 1.0) -> Consensus:
    """One event after the other, the first at 0."""
    consensus = Consensus()
    for number, (host, error) in enumerate(events):
        consensus.record(f"https://{host}/health", error, number * apart)
    return consensus


@pytest.mark.parametrize(
    ("events", "error", "cause"),
    [
        ([("a", DNS), ("b", DNS), ("c", DNS)], DNS, "the scheduler cannot resolve names: a: dns_failure; b: "),
        ([("a", CONNECT), ("b", CONNECT), ("c", CONNECT)], CONNECT, "the scheduler cannot connect to anything: a: "),
        ([("a", DNS), ("b", CONNECT), ("c", CONNECT)], DNS, "the scheduler cannot connect to anything"),
        ([("a", DNS), ("b", DNS), ("c", DNS)], ErrorClass.RUN_TIMEOUT, "the scheduler cannot resolve names"),
        ([("x", None), ("a", DNS), ("b", DNS), ("c", DNS)], DNS, "the scheduler cannot resolve names"),
        ([("a", DNS), ("b", DNS)], DNS, None),
        ([("a", DNS), ("a", DNS), ("a", DNS)], DNS, None),
        ([("a", DNS), ("b", DNS), ("c", DNS)], STATUS, None),
        ([("a", DNS), ("b", DNS), ("c", DNS)], REFUSED, None),
        ([("a", DNS), ("b", DNS), ("c", REFUSED)], DNS, None),
        ([("a", DNS), ("b", DNS), ("127.0.0.1", DNS)], DNS, None),
        ([("a", DNS), ("b", DNS), ("c", DNS), ("x", None)], DNS, None),
        ([("a", DNS), ("b", DNS), ("c", DNS), ("x", STATUS)], DNS, None),
        ([("a", DNS), ("b", DNS), ("c", DNS), ("localhost", None)], DNS, "the scheduler cannot resolve names"),
        ([("a", DNS), ("x", None), ("b", DNS), ("c", DNS)], DNS, None),
        ([("a", DNS), ("b", DNS), ("x", None), ("a", DNS), ("b", DNS), ("c", DNS)], DNS, None),
        ([("a", DNS), ("x", None), ("a", None), ("a", DNS), ("b", DNS), ("c", DNS)], DNS, "the scheduler cannot"),
    ],
)
def test_what_the_attempts_of_all_jobs_prove(events: list[Event], error: ErrorClass, cause: str | None) -> None:
    found = consensus_of(*events).find_cause(error, len(events))
    assert found is None if cause is None else (found or "").startswith(cause)


def test_evidence_is_a_minute_old_at_most() -> None:
    consensus = consensus_of(("a", DNS), ("b", DNS), ("c", DNS))
    assert consensus.find_cause(DNS, MAX_AGE) is not None
    assert consensus.find_cause(DNS, MAX_AGE + 0.1) is None


@pytest.mark.parametrize("host", ["localhost", "app.localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_this_machine_is_no_remote_host(host: str) -> None:
    assert find_remote_host(f"http://{host}:80/") == ""


HOSTS = st.sampled_from(["a", "b", "c", "d", "e"])
ERRORS = st.sampled_from([None, STATUS, DNS, CONNECT, REFUSED, ErrorClass.TLS_FAILURE])


@given(st.lists(st.tuples(HOSTS, ERRORS), max_size=12), st.sampled_from(sorted(EXPLAINED)))
@settings(max_examples=60, deadline=None)
def test_an_answer_ends_it_and_three_hosts_are_needed(events: list[Event], error: ErrorClass) -> None:
    consensus = consensus_of(*events)
    since = next((at for at in range(len(events), 0, -1) if events[at - 1][1] in (None, STATUS)), 0)
    failed = {host for host, each in events[since:] if each in EVIDENCE}
    if consensus.find_cause(error, len(events)) is not None:
        assert len(failed) >= 3
    consensus.record("https://z/", None, len(events))
    assert consensus.find_cause(error, len(events)) is None


@given(st.lists(HOSTS, max_size=12))
@settings(max_examples=30, deadline=None)
def test_without_any_answer_three_hosts_suffice(hosts: list[str]) -> None:
    consensus = consensus_of(*((host, DNS) for host in hosts))
    assert (consensus.find_cause(DNS, len(hosts)) is not None) == (len(set(hosts)) >= 3)
