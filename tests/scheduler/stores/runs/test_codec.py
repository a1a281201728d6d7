"""Runs as stored text: everything comes back, rows are small, other versions' rows can be read."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.formats import format_run_instant
from jobs.runs import (
    Attempt,
    ErrorClass,
    Failure,
    Outcome,
    Phases,
    Run,
    Severity,
    StartWait,
    Ticket,
    Trigger,
    WaitReason,
)
from jobs.runs.details import CertificateDetail, Details, DnsDetail, StepDetail, StepOutcome, TlsDetail
from jobs.runs.outcomes import ReasonCode
from scheduler.stores.port import Row
from scheduler.stores.rows import encode_json
from scheduler.stores.runs.attempt_codec import encode_details, to_microseconds
from scheduler.stores.runs.codec import RunRecord, RunState, decode_record, encode_finished, encode_open, read_status
from scheduler.stores.runs.keys import RunKey
from tests.scheduler.stores.samples import NOON, run_of, ticket

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2286, 1, 1), timezones=st.just(UTC))
MILLISECONDS = st.floats(0, 1e7).map(lambda value: round(value, 3))
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}", fullmatch=True)

PHASES = st.builds(
    Phases,
    st.none() | MILLISECONDS,
    st.none() | MILLISECONDS,
    st.none() | MILLISECONDS,
    st.none() | MILLISECONDS,
    MILLISECONDS,
)
DETAILS = (
    Details(steps=(StepDetail("sign in", 200, 12.5), StepDetail("b", None, 1.0, StepOutcome.FAILED, "step_failed"))),
    Details(tls=TlsDetail("TLSv1.2"), dns=DnsDetail("NXDOMAIN", (), 0, None, "10.0.0.53")),
)
ATTEMPTS = st.lists(
    st.builds(
        Attempt,
        number=st.just(0),
        started_at=INSTANTS,
        phases=PHASES,
        status=st.none() | st.integers(100, 599),
        error=st.none() | st.sampled_from(ErrorClass),
        message=TEXT,
        failures=st.lists(st.builds(Failure, TEXT, TEXT, TEXT, st.sampled_from(Severity)), max_size=3).map(tuple),
        wait_ms=st.none() | MILLISECONDS,
        body=TEXT,
        details=st.none() | st.sampled_from(DETAILS),
        starved=st.booleans(),
        address=st.sampled_from(["", "10.0.0.7", "2001:db8::7"]),
    ),
    max_size=3,
)

WAITS = st.lists(st.builds(StartWait, st.sampled_from(WaitReason), MILLISECONDS, TEXT), max_size=5).map(tuple)


@st.composite
def tickets(draw: st.DrawFn) -> Ticket:
    job = draw(NAMES)
    due_at = draw(INSTANTS)
    due_at = due_at.replace(microsecond=due_at.microsecond // 1000 * 1000)
    suffix = draw(st.just("") | st.from_regex(r"\.[a-z0-9]{1,8}", fullmatch=True))
    trigger = draw(st.sampled_from(Trigger))
    if trigger is Trigger.BACKFILL:
        suffix = draw(st.sampled_from(["", ".again1", ".again12"]))
    elif trigger is Trigger.REPLAY:
        suffix = draw(st.from_regex(r"\.[0-9a-f]{8}", fullmatch=True))
    run_id = f"{job}@{format_run_instant(due_at)}{suffix}"
    return Ticket(run_id, job, trigger, due_at, draw(TEXT), draw(TEXT | st.just(run_id)))


@st.composite
def runs(draw: st.DrawFn) -> Run:
    made = draw(tickets())
    attempts: list[Attempt] = draw(ATTEMPTS)
    return Run(
        id=made.id,
        job=made.job,
        trigger=made.trigger,
        outcome=draw(st.sampled_from(Outcome)),
        due_at=made.due_at,
        started_at=draw(INSTANTS),
        finished_at=draw(INSTANTS),
        attempts=tuple(_numbered(attempt, number) for number, attempt in enumerate(attempts, start=1)),
        error=draw(st.none() | st.sampled_from(ErrorClass)),
        message=draw(TEXT),
        reason=draw(st.none() | st.sampled_from(ReasonCode)),
        endpoint=draw(TEXT),
        generation=made.generation,
        correlation_id=made.correlation_id,
        tags=draw(st.dictionaries(TEXT, TEXT, max_size=3)),
        waits=draw(WAITS),
    )


def _numbered(attempt: Attempt, number: int) -> Attempt:
    return Attempt(**{name.name: getattr(attempt, name.name) for name in fields(attempt)} | {"number": number})


def stored(ticket: Ticket, body: str) -> RunRecord:
    key = RunKey.for_ticket(ticket)
    return decode_record(Row(key.shard, key.run_key, body, "e1"))


def ticket_of(run: Run) -> Ticket:
    return Ticket(run.id, run.job, run.trigger, run.due_at, run.generation, run.correlation_id)


@given(runs())
def test_every_run_comes_back_as_it_was(run: Run) -> None:
    made = ticket_of(run)
    assert stored(made, encode_finished(run)) == RunRecord(made, RunState.FINISHED, "", None, run, "e1")


def described(run: Run) -> dict[str, Any]:
    """The values of a run's row, in their order."""
    optional = {
        "generation": run.generation,
        "correlation": run.correlation_id if run.correlation_id != run.id else None,
        "sum": 1,
        "start": to_microseconds(run.started_at),
        "end": to_microseconds(run.finished_at),
        "endpoint": run.endpoint,
        "error": run.error,
        "message": run.message,
        "reason": run.reason,
        "attempts": [described_attempt(attempt, run) for attempt in run.attempts],
        "tags": run.tags,
        "waits": [[wait.reason, wait.milliseconds, *([wait.detail] if wait.detail else [])] for wait in run.waits],
    }
    numbers = ("start", "end", "correlation")
    found = {key: value for key, value in optional.items() if value or (key in numbers and value is not None)}
    trigger = Trigger.REPLAY if run.trigger is Trigger.BACKFILL else run.trigger
    return {"is": run.outcome, "trigger": trigger, **found}


