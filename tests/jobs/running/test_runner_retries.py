from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jobs.policies import MAX_RUN_TIMEOUT
from jobs.policies.execution import MAX_ATTEMPTS
from jobs.running.retry_budget import RetryBudget
from jobs.runs import ErrorClass, Outcome
from tests.jobs.running.run_parts import REFUSED, Hang, ScriptedCheck, Stage, answer, broken, job
from tests.jobs.running.running_cases import cases
from tests.jobs.running.virtual_time import VirtualTimeLoop, virtual_time


def elapsed() -> float:
    return asyncio.get_running_loop().time()


def every(wait: str, attempts: int = 3) -> dict[str, object]:
    return {"attempts": attempts, "backoff": "constant", "initial": wait, "max": "10m", "jitter": "none"}


def within_a_run() -> list[Any]:
    """The cases whose waits all fit into the longest run."""
    found = [case for case in cases("retry_waits") if "wait" in case.values[0]]
    return [
        case
        for case in found
        if 0 < case.values[0]["after_attempt"] < MAX_ATTEMPTS
        and case.values[0]["after_attempt"] * case.values[0]["wait"] < MAX_RUN_TIMEOUT
    ]


@pytest.mark.parametrize("case", within_a_run())
@virtual_time
async def test_a_run_waits_between_its_attempts_as_other_retry_libraries_do(case: dict[str, Any]) -> None:
    number = case["after_attempt"]
    retry = case["retry"] | {"attempts": number + 1}
    stage = Stage(REFUSED, drawn=case.get("drawn", 0.5))
    run = await stage.run(job(retry=retry, timeout={"run": "8m"}))
    assert run.attempts[number - 1].wait_ms == pytest.approx(case["wait"] * 1000)


@virtual_time
async def test_a_run_that_recovers_succeeded_and_keeps_every_attempt() -> None:
    run = await Stage(REFUSED, answer(503), answer(200)).run()
    assert (run.outcome, run.error, run.message) == (Outcome.SUCCEEDED, None, "")
    assert [attempt.error for attempt in run.attempts] == [
        ErrorClass.CONNECTION_REFUSED,
        ErrorClass.UNEXPECTED_STATUS,
        None,
    ]
    assert [attempt.number for attempt in run.attempts] == [1, 2, 3]


@virtual_time
async def test_an_attempt_retains_the_wait_after_it() -> None:
    run = await Stage(REFUSED).run()
    assert [attempt.wait_ms for attempt in run.attempts] == [500, 1000, None]
    assert elapsed() == pytest.approx(1.5)


@virtual_time
async def test_the_listener_hears_of_an_attempt_before_the_wait_after_it() -> None:
    stage = Stage(REFUSED)
    task = asyncio.create_task(stage.run())
    await asyncio.sleep(0.1)
    assert [event.attempt.wait_ms for event in stage.heard.retried] == [500]
    run = await task
    assert [event.attempt for event in stage.heard.retried] == list(run.attempts[:-1])


@virtual_time
async def test_a_run_makes_as_many_attempts_as_the_policy_has() -> None:
    run = await Stage(REFUSED).run(job(retry=every("1s", attempts=5)))
    assert (run.outcome, run.error, len(run.attempts)) == (Outcome.FAILED, ErrorClass.CONNECTION_REFUSED, 5)
    assert run.message == "checkout.internal:443 refused the connection."


@virtual_time
async def test_one_attempt_means_no_retry() -> None:
    stage = Stage(REFUSED)
    run = await stage.run(job(retry={"attempts": 1}))
    assert (len(run.attempts), stage.heard.retried) == (1, [])


@virtual_time
async def test_a_failure_that_is_not_repeated_ends_the_run_after_one_that_is() -> None:
    run = await Stage(REFUSED, answer(401)).run()
    assert (run.error, run.status, len(run.attempts)) == (ErrorClass.UNEXPECTED_STATUS, 401, 2)


@virtual_time
async def test_a_post_is_not_repeated_unless_the_job_reports_it() -> None:
    post = {"url": "http://a/", "method": "POST"}
    assert len((await Stage(REFUSED).run(job(check=post))).attempts) == 1
    run = await Stage(REFUSED).run(job(check=post, retry={"non_idempotent": True}))
    assert len(run.attempts) == 3


@virtual_time
async def test_a_retry_after_is_waited_for() -> None:
    run = await Stage(answer(503, retry_after_s=7.0), answer()).run()
    assert run.outcome is Outcome.SUCCEEDED
    assert run.attempts[0].wait_ms == 7000
    assert "(Retry-After: 7 s)" in run.attempts[0].message


