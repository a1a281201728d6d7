"""How lines look: the fields operators and dashboards rely on, and that no secret gets through."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.redaction import Redactor
from jobs.runs import Outcome, Run, StartWait, WaitReason
from observability.events import DeadLettered, JobFailed, JobPerformance, JobRetry, JobStarted, LogEvent, ServiceEvent
from observability.logs import JsonFormat, TextFormat
from observability.redaction import MAX_FIELD_LENGTH
from tests.observability import runs

SECRET = 'pa"ss\\wörd/&=%'
NOON = 1_925_035_200.25  # 2031-01-01T12:00:00.250Z


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.add_permanent(SECRET)
    return redactor


def record(message: object, *args: object, level: int = logging.INFO, error: Exception | None = None) -> Any:
    info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("a.part", level, __file__, 1, message, args, info)
    made.created, made.msecs = NOON, 250.0
    return made


def as_json(event: object, redactor: Redactor) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(JsonFormat(redactor).format(record(event)))
    return line


def late(detail: str) -> Run:
    """A run that started 4.2 s late."""
    run, waits = runs.run(), (StartWait(WaitReason.PLACE, 3900.0, detail), StartWait(WaitReason.CLAIM, 300.0))
    return replace(run, started_at=run.due_at + timedelta(seconds=4.2), waits=waits)


def raised(message: str) -> Exception:
    try:
        raise RuntimeError(message)
    except RuntimeError as error:
        return error


def test_a_late_run_says_what_it_waited_for(redactor: Redactor) -> None:
    line = as_json(JobPerformance(late("limit of concurrency group payments")), redactor)

    waited = "3.9 s for a place (limit of concurrency group payments), 300 ms for the claim"
    assert line["Waits"] == waited
    assert line["Message"].endswith(f". Started 4.2 s late: waited {waited}.")


def test_a_started_run_names_job_run_and_trigger(redactor: Redactor) -> None:
    assert as_json(JobStarted(runs.started()), redactor) == {
        "Timestamp": "2031-01-01T12:00:00.250Z",
        "Level": "INFO",
        "Logger": "a.part",
        "Event": "JOB_STARTED",
        "Message": "checkout started (schedule)",
        "JobName": "checkout",
        "RunId": "checkout@20310101T120000.000Z",
        "Trigger": "schedule",
        "Lateness": 2.0,
        "Endpoint": "https://checkout.internal:8443/health",
    }


def test_a_degraded_run_reports_that_and_why(redactor: Redactor) -> None:
    line = as_json(JobPerformance(runs.degraded()), redactor)
    assert (line["Success"], line["Degraded"]) == (True, True)
    assert line["Message"] == (
        "checkout succeeded in 20 ms, status 200. "
        "Degraded: response_time_below: expected less than 10 ms, observed 12 ms."
    )


def test_a_finished_run_reports_its_performance(redactor: Redactor) -> None:
    line = as_json(JobPerformance(runs.run(tags={"team": "payments"})), redactor)
    assert {key: line[key] for key in list(line)[3:]} == {
        "Event": "JOB_PERFORMANCE",
        "Message": "checkout succeeded in 20 ms, status 200",
        "JobName": "checkout",
        "RunId": "checkout@20310101T120000.000Z",
        "Trigger": "schedule",
        "Outcome": "succeeded",
        "Lateness": 2.0,
        "Duration": 20.0,
        "Success": True,
        "Degraded": False,
        "ResponseTime": 12.0,
        "StatusCode": 200,
        "Attempts": 1,
        "Tags": {"team": "payments"},
    }


def test_a_retry_reports_what_failed_and_when_it_continues_in_seconds(redactor: Redactor) -> None:
    line = as_json(JobRetry(runs.retried()), redactor)
    assert {key: line[key] for key in list(line)[3:]} == {
        "Event": "JOB_RETRY",
        "Message": "checkout attempt 1 failed, retry in 500 ms: checkout.internal:8443 refused the connection",
        "JobName": "checkout",
        "RunId": "checkout@20310101T120000.000Z",
        "Trigger": "schedule",
        "ErrorType": "connection_refused",
        "ErrorMessage": "checkout.internal:8443 refused the connection",
        "Endpoint": "https://checkout.internal:8443/health",
        "AttemptNumber": 1,
        "NextRetryIn": 0.5,
        "StatusCode": None,
        "ResponseTime": 3.0,
    }


def test_a_failed_run_reports_its_error_and_that_no_retry_follows(redactor: Redactor) -> None:
    line = as_json(JobFailed(runs.run(Outcome.FAILED)), redactor)
    assert {key: line[key] for key in list(line)[3:]} == {
        "Event": "JOB_FAILED",
        "Message": "checkout failed: checkout.internal:8443 refused the connection",
        "JobName": "checkout",
        "RunId": "checkout@20310101T120000.000Z",
        "Trigger": "schedule",
        "Outcome": "failed",
        "Lateness": 2.0,
        "ErrorType": "connection_refused",
        "ErrorMessage": "checkout.internal:8443 refused the connection",
        "Endpoint": "https://checkout.internal:8443/health",
        "AttemptNumber": 1,
        "NextRetryIn": None,
        "StatusCode": None,
    }


def test_a_correlation_id_of_its_own_is_reported(redactor: Redactor) -> None:
    assert as_json(JobPerformance(runs.run(correlation_id="order-7")), redactor)["CorrelationId"] == "order-7"


def test_a_run_that_was_skipped_reports_why(redactor: Redactor) -> None:
    skipped = runs.run(Outcome.SKIPPED, message="the last run is still going")
    line = as_json(JobPerformance(skipped), redactor)
    assert (line["Message"], line["Success"], line["ResponseTime"]) == (
        "checkout skipped: the last run is still going",
        False,
        None,
    )


def test_a_dead_letter_reports_why(redactor: Redactor) -> None:
    line = as_json(DeadLettered(runs.ticket(), "delivered 5 times"), redactor)
    assert (line["Event"], line["ErrorMessage"]) == ("JOB_DEAD_LETTERED", "delivered 5 times")


def test_a_plain_line_has_no_event(redactor: Redactor) -> None:
    line = json.loads(JsonFormat(redactor).format(record("%d jobs", 3)))
    assert line == {
        "Timestamp": "2031-01-01T12:00:00.250Z",
        "Level": "INFO",
        "Logger": "a.part",
        "Message": "3 jobs",
    }


def test_json_stays_on_one_line(redactor: Redactor) -> None:
    assert "\n" not in JsonFormat(redactor).format(record("two\nlines", error=raised("x")))


@pytest.mark.parametrize(
    "event",
    [
        JobRetry(runs.retried(message=f"token {SECRET} refused")),
        JobFailed(runs.run(Outcome.FAILED, message=f"token {SECRET} refused")),
        JobPerformance(runs.run(Outcome.SKIPPED, message=SECRET)),
        JobPerformance(runs.run(tags={"note": SECRET})),
        JobPerformance(late(SECRET)),
        DeadLettered(runs.ticket(), f"{SECRET} is no body"),
    ],
    ids=lambda event: event.name,
)
def test_no_event_shows_a_secret(event: LogEvent, redactor: Redactor) -> None:
    for formatter in (JsonFormat(redactor), TextFormat(redactor, colour=True)):
        line = formatter.format(record(event))
        assert SECRET not in line
        assert json.dumps(SECRET, ensure_ascii=False)[1:-1] not in line


def test_a_traceback_shows_no_secret(redactor: Redactor) -> None:
    error = raised(f"cannot send {SECRET}")
    line = json.loads(JsonFormat(redactor).format(record("broken", error=error)))
    assert SECRET not in line["Exception"]
    assert "RuntimeError: cannot send ***" in line["Exception"]


def test_a_foreign_record_shows_no_secret_in_its_arguments(redactor: Redactor) -> None:
    assert json.loads(JsonFormat(redactor).format(record("got %s", SECRET)))["Message"] == "got ***"


@given(st.text(min_size=4), st.text(), st.text())
def test_whatever_the_secret_is_made_of_no_field_shows_it(secret: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.add_permanent(secret)
    line = as_json(JobFailed(runs.run(Outcome.FAILED, message=before + secret + after)), redactor)
    assert line["ErrorMessage"] == redactor.redact(before + secret + after)


def test_an_overlong_text_loses_its_middle_after_redaction(redactor: Redactor) -> None:
    text = "a" * (MAX_FIELD_LENGTH // 2 - 3) + SECRET + "b" * MAX_FIELD_LENGTH
    message = as_json(JobFailed(runs.run(Outcome.FAILED, message=text)), redactor)["ErrorMessage"]
    assert len(message) <= MAX_FIELD_LENGTH
    assert SECRET[:3] not in message
    assert message.startswith("aaa")
    assert message.endswith("bbb")


def test_a_line_for_people_reports_event_and_sentence(redactor: Redactor) -> None:
    line = TextFormat(redactor, colour=False).format(record(JobPerformance(runs.run())))
    assert line.split(" ", 1)[1] == "INFO    JOB_PERFORMANCE checkout succeeded in 20 ms, status 200"


def test_only_a_terminal_gets_colours(redactor: Redactor) -> None:
    assert "\x1b[" in TextFormat(redactor, colour=True).format(record("x"))
    assert "\x1b[" not in TextFormat(redactor, colour=False).format(record("x"))


def test_what_a_target_answered_cannot_steer_the_terminal(redactor: Redactor) -> None:
    event = JobFailed(runs.run(Outcome.FAILED, message="observed \x1b[2J\r\x07"))
    assert not set(TextFormat(redactor, colour=False).format(record(event))) & set("\x1b\r\x07")


def test_a_line_for_people_ends_with_its_traceback(redactor: Redactor) -> None:
    line = TextFormat(redactor, colour=False).format(record("broken", error=raised("here")))
    assert line.splitlines()[-1] == "RuntimeError: here"


def test_the_stack_is_shown_when_requested(redactor: Redactor) -> None:
    requested = record("where", error=None)
    requested.stack_info = "Stack (most recent call last): main"
    assert "most recent call last" in json.loads(JsonFormat(redactor).format(requested))["Exception"]


def test_a_run_that_an_answer_failed_shows_the_begin_of_the_answer(redactor: Redactor) -> None:
    run = runs.run(Outcome.FAILED)
    run = replace(run, attempts=(replace(run.attempts[-1], body='{"status": "down"}'),))
    assert as_json(JobFailed(run), redactor)["Answer"] == '{"status": "down"}'


def test_half_of_a_surrogate_pair_and_bytes_that_are_no_text_make_a_line_all_the_same(
    redactor: Redactor,
) -> None:
    line = JsonFormat(redactor).format(record(ServiceEvent("X", "half of \ud83d", {"Raw": b"\xff", "Ratio": 0.5})))
    read = json.loads(line.encode())
    assert (read["Message"], read["Raw"], read["Ratio"]) == ("half of \ud83d", "b'\\xff'", 0.5)


def test_fields_of_one_line_each_are_not_checked_as_a_text_of_several_lines() -> None:
    checked_at: list[str] = []

    class Looking(Redactor):
        def redact(self, text: str, *, cut: bool = False) -> str:
            checked_at.append(text)
            return super().redact(text, cut=cut)

    looking = Looking()
    looking.add_permanent(SECRET)
    as_json(JobPerformance(runs.run()), looking)
    assert checked_at
    assert not any("\n" in text for text in checked_at)