def described_attempt(attempt: Attempt, run: Run) -> dict[str, Any]:
    phases, last = attempt.phases, run.attempts[-1]
    is_repeated = run.message.startswith(attempt.message)
    is_like_last = attempt is not last and (attempt.failures, attempt.body) == (last.failures, last.body)
    failures = [
        [one.expectation, one.expected, one.observed, *(["degraded"] if one.severity is Severity.DEGRADED else [])]
        for one in attempt.failures
    ]
    found: dict[str, Any] = {
        "at": to_microseconds(attempt.started_at),
        "ms": [phases.dns_ms, phases.connect_ms, phases.tls_ms, phases.first_byte_ms, phases.total_ms],
        "status": attempt.status,
        "error": attempt.error,
        "said": len(attempt.message) if attempt.message and is_repeated else None,
        "message": attempt.message if attempt.message and not is_repeated else None,
        "like_last": 1 if failures and is_like_last else None,
        "failures": failures if failures and not is_like_last else None,
        "wait": attempt.wait_ms,
        "body": attempt.body if attempt.body and not (failures and is_like_last) else None,
        **({} if attempt.details is None else encode_details(attempt.details)),
        "starved": 1 if attempt.starved else None,
        "ip": attempt.address or None,
    }
    return {key: value for key, value in found.items() if value is not None}


@given(runs())
def test_the_text_of_a_run_is_what_the_encoder_makes_of_its_values(run: Run) -> None:
    assert encode_finished(run) == encode_json(described(run))


@given(tickets(), TEXT, st.none() | INSTANTS, st.sampled_from([RunState.QUEUED, RunState.RUNNING]))
def test_the_text_of_an_open_run_is_what_the_encoder_makes_of_its_values(
    made: Ticket, owner: str, lease: datetime | None, state: RunState
) -> None:
    optional = {
        "generation": made.generation or None,
        "correlation": made.correlation_id if made.correlation_id != made.id else None,
        "owner": owner or None,
        "lease": None if lease is None else to_microseconds(lease),
    }
    trigger = Trigger.REPLAY if made.trigger is Trigger.BACKFILL else made.trigger
    values = {"is": state, "trigger": trigger} | {key: one for key, one in optional.items() if one is not None}
    assert encode_open(made, state, owner, lease) == encode_json(values)


@given(tickets(), TEXT, INSTANTS)
def test_every_claim_comes_back_as_it_was(made: Ticket, owner: str, lease: datetime) -> None:
    body = encode_open(made, RunState.RUNNING, owner, lease)
    assert stored(made, body) == RunRecord(made, RunState.RUNNING, owner, lease, None, "e1")


@pytest.mark.parametrize(
    ("model", "known"),
    [
        (
            Run,
            "id job trigger outcome due_at started_at finished_at attempts error message reason endpoint "
            "generation correlation_id tags waits",
        ),
        (Attempt, "number started_at phases status error message failures wait_ms body details starved address"),
        (Details, "steps tls dns health"),
        (StepDetail, "name status took_ms outcome error cleanup"),
        (TlsDetail, "version certificate"),
        (CertificateDetail, "subject issuer names name_count expires_at"),
        (DnsDetail, "rcode records record_count ttl_s server"),
        (Phases, "dns_ms connect_ms tls_ms first_byte_ms total_ms"),
        (Failure, "expectation expected observed severity"),
        (Ticket, "id job trigger due_at generation correlation_id"),
        (StartWait, "reason milliseconds detail"),
    ],
)
def test_a_new_field_is_stored_too(model: Any, known: str) -> None:
    """Whoever adds one adds it to run_codec, to the strategies above, and here."""
    assert " ".join(field.name for field in fields(model)) == known


