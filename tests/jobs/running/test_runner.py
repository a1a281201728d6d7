from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest

from jobs.checks.clock import Phase
from jobs.judging import JudgingUnavailable
from jobs.running.run_factories import ERRORS_UNRELATED_TO_TARGET
from jobs.running.runner import Runner
from jobs.runs import ErrorClass, Failure, Observation, Outcome, Phases, Trigger
from jobs.runs.details import Details, StepDetail
from jobs.runs.outcomes import ReasonCode
from tests.jobs.running.run_parts import REFUSED, TICKET, URL, Hang, Stage, answer, broken, job
from tests.jobs.running.virtual_time import START, virtual_time

ONCE = {"retry": {"attempts": 1}}


def elapsed() -> float:
    return asyncio.get_running_loop().time()


@virtual_time
async def test_an_answer_as_expected_is_a_run_that_succeeded() -> None:
    stage = Stage(answer(204))
    run = await stage.run()
    assert (run.outcome, run.error, run.message) == (Outcome.SUCCEEDED, None, "")
    assert [(attempt.number, attempt.status, attempt.error) for attempt in run.attempts] == [(1, 204, None)]


@virtual_time
async def test_a_run_carries_what_its_ticket_and_its_job_report() -> None:
    run = await Stage(answer()).run()
    assert (run.id, run.job, run.trigger, run.due_at) == (TICKET.id, "checkout", Trigger.SCHEDULE, START)
    assert (run.generation, run.correlation_id, run.endpoint) == ("g1", TICKET.id, URL)
    assert run.tags == {"team": "payments"}


@virtual_time
async def test_a_run_knows_when_it_started_and_finished() -> None:
    stage = Stage(Hang("body", 3.0))
    await asyncio.sleep(2)
    run = await stage.run()
    assert (run.lateness_ms, run.duration_ms) == (2000, 3000)
    assert run.attempts[0].started_at == START + timedelta(seconds=2)


@virtual_time
async def test_the_check_is_reported_the_run_and_the_attempt() -> None:
    stage = Stage(REFUSED, answer())
    await stage.run()
    assert [(call.run_id, call.attempt) for call in stage.check.calls] == [(TICKET.id, 1), (TICKET.id, 2)]


@virtual_time
async def test_the_listener_hears_of_the_start_and_leaves_the_end_to_who_records_the_run() -> None:
    stage = Stage(answer())
    await stage.run()
    assert [(event.ticket, event.endpoint, event.started_at) for event in stage.heard.started] == [(TICKET, URL, START)]
    assert (stage.heard.retried, stage.heard.finished) == ([], [])


@virtual_time
async def test_a_status_that_was_not_expected_fails_the_run_with_its_own_class() -> None:
    run = await Stage(answer(404, reason="Not Found")).run()
    assert (run.outcome, run.error) == (Outcome.FAILED, ErrorClass.UNEXPECTED_STATUS)
    assert run.message == "Answered 404 Not Found, expected 2xx."
    assert run.attempts[0].failures == (Failure("status", "2xx", "404"),)


@virtual_time
async def test_what_is_only_degraded_lets_the_run_succeed_and_is_reported() -> None:
    slow = {"response_time_below": "5ms", "severity": "degraded"}
    run = await Stage(answer()).run(job(expect=[slow, {"status": 200}]))
    assert (run.outcome, run.error, run.degraded, len(run.attempts)) == (Outcome.SUCCEEDED, None, True, 1)
    assert run.message == "Degraded: response_time_below: expected less than 5 ms, observed 12 ms."


@virtual_time
async def test_a_run_that_fails_is_not_called_degraded() -> None:
    slow = {"response_time_below": "5ms", "severity": "degraded"}
    run = await Stage(answer(404)).run(job(expect=[slow]))
    assert (run.outcome, run.degraded) == (Outcome.FAILED, False)


@virtual_time
async def test_an_error_code_of_the_dns_has_a_class_of_its_own() -> None:
    observed = Observation(Phases(total_ms=3.0), facts={"rcode": "NXDOMAIN", "answers": []})
    run = await Stage(observed).run()
    assert (run.error, run.message) == (
        ErrorClass.DNS_ANSWER,
        "Not as expected: rcode: expected NOERROR, observed NXDOMAIN.",
    )


@pytest.mark.parametrize(("keep_body", "excerpt"), [(0, ""), (4, "serv"), (100, "server is down")])
@virtual_time
async def test_keep_body_limits_the_excerpt_of_a_failed_attempt(keep_body: int, excerpt: str) -> None:
    stage = Stage(answer(503, body=b"server is down"))
    run = await stage.run(job(check={"url": URL, "keep_body": keep_body}))
    assert run.attempts[0].body == excerpt


@virtual_time
async def test_another_expectation_that_does_not_hold_fails_the_run_with_its_own_class() -> None:
    run = await Stage(answer(200, body=b"down")).run(job(expect=[{"body_contains": "up"}]))
    assert (run.outcome, run.error) == (Outcome.FAILED, ErrorClass.EXPECTATION_FAILED)
    assert run.message == "Not as expected: body_contains: expected 'up', observed 'down'."


