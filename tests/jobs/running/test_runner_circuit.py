from __future__ import annotations

import asyncio

import pytest

from jobs.errors import LeaseEnded
from jobs.running.circuit_state import CircuitCondition, load_state
from jobs.runs import ErrorClass, Outcome
from tests.jobs.running.memory_states import MemoryStates
from tests.jobs.running.run_parts import REFUSED, Hang, Stage, answer, broken, job
from tests.jobs.running.virtual_time import virtual_time

GUARDED = job(circuit={"consecutive_failures": 2, "open_for": "60s"}, retry={"attempts": 1})


def condition(states: MemoryStates) -> CircuitCondition:
    return load_state(states.stored["checkout"][0]).condition


async def opened() -> MemoryStates:
    """The states after two runs that failed."""
    stage = Stage(REFUSED)
    await stage.run(GUARDED)
    await stage.run(GUARDED)
    return stage.states


@virtual_time
async def test_an_open_circuit_rejects_the_run_and_counts_as_down() -> None:
    stage = Stage(answer(), states=await opened())
    run = await stage.run(GUARDED)
    assert (run.outcome, run.error) == (Outcome.REJECTED, ErrorClass.CIRCUIT_OPEN)
    assert run.outcome.down
    assert run.message == (
        "Rejected: the circuit is open since 2026-03-01 12:00:00Z (2 failures in a row); "
        "the next probe is admitted at 2026-03-01 12:01:00Z."
    )


@virtual_time
async def test_a_rejected_run_requests_nothing_and_does_not_start() -> None:
    stage = Stage(answer(), states=await opened())
    run = await stage.run(GUARDED)
    assert (stage.check.calls, stage.heard.started, run.attempts) == ([], [], ())


@virtual_time
async def test_a_probe_that_succeeds_closes_the_circuit() -> None:
    stage = Stage(answer(), states=await opened())
    await asyncio.sleep(61)
    assert (await stage.run(GUARDED)).outcome is Outcome.SUCCEEDED
    assert condition(stage.states) is CircuitCondition.CLOSED


@virtual_time
async def test_a_probe_that_fails_opens_it_again() -> None:
    stage = Stage(REFUSED, states=await opened())
    await asyncio.sleep(61)
    await stage.run(GUARDED)
    assert (await stage.run(GUARDED)).outcome is Outcome.REJECTED


@virtual_time
async def test_a_run_counts_once_however_many_attempts_it_took() -> None:
    stage = Stage(REFUSED)
    await stage.run(job(circuit={"consecutive_failures": 2}))
    assert condition(stage.states) is CircuitCondition.CLOSED


@pytest.mark.parametrize(
    "step",
    [broken(ErrorClass.SECRET_UNAVAILABLE), broken(ErrorClass.TARGET_DENIED), RuntimeError()],
    ids=["secret", "denied", "mistake"],
)
@virtual_time
async def test_what_is_not_the_targets_fault_does_not_open_its_circuit(step: object) -> None:
    stage = Stage(step)  # type: ignore[arg-type]
    for _ in range(3):
        assert (await stage.run(GUARDED)).outcome is Outcome.FAILED


@virtual_time
async def test_a_run_of_which_nothing_is_known_yet_does_not_close_a_circuit() -> None:
    stage = Stage(answer(pending="No ping has arrived yet."), states=await opened())
    await asyncio.sleep(61)
    assert (await stage.run(GUARDED)).outcome is Outcome.SKIPPED
    assert condition(stage.states) is not CircuitCondition.CLOSED


@virtual_time
async def test_a_time_out_counts_as_a_failure() -> None:
    stage = Stage(Hang("connect"))
    await stage.run(GUARDED)
    await stage.run(GUARDED)
    assert condition(stage.states) is CircuitCondition.OPEN


@virtual_time
async def test_a_cancelled_probe_is_replaced_after_its_lease() -> None:
    stage = Stage(Hang("body"), answer(), states=await opened())
    await asyncio.sleep(61)
    task = asyncio.create_task(stage.run(GUARDED))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await stage.run(GUARDED)).outcome is Outcome.REJECTED
    await asyncio.sleep(GUARDED.timeout.run + 11)
    assert (await stage.run(GUARDED)).outcome is Outcome.SUCCEEDED


@virtual_time
async def test_a_job_without_a_circuit_never_reads_the_store() -> None:
    stage = Stage(answer())
    stage.states.away = OSError()
    assert (await stage.run()).outcome is Outcome.SUCCEEDED
    assert (stage.states.reads, stage.circuits.is_degraded) == (0, False)


@virtual_time
async def test_a_store_that_is_unavailable_changes_no_run() -> None:
    stage = Stage(answer())
    stage.states.away = OSError()
    assert (await stage.run(GUARDED)).outcome is Outcome.SUCCEEDED
    assert stage.circuits.is_degraded


@virtual_time
async def test_the_time_for_the_circuits_store_is_not_accepted_from_the_run() -> None:
    stage = Stage(Hang("body", 4.5))
    stage.states.hangs = True
    brief = GUARDED.model_copy(update={"timeout": GUARDED.timeout.model_copy(update={"run": 5.0})})
    assert (await stage.run(brief)).outcome is Outcome.SUCCEEDED


@virtual_time
async def test_a_probe_whose_lease_has_ended_leaves_the_next_probe_to_another_run() -> None:
    stage = Stage(LeaseEnded(), answer(), states=await opened())
    await asyncio.sleep(61)
    with pytest.raises(LeaseEnded):
        await stage.run(GUARDED)
    assert (await stage.run(GUARDED)).outcome is Outcome.SUCCEEDED