def failed_three_times(body: str = "") -> Run:
    run = run_of(ticket(), Outcome.FAILED)
    message = "Answered 503 Service Unavailable, expected 2xx."
    failed = replace(run.attempts[0], message=message, failures=(Failure("status", "2xx", "503"),), body=body)
    attempts = tuple(replace(failed, number=number, wait_ms=1234.567) for number in (1, 2))
    last = replace(failed, number=3)
    return replace(run, attempts=(*attempts, last), message=f"{message} No further attempt: the time is over.")


def test_what_attempts_have_in_common_is_stored_once() -> None:
    answer = "<html>upstream connect error</html>" * 20
    text = encode_finished(failed_three_times(answer))
    assert text.count("Answered 503") == 1
    assert text.count(answer) == 1
    assert text.count('"2xx"') == 1
    assert stored(ticket(), text).run == failed_three_times(answer)


def test_attempts_that_failed_in_other_ways_come_back_as_they_were() -> None:
    run = failed_three_times("the answer")
    first = replace(run.attempts[0], message="It refused the connection.", failures=(), body="")
    second = replace(run.attempts[1], body="another answer")
    run = replace(run, attempts=(first, second, run.attempts[2]))
    assert stored(ticket(), encode_finished(run)).run == run


def test_the_row_of_a_run_that_failed_three_times_alike_is_short() -> None:
    assert len(encode_finished(failed_three_times())) < 760


def test_a_health_checks_row_is_short() -> None:
    assert len(encode_finished(run_of(ticket()))) < 300


def test_the_details_of_an_https_run_are_short() -> None:
    expires = NOON + timedelta(days=60)
    names = ("checkout.internal", "www.checkout.internal")
    tls = TlsDetail("TLSv1.3", CertificateDetail("checkout.internal", "R11", names, 2, expires))
    assert _added_by(Details(tls=tls)) < 100


def test_a_successful_step_takes_little_more_than_its_name() -> None:
    steps = tuple(StepDetail("sign in", 200, 12.345) for _ in range(10))
    assert _added_by(Details(steps=steps)) < 10 * len('["sign in",200,12.345],') + 15


def test_details_of_a_newer_version_are_read_as_far_as_they_are_known() -> None:
    body = json.loads(encode_finished(run_of(ticket())))
    body["attempts"][0] |= {
        "steps": [["a", 200, 1.5, "paused", "clock_skew", 0, "new"]],
        "tls": ["TLSv1.4", 0, "CA", ["a"], None, 1, "new"],
        "dns": ["NOERROR", "10.0.0.1", 60, ["10.0.0.2"], 1, "new"],
    }
    record = stored(ticket(), json.dumps(body))
    assert record.run is not None
    assert record.run.attempts[0].details == Details(
        steps=(StepDetail("a", 200, 1.5, StepOutcome.FAILED, "clock_skew"),),
        tls=TlsDetail("TLSv1.4", CertificateDetail("a", "CA", ("a",), 1, datetime(1970, 1, 1, tzinfo=UTC))),
        dns=DnsDetail("NOERROR", ("10.0.0.2",), 1, 60, "10.0.0.1"),
    )


def test_a_row_from_before_there_were_details_has_none() -> None:
    assert "details" not in encode_finished(run_of(ticket()))
    record = stored(ticket(), encode_finished(run_of(ticket())))
    assert record.run is not None
    assert record.run.attempts[0].details is None


def test_a_run_without_waits_is_stored_as_before_there_were_waits() -> None:
    assert "waits" not in json.loads(encode_finished(run_of(ticket())))


def test_waits_are_read_as_far_as_their_reasons_are_known() -> None:
    body = json.loads(encode_finished(run_of(ticket())))
    body["waits"] = [["moonlight", 900.5, "full"], ["place", 300.25, "limit", "new"], ["claim", 20.0]]
    record = stored(ticket(), json.dumps(body))
    assert record.run is not None
    assert record.run.waits == (StartWait(WaitReason.PLACE, 300.25, "limit"), StartWait(WaitReason.CLAIM, 20.0))


def test_durations_are_rounded_to_the_microsecond() -> None:
    run = run_of(ticket())
    odd = Attempt(1, NOON, Phases(0.1234567, total_ms=1.9999999), wait_ms=0.00049)
    body = encode_finished(Run(**_values(run) | {"attempts": (odd,)}))
    record = stored(ticket(), body)
    assert record.run is not None
    assert record.run.attempts == (Attempt(1, NOON, Phases(0.123, total_ms=2.0), wait_ms=0.0),)


