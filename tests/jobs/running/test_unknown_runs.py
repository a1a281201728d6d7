"""A check that asks another service about its target, such as a control plane, may not learn its state."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jobs.running.circuit_state import CircuitCondition, load_state
from jobs.runs import Outcome
from jobs.runs.outcomes import ReasonCode
from jobs.targets import HttpTarget
from tests.jobs.running.run_parts import REFUSED, Hang, Stage, answer, job
from tests.jobs.running.virtual_time import virtual_time

FORBIDDEN = "management.azure.com answered 403: grant Reader on /subscriptions/1/resourceGroups/shop."
UNKNOWN = answer(403, unknown=FORBIDDEN)


@virtual_time
async def test_a_run_that_learns_nothing_is_skipped_with_its_attempt_and_the_sentence() -> None:
    run = await Stage(UNKNOWN).run()
    assert (run.outcome, run.reason, run.message) == (Outcome.SKIPPED, ReasonCode.UNKNOWN, FORBIDDEN)
    assert (run.status, run.response_time_ms, run.attempts[0].message, run.error) == (403, 12.0, FORBIDDEN, None)
    assert not run.counts_for_availability
    assert run.reliable_response_ms is None


@virtual_time
async def test_expectations_are_not_judged() -> None:
    run = await Stage(UNKNOWN).run(job(expect=[{"status": 200}, {"json": "$.value", "equals": 1}]))
    assert (run.reason, run.attempts[0].failures) == (ReasonCode.UNKNOWN, ())


@virtual_time
async def test_it_is_not_retried() -> None:
    stage = Stage(answer(503, unknown="It answered 503."), answer())
    run = await stage.run(job(retry={"attempts": 3, "on": ["5xx", "timeout"]}))
    assert (len(run.attempts), stage.heard.retried) == (1, [])


@virtual_time
async def test_a_failure_before_stays_in_its_attempts() -> None:
    run = await Stage(REFUSED, UNKNOWN).run(job(retry={"attempts": 2}))
    assert (run.reason, run.message, len(run.attempts)) == (ReasonCode.UNKNOWN, FORBIDDEN, 2)


@virtual_time
async def test_a_run_with_an_effect_that_happens_once_is_unknown_too() -> None:
    assert (await Stage(UNKNOWN).run(job(effect="once"))).reason is ReasonCode.UNKNOWN


@virtual_time
async def test_a_secret_in_the_sentence_is_redacted() -> None:
    stage = Stage(answer(unknown="The service refused the token hunter2-hunter2."))
    stage.redactor.add_permanent("hunter2-hunter2")
    run = await stage.run()
    assert "hunter2" not in f"{run.message}{run.attempts[0].message}"


@virtual_time
async def test_the_circuit_counts_neither_a_success_nor_a_failure() -> None:
    guarded = job(circuit={"consecutive_failures": 2, "open_for": "60s"}, retry={"attempts": 1})
    stage = Stage(REFUSED, UNKNOWN, UNKNOWN, UNKNOWN, REFUSED)
    for _ in range(4):
        await stage.run(guarded)
    assert load_state(stage.states.stored["checkout"][0]).condition is CircuitCondition.CLOSED
    await stage.run(guarded)
    assert load_state(stage.states.stored["checkout"][0]).condition is CircuitCondition.OPEN


@virtual_time
async def test_an_unknown_probe_is_released_so_that_the_next_run_is_one() -> None:
    guarded = job(circuit={"consecutive_failures": 1, "open_for": "60s"}, retry={"attempts": 1})
    stage = Stage(REFUSED, UNKNOWN, answer())
    await stage.run(guarded)
    await asyncio.sleep(61)
    assert (await stage.run(guarded)).reason is ReasonCode.UNKNOWN
    assert (await stage.run(guarded)).outcome is Outcome.SUCCEEDED


class _Evidence:
    def __init__(self) -> None:
        self.recorded: list[Any] = []

    def record(self, endpoint: str, error: Any) -> None:
        self.recorded.append((endpoint, error))

    async def explain(self, error: Any, since: Any, endpoint: str) -> str | None:
        return None


@virtual_time
async def test_it_is_no_evidence_about_the_network() -> None:
    stage, evidence = Stage(UNKNOWN), _Evidence()
    object.__setattr__(stage.runner._dependencies, "self_checks", evidence)
    await stage.run()
    assert evidence.recorded == []


@virtual_time
async def test_a_target_whose_check_can_be_unknown_is_unknown_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HttpTarget, "CAN_BE_UNKNOWN", True, raising=False)
    run = await Stage(Hang("first_byte")).run(job(timeout={"attempt": "2s", "run": "5s"}))
    assert (run.reason, len(run.attempts)) == (ReasonCode.UNKNOWN, 1)
    assert "2 s" in run.message
