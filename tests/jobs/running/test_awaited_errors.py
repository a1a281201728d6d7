"""A target that must not answer: its silence is the success, an answer the failure."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.runs import ErrorClass, Outcome
from tests.jobs.running.run_parts import REFUSED, Hang, Stage, answer, broken, job
from tests.jobs.running.virtual_time import virtual_time

CLOSED = {"error": ["connection_refused", "connect_timeout"]}


def closed(*more: dict[str, Any], **fields: Any) -> Any:
    return job(expect=[CLOSED, *more], **fields)


@virtual_time
async def test_an_error_that_is_awaited_is_a_success_at_once() -> None:
    stage = Stage(REFUSED, answer())
    run = await stage.run(closed())
    assert (run.outcome, run.error, run.message, len(stage.check.calls)) == (Outcome.SUCCEEDED, None, "", 1)


@virtual_time
async def test_a_timeout_may_be_awaited_too() -> None:
    run = await Stage(Hang("connect")).run(closed())
    assert (run.outcome, len(run.attempts)) == (Outcome.SUCCEEDED, 1)


@virtual_time
@pytest.mark.parametrize("status", [200, 503])
async def test_an_answer_fails_where_none_must_come(status: int) -> None:
    run = await Stage(answer(status)).run(closed())
    assert (run.outcome, run.error) == (Outcome.FAILED, ErrorClass.EXPECTATION_FAILED)
    assert f"error: expected connection_refused or connect_timeout, observed an answer, {status}" in run.message


@virtual_time
async def test_another_error_fails_as_ever() -> None:
    run = await Stage(broken(ErrorClass.DNS_FAILURE, "No such name.")).run(closed())
    assert (run.outcome, run.error, run.message) == (Outcome.FAILED, ErrorClass.DNS_FAILURE, "No such name.")


@virtual_time
async def test_every_other_entry_must_hold_in_addition_to() -> None:
    run = await Stage(REFUSED).run(closed({"response_time_below": "1s"}))
    assert run.outcome is Outcome.SUCCEEDED
    run = await Stage(REFUSED).run(closed({"status": 200}))
    assert (run.outcome, run.error) == (Outcome.FAILED, ErrorClass.EXPECTATION_FAILED)
    assert run.message == "Not as expected: status: expected 200, observed none."
    run = await Stage(REFUSED).run(closed({"error": "connect_timeout"}))
    assert (run.outcome, run.error) == (Outcome.FAILED, ErrorClass.CONNECTION_REFUSED)


@virtual_time
async def test_the_circuit_counts_an_awaited_error_as_a_success() -> None:
    stage = Stage(REFUSED)
    checked = closed(circuit={"consecutive_failures": 1, "open_for": "60s"})
    assert [(await stage.run(checked)).outcome for _ in range(2)] == [Outcome.SUCCEEDED] * 2