def test_what_a_newer_version_has_added_is_passed_over() -> None:
    body = json.loads(encode_finished(run_of(ticket(), Outcome.FAILED)))
    body["severity"] = {"new": True}
    body["error"] = "clock_skew"
    body["attempts"][0] |= {"hops": 3, "error": "clock_skew"}
    body["attempts"][0]["ms"].append(1.5)
    body["attempts"][0]["failures"] = [["status", "200", "503", "new"]]
    record = stored(ticket(), json.dumps(body))
    assert record.run is not None
    assert record.run.error is ErrorClass.INTERNAL_ERROR
    assert record.run.message == "the answer was 503"
    assert record.run.attempts[0].failures == (Failure("status", "200", "503"),)


def test_a_row_from_before_there_were_severities_reports_failures() -> None:
    body = json.loads(encode_finished(run_of(ticket(), Outcome.FAILED)))
    body["attempts"][0]["failures"] = [["status", "200", "503"], ["json $.a", "1", "2", "degraded"]]
    record = stored(ticket(), json.dumps(body))
    assert record.run is not None
    assert [one.severity for one in record.run.attempts[0].failures] == [Severity.FAIL, Severity.DEGRADED]


def test_half_a_surrogate_pair_in_a_message_does_not_keep_a_run_from_being_stored() -> None:
    run = Run(**_values(run_of(ticket())) | {"message": "bad \ud83d é"})
    record = stored(ticket(), encode_finished(run))
    assert record.run is not None
    assert record.run.message == "bad ? é"


def test_state_or_outcome_is_read_without_the_rest() -> None:
    assert read_status(Row("a", "1", encode_finished(run_of(ticket(), Outcome.TIMED_OUT)), "")) == "timed_out"
    assert read_status(Row("a", "1", encode_open(ticket(), RunState.QUEUED), "")) == "queued"


@given(tickets())
def test_a_run_is_found_by_its_id(made: Ticket) -> None:
    key = RunKey.for_ticket(made)
    assert RunKey.from_run_id(made.id) == key
    assert all(RunKey.from_row_key(row) == key for row in (key.run_key, key.open_key, key.done_key))
    assert (key.run_id, key.due_at) == (made.id, made.due_at)


@given(tickets(), tickets())
def test_the_newer_run_has_the_smaller_key(one: Ticket, other: Ticket) -> None:
    if one.due_at != other.due_at:
        newer_first = one.due_at > other.due_at
        assert (RunKey.for_ticket(one).at < RunKey.for_ticket(other).at) is newer_first
        assert (RunKey.for_ticket(one).done_key < RunKey.for_ticket(other).done_key) is newer_first


def test_a_due_instant_finer_than_a_millisecond_is_stored_to_the_millisecond() -> None:
    fine = Ticket.scheduled("a", NOON + timedelta(microseconds=1999), "")
    assert stored(fine, encode_open(fine, RunState.QUEUED)).ticket.due_at == NOON + timedelta(milliseconds=1)


def _added_by(details: Details) -> int:
    """Characters that a run's row has more for these details."""
    plain = run_of(ticket())
    (attempt,) = plain.attempts
    return len(encode_finished(replace(plain, attempts=(replace(attempt, details=details),)))) - len(
        encode_finished(plain)
    )


def _values(run: Run) -> dict[str, Any]:
    return {field.name: getattr(run, field.name) for field in fields(run)}


@pytest.mark.parametrize(
    ("suffix", "trigger"),
    [
        ("", Trigger.BACKFILL),
        (".again1", Trigger.BACKFILL),
        (".again23", Trigger.BACKFILL),
        (".0badcafe", Trigger.REPLAY),
        (".again", Trigger.REPLAY),
    ],
)
def test_a_replay_that_an_older_version_stored_is_a_backfill_by_its_id(suffix: str, trigger: Trigger) -> None:
    run_id = f"a@20260301T120000.000Z{suffix}"
    ticket = Ticket(run_id, "a", Trigger.REPLAY, datetime(2026, 3, 1, 12, tzinfo=UTC))
    body = '{"is":"succeeded","trigger":"replay","start":1,"end":2}'

    record = stored(ticket, body)

    assert record.run is not None
    assert (record.ticket.trigger, record.run.trigger) == (trigger, trigger)


def test_an_older_version_reads_a_backfill_as_a_replay() -> None:
    ticket = Ticket("a@20260301T120000.000Z", "a", Trigger.BACKFILL, datetime(2026, 3, 1, 12, tzinfo=UTC))
    assert '"trigger":"replay"' in encode_open(ticket, RunState.QUEUED)