@virtual_time
async def test_a_retry_after_that_does_not_fit_into_the_run_ends_it_at_once() -> None:
    stage = Stage(Hang("body", 8.0), answer(503, retry_after_s=120.0))
    run = await stage.run(job(timeout={"attempt": "5s", "run": "17.5s"}))
    assert (run.outcome, run.error, len(run.attempts)) == (Outcome.FAILED, ErrorClass.UNEXPECTED_STATUS, 2)
    assert run.message == (
        "Answered 503 (Retry-After: 120 s), expected 2xx. "
        "Not retried: the target requested a wait of 120 s, only 12 s of the run's time are left."
    )
    assert elapsed() == pytest.approx(5.5)
    assert len(stage.heard.retried) == 1


@virtual_time
async def test_a_wait_of_our_own_that_does_not_fit_ends_the_run_at_once() -> None:
    run = await Stage(REFUSED).run(job(timeout={"run": "3s"}, retry=every("3s")))
    assert (run.error, len(run.attempts), elapsed()) == (ErrorClass.CONNECTION_REFUSED, 1, 0)
    assert run.message.endswith(
        "Not retried: the next attempt would start in 3 s, only 3 s of the run's time are left."
    )


@virtual_time
async def test_the_last_attempt_gives_no_reason_why_there_is_no_further_one() -> None:
    run = await Stage(answer(503, retry_after_s=120.0)).run(job(retry=every("1s", attempts=1)))
    assert "Not retried" not in run.message


@virtual_time
async def test_the_whole_run_ends_at_its_deadline_whatever_the_attempts_do() -> None:
    run = await Stage(Hang("first_byte")).run(job(retry=every("1s", attempts=20)))
    assert run.outcome is Outcome.TIMED_OUT
    assert elapsed() == pytest.approx(20)
    assert [round(attempt.wait_ms or 0) for attempt in run.attempts] == [1000, 1000, 1000, 0]
    assert "within 2 s" in run.message


@virtual_time
async def test_a_process_that_slept_during_a_wait_makes_the_attempts_that_are_left() -> None:
    stage = Stage(REFUSED)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.call_later(0.1, loop.skip, 60.0)
    run = await stage.run()
    assert (run.outcome, run.error, len(run.attempts)) == (Outcome.FAILED, ErrorClass.CONNECTION_REFUSED, 3)


@virtual_time
async def test_a_run_ends_timed_out_only_if_its_last_attempt_did() -> None:
    run = await Stage(Hang("connect"), answer(500)).run(job(retry=every("1s", attempts=2)))
    assert (run.outcome, run.error) == (Outcome.FAILED, ErrorClass.UNEXPECTED_STATUS)


@virtual_time
async def test_jitter_draws_the_wait() -> None:
    run = await Stage(REFUSED).run(job(retry={"jitter": "full", "attempts": 2}))
    assert run.attempts[0].wait_ms == 250


@virtual_time
async def test_an_internal_error_in_a_later_attempt_retains_the_earlier_ones() -> None:
    run = await Stage(REFUSED, RuntimeError()).run()
    assert [attempt.error for attempt in run.attempts] == [ErrorClass.CONNECTION_REFUSED, ErrorClass.INTERNAL_ERROR]


@pytest.mark.parametrize("error", [ErrorClass.TLS_CERTIFICATE, ErrorClass.SECRET_UNAVAILABLE, ErrorClass.TARGET_DENIED])
@virtual_time
async def test_what_does_not_mend_itself_in_seconds_is_not_repeated(error: ErrorClass) -> None:
    stage = Stage(broken(error))
    await stage.run()
    assert isinstance(stage.check, ScriptedCheck)
    assert len(stage.check.calls) == 1


@virtual_time
async def test_a_run_that_may_not_be_tried_again_as_others_used_up_the_budget_reports_it() -> None:
    run = await Stage(REFUSED, budget=RetryBudget(per_minute=1, share=0)).run()
    assert len(run.attempts) == 2
    assert run.message == (
        "checkout.internal:443 refused the connection. "
        "Not retried: the retry budget of checkout.internal:443 is exhausted (1 a minute for all jobs)."
    )


@virtual_time
async def test_a_thousand_jobs_on_a_dead_host_do_not_triple_their_load() -> None:
    stage = Stage(REFUSED)
    runs = await asyncio.gather(*(stage.run() for _ in range(1000)))
    assert all(run.outcome is Outcome.FAILED for run in runs)
    assert len(stage.check.calls) <= 1000 + 60 + 200 + 2