@virtual_time
async def test_a_status_that_is_expected_is_a_success_whatever_it_is() -> None:
    stage = Stage(answer(503))
    run = await stage.run(job(expect=[{"status": "503"}]))
    assert (run.outcome, len(run.attempts)) == (Outcome.SUCCEEDED, 1)


@virtual_time
async def test_an_error_that_the_check_saw_is_the_error_of_the_run() -> None:
    run = await Stage(broken(ErrorClass.TLS_CERTIFICATE, "The certificate expired yesterday.")).run()
    assert (run.outcome, run.error) == (Outcome.FAILED, ErrorClass.TLS_CERTIFICATE)
    assert (run.message, len(run.attempts)) == ("The certificate expired yesterday.", 1)


@pytest.mark.parametrize(
    ("phase", "error"),
    [
        ("dns", ErrorClass.DNS_TIMEOUT),
        ("connect", ErrorClass.CONNECT_TIMEOUT),
        ("tls", ErrorClass.TLS_TIMEOUT),
        ("first_byte", ErrorClass.RESPONSE_TIMEOUT),
        ("body", ErrorClass.BODY_TIMEOUT),
        (None, ErrorClass.RESPONSE_TIMEOUT),
    ],
)
@virtual_time
async def test_an_attempt_ends_at_its_deadline_and_reports_what_it_was_waiting_for(
    phase: Phase | None, error: ErrorClass
) -> None:
    run = await Stage(Hang(phase)).run(job(**ONCE))
    assert (run.outcome, run.error) == (Outcome.TIMED_OUT, error)
    assert "within 5 s" in run.message
    assert elapsed() == pytest.approx(5)


@virtual_time
async def test_an_attempt_that_timed_out_retains_the_time_of_the_phase_it_was_in() -> None:
    run = await Stage(Hang("connect")).run(job(**ONCE))
    assert run.attempts[0].phases.connect_ms is not None
    assert run.attempts[0].phases.first_byte_ms is None


@virtual_time
async def test_an_attempt_gets_no_more_than_what_is_left_of_the_run() -> None:
    run = await Stage(Hang("first_byte")).run(job(timeout={"run": "7s"}, **ONCE))
    assert "within 7 s" in run.message
    assert elapsed() == pytest.approx(7)


@virtual_time
async def test_a_check_that_ignores_its_cancellation_does_not_hold_the_run(caplog: pytest.LogCaptureFixture) -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            await asyncio.sleep(1000)

    run = await Stage(stubborn).run(job(**ONCE))
    assert run.outcome is Outcome.TIMED_OUT
    assert elapsed() == pytest.approx(6)
    assert "could not cancel ScriptedCheck.observe" in caplog.text


@pytest.mark.parametrize("error", [RuntimeError("boom"), asyncio.CancelledError(), KeyError("x")], ids=repr)
@virtual_time
async def test_a_mistake_inside_a_check_is_an_internal_error_and_no_lost_run(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    run = await Stage(error).run()
    assert (run.outcome, run.error, len(run.attempts)) == (Outcome.FAILED, ErrorClass.INTERNAL_ERROR, 1)
    assert "Internal error " in run.message
    assert "Traceback" in caplog.text
    assert TICKET.id in caplog.text


@virtual_time
async def test_a_run_whose_target_is_denied_has_that_reason_code() -> None:
    run = await Stage(Observation(Phases(), error=ErrorClass.TARGET_DENIED, message="Not sent.")).run()
    assert (run.outcome, run.error, run.reason) == (Outcome.FAILED, ErrorClass.TARGET_DENIED, ReasonCode.TARGET_DENIED)


LACKING = Observation(Phases(), error=ErrorClass.OUT_OF_RESOURCES, message="It could not be asked.")


@virtual_time
async def test_a_run_that_this_machine_has_no_resources_for_is_skipped_and_counts_nowhere() -> None:
    run = await Stage(LACKING).run()
    assert (run.outcome, run.outcome.down, run.error) == (Outcome.SKIPPED, False, ErrorClass.OUT_OF_RESOURCES)
    assert run.message == "It could not be asked."
    assert ErrorClass.OUT_OF_RESOURCES in ERRORS_UNRELATED_TO_TARGET


@virtual_time
async def test_a_run_whose_target_had_failed_before_that_has_failed() -> None:
    run = await Stage(REFUSED, LACKING).run()
    assert (run.outcome, run.error) == (Outcome.FAILED, ErrorClass.OUT_OF_RESOURCES)


@virtual_time
async def test_one_that_may_not_be_made_again_has_failed_so_that_a_user_sees_it() -> None:
    run = await Stage(LACKING).run(job(effect="once", retry={"attempts": 1}))
    assert (run.outcome, run.error) == (Outcome.FAILED, ErrorClass.OUT_OF_RESOURCES)


@virtual_time
async def test_a_kind_without_a_check_is_an_internal_error() -> None:
    stage = Stage(answer())
    runner = Runner({}, stage.circuits, stage.heard, stage.clock, stage.redactor)
    run = await runner.run(job(), TICKET)
    assert run.error is ErrorClass.INTERNAL_ERROR
    assert "KeyError" in run.message


@virtual_time
async def test_secrets_are_accepted_out_of_messages_failures_and_the_log(caplog: pytest.LogCaptureFixture) -> None:
    expect = {"expect": [{"body_contains": "fine"}]}
    for step in (
        broken(ErrorClass.PROTOCOL_ERROR, "bad header hunter22"),
        answer(reason="hunter22", status=400, body=b"hunter22"),
        ValueError("hunter22"),
    ):
        stage = Stage(step)
        stage.redactor.add_permanent("hunter22")
        run = await stage.run(job(**ONCE, **expect))
        assert "hunter22" not in repr(run)
    assert "Traceback" in caplog.text
    assert "hunter22" not in caplog.text


async def started(stage: Stage, definition: Any = None) -> tuple[Any, asyncio.Task[Any]]:
    execution = stage.runner.start(definition or job(), TICKET)
    task = asyncio.create_task(execution.run_to_end())
    await asyncio.sleep(1)
    return execution, task


@virtual_time
async def test_a_cancelled_run_raises_the_cancellation_and_can_still_be_recorded() -> None:
    execution, task = await started(Stage(REFUSED, Hang("first_byte")))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    run = execution.build_cancelled_run()
    assert (run.outcome, run.error) == (Outcome.CANCELLED, ErrorClass.INTERRUPTED)
    assert [attempt.error for attempt in run.attempts] == [ErrorClass.CONNECTION_REFUSED]
    assert not run.outcome.down


@virtual_time
async def test_cancelling_a_run_cancels_the_check() -> None:
    ended = []

    async def send_request() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(True)

    _, task = await started(Stage(send_request))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]


@virtual_time
async def test_a_run_cancelled_in_a_wait_between_attempts_ends_at_once() -> None:
    _, task = await started(Stage(REFUSED), job(retry={"initial": "10s", "jitter": "none"}))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert elapsed() == pytest.approx(1)


@virtual_time
async def test_an_outer_deadline_around_a_run_works_as_everywhere() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await Stage(Hang("body")).run()
    assert elapsed() == pytest.approx(2)


@virtual_time
async def test_a_run_that_succeeds_at_once_reports_nothing_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "jobs")
    await Stage(answer()).run()
    assert caplog.messages == []


@virtual_time
async def test_an_attempt_that_is_abandoned_keeps_what_its_check_has_observed_so_far() -> None:
    stage = Stage(answer())

    async def hang() -> None:
        clock = stage.check.calls[-1].clock
        reported = {"name": "sign in", "outcome": "succeeded", "status": 200, "ms": 1.5}
        clock.facts = lambda: {"steps": [reported]}
        await asyncio.sleep(1000)

    stage.check.steps = [hang]
    run = await stage.run(job(retry={"attempts": 1}))
    assert run.outcome is Outcome.TIMED_OUT
    assert run.attempts[0].details == Details(steps=(StepDetail("sign in", 200, 1.5),))


PENDING = answer(pending="No ping has arrived yet.", facts={"state": "new"})
STATE_UP = {"fact": "state", "equals": "up"}


@virtual_time
async def test_a_run_of_which_nothing_is_known_yet_is_skipped_with_the_reason() -> None:
    stage = Stage(PENDING)
    run = await stage.run(job(expect=[{"status": 200}]))
    assert (run.outcome, run.error, run.attempts) == (Outcome.SKIPPED, None, ())
    assert run.message == "No ping has arrived yet."


@virtual_time
async def test_a_run_of_which_nothing_is_known_yet_fails_if_its_expectations_report_it() -> None:
    stage = Stage(PENDING)
    run = await stage.run(job(expect=[STATE_UP], retry={"attempts": 1}))
    assert (run.outcome, run.error) == (Outcome.FAILED, ErrorClass.EXPECTATION_FAILED)


@virtual_time
async def test_a_run_of_which_nothing_is_known_yet_is_not_merely_degraded() -> None:
    stage = Stage(PENDING)
    run = await stage.run(job(expect=[{"status": 200}, STATE_UP | {"severity": "degraded"}]))
    assert run.outcome is Outcome.SKIPPED


@virtual_time
async def test_an_answer_that_no_one_could_judge_is_not_the_fault_of_its_target() -> None:
    class Unavailable:
        async def perform(self, *_: Any, **__: Any) -> Any:
            raise JudgingUnavailable("The answer was not judged: others were.")

    stage = Stage(answer(body=b"up"))
    runner = Runner(
        {"http": stage.check}, stage.circuits, stage.heard, stage.clock, stage.redactor, judges=Unavailable()
    )
    run = await runner.run(job(**ONCE, expect=[{"body_contains": "up"}]), TICKET)
    assert (run.outcome, run.error) == (Outcome.FAILED, ErrorClass.INTERNAL_ERROR)
    assert run.message == "The answer was not judged: others were."
