from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

import pytest

from jobs.policies import CircuitPolicy
from jobs.running.circuit_breakers import ADMITTED_WITHOUT_STORE, CircuitBreakers
from jobs.running.circuit_state import (
    CircuitCondition,
    CircuitState,
    ManualOverride,
    count_window,
    dump_state,
    load_state,
)
from tests.jobs.running.memory_states import MemoryStates
from tests.jobs.running.virtual_time import START, virtual_time

TWO = CircuitPolicy(consecutive_failures=2, open_for=60.0)
HALF = CircuitPolicy(failure_rate=0.5, window=20, minimum_calls=10, open_for=60.0)
LEASE = 30.0


async def run(
    circuits: CircuitBreakers, failed: bool | None, policy: CircuitPolicy = TWO, now: datetime = START, key: str = "job"
) -> bool:
    """A run that is admitted and ends at once; False: it was rejected."""
    admission = await circuits.admit(key, policy, now, LEASE)
    await circuits.record(key, policy, now, admission, failed)
    return admission.is_allowed


def state(states: MemoryStates, key: str = "job") -> CircuitState:
    return load_state(states.stored[key][0])


async def opened(states: MemoryStates) -> CircuitBreakers:
    circuits = CircuitBreakers(states)
    await run(circuits, True)
    await run(circuits, True)
    assert state(states).condition is CircuitCondition.OPEN
    return circuits


async def test_what_one_process_opens_is_open_for_the_other() -> None:
    states = MemoryStates()
    await opened(states)
    assert not await run(CircuitBreakers(states), False)


async def test_successes_of_a_healthy_job_cost_one_read_each_and_no_write() -> None:
    states = MemoryStates()
    circuits = CircuitBreakers(states)
    for _ in range(50):
        await run(circuits, False, HALF)
    assert (states.reads, states.writes) == (50, 0)


async def test_successes_that_were_not_written_count_in_the_window_of_the_next_failure() -> None:
    states = MemoryStates()
    circuits = CircuitBreakers(states)
    for _ in range(5):
        await run(circuits, False, HALF)
    await run(circuits, True, HALF)
    assert (state(states).window.calls, state(states).window.failures, states.writes) == (6, 0b1, 1)
    await run(circuits, True, HALF)
    assert (state(states).window.calls, state(states).window.failures) == (7, 0b11)


async def test_the_window_is_the_same_as_if_every_run_were_written() -> None:
    states = MemoryStates()
    circuits = CircuitBreakers(states)
    for failed in (False, False, True, False, False, False, True, True):
        await run(circuits, failed, HALF)
    assert (state(states).window.calls, state(states).window.failures) == (8, 0b00100011)


async def test_the_first_success_after_a_failure_is_written_so_that_failures_are_in_a_row() -> None:
    states = MemoryStates()
    one, other = CircuitBreakers(states), CircuitBreakers(states)
    await run(one, True)
    await run(other, False)
    await run(one, True)
    assert state(states).condition is CircuitCondition.CLOSED


async def test_a_success_that_began_before_a_failure_and_ended_after_it_ends_the_failures_in_a_row() -> None:
    states = MemoryStates()
    circuits = CircuitBreakers(states)
    early = await circuits.admit("job", TWO, START, LEASE)
    await run(circuits, True)
    await circuits.record("job", TWO, START, early, False)
    await run(circuits, True)
    assert state(states).condition is CircuitCondition.CLOSED


async def test_a_success_from_before_the_circuit_opened_does_not_cost_those_that_came_after_it_closed() -> None:
    states = MemoryStates()
    policy = HALF.model_copy(update={"consecutive_failures": 2})
    circuits = CircuitBreakers(states)
    early = await circuits.admit("job", policy, START, LEASE)
    for _ in range(2):
        await run(circuits, True, policy)
    later = START + timedelta(seconds=61)
    for _ in range(4):
        assert await run(circuits, False, policy, later)
    await circuits.record("job", policy, later, early, False)
    await run(circuits, True, policy, later)
    assert (state(states).window.calls, state(states).window.failures) == (4, 0b1)


async def test_successes_of_an_earlier_period_are_not_carried_into_the_next() -> None:
    states = MemoryStates()
    circuits = CircuitBreakers(states)
    for _ in range(5):
        await run(circuits, False, HALF)
    states.put("job", dump_state(CircuitState(period=3)))
    await run(circuits, True, HALF)
    assert (state(states).period, state(states).window.calls) == (3, 1)


async def test_a_write_that_lost_against_another_is_worked_out_anew() -> None:
    states = MemoryStates()
    circuits = CircuitBreakers(states)
    states.overtake = lambda: states.put("job", dump_state(CircuitState(consecutive_failures=1)))
    await run(circuits, True)
    assert state(states).condition is CircuitCondition.OPEN


@pytest.mark.parametrize("probes", [1, 3])
async def test_of_twenty_runs_at_half_open_as_many_as_there_are_probes_are_let_through(probes: int) -> None:
    states = MemoryStates()
    await opened(states)
    policy = TWO.model_copy(update={"probes": probes})
    later = START + timedelta(seconds=61)
    processes = [CircuitBreakers(states) for _ in range(20)]
    admissions = await asyncio.gather(*(each.admit("job", policy, later, LEASE) for each in processes))
    assert sum(admission.is_allowed for admission in admissions) == probes


async def test_a_circuit_that_changes_all_the_time_rejects_rather_than_admit_too_many() -> None:
    states = MemoryStates()
    circuits = await opened(states)

    def overtaken() -> None:
        states.put("job", states.stored["job"][0])
        states.overtake = overtaken

    states.overtake = overtaken
    admission = await circuits.admit("job", TWO, START + timedelta(seconds=61), LEASE)
    assert not admission.is_allowed
    assert "all probe slots are in use" in admission.reason


async def test_a_result_that_finds_no_gap_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    states = MemoryStates()
    circuits = CircuitBreakers(states)

    def overtaken() -> None:
        states.put("job", dump_state(CircuitState()))
        states.overtake = overtaken

    states.overtake = overtaken
    await run(circuits, True)
    assert "could not record a result in the circuit of job" in caplog.text


async def test_a_change_of_condition_is_in_the_log_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jobs.running")
    circuits = await opened(MemoryStates())
    await run(circuits, False, now=START + timedelta(seconds=61))
    assert caplog.messages == [
        "circuit of job: closed -> open (2 failures in a row)",
        "circuit of job: open -> half_open (2 failures in a row)",
        "circuit of job: half_open -> closed",
    ]


async def test_a_store_that_is_unavailable_lets_every_run_through_and_reports_it_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    states = MemoryStates()
    circuits = await opened(states)
    states.away = OSError("no route to a secret place")
    assert [await run(circuits, True) for _ in range(3)] == [True] * 3
    assert circuits.is_degraded
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "could not reach the circuits' store: OSError; runs are admitted without a circuit"
    ]


async def test_a_store_that_is_back_is_requested_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jobs.running")
    states = MemoryStates()
    circuits = await opened(states)
    states.away = OSError()
    await run(circuits, True)
    states.away = None
    assert not await run(circuits, True)
    assert not circuits.is_degraded
    assert caplog.messages[-1] == "the circuits' store is available again"


async def test_a_store_lost_between_start_and_end_of_a_run_does_not_fail_the_run() -> None:
    states = MemoryStates()
    circuits = CircuitBreakers(states)
    admission = await circuits.admit("job", TWO, START, LEASE)
    states.away = OSError()
    await circuits.record("job", TWO, START, admission, True)
    assert circuits.is_degraded


@virtual_time
async def test_a_store_that_hangs_holds_one_run_for_a_moment_and_the_next_ones_not_at_all() -> None:
    states = MemoryStates()
    states.hangs = True
    circuits = CircuitBreakers(states, timeout_s=2.0)
    loop = asyncio.get_running_loop()
    assert await circuits.admit("job", TWO, START, LEASE) is ADMITTED_WITHOUT_STORE
    assert loop.time() == pytest.approx(2.0)
    assert await circuits.admit("job", TWO, START + timedelta(seconds=2), LEASE) is ADMITTED_WITHOUT_STORE
    assert loop.time() == pytest.approx(2.0)
    states.hangs = False
    await circuits.admit("job", TWO, START + timedelta(seconds=10), LEASE)
    assert not circuits.is_degraded


async def test_a_slow_success_is_written_as_it_may_open_the_circuit() -> None:
    states = MemoryStates()
    circuits = CircuitBreakers(states)
    policy = CircuitPolicy(slow_rate=0.5, slow_call=1.0, window=10, minimum_calls=2)
    await run(circuits, False, policy)
    admission = await circuits.admit("job", policy, START, LEASE)
    await circuits.record("job", policy, START, admission, False, slow=True)
    assert state(states).condition is CircuitCondition.OPEN


async def test_successes_that_were_not_written_count_in_a_window_of_time_until_they_leave_it() -> None:
    states = MemoryStates()
    circuits = CircuitBreakers(states)
    policy = CircuitPolicy(failure_rate=1.0, window=60.0, minimum_calls=2)
    for seconds in (0, 1, 40):
        await run(circuits, False, policy, START + timedelta(seconds=seconds))
    await run(circuits, True, policy, START + timedelta(seconds=60))
    observed = count_window(state(states).window, 60.0, START + timedelta(seconds=60))
    assert (observed.calls, observed.failures) == (2, 1)


async def test_successes_are_stored_when_the_store_is_unavailable_at_a_failure() -> None:
    states = MemoryStates()
    circuits = CircuitBreakers(states)
    for _ in range(3):
        await run(circuits, False, HALF)
    admission = await circuits.admit("job", HALF, START, LEASE)
    states.away = OSError()
    await circuits.record("job", HALF, START, admission, True)
    states.away = None
    await run(circuits, True, HALF)
    assert (state(states).window.calls, state(states).window.failures) == (4, 0b1)


async def test_successes_whose_write_may_have_been_done_are_not_counted_twice() -> None:
    states = MemoryStates()
    circuits = CircuitBreakers(states)
    for _ in range(3):
        await run(circuits, False, HALF)
    admission = await circuits.admit("job", HALF, START, LEASE)
    states.answer_lost = OSError()
    await circuits.record("job", HALF, START, admission, True)
    await run(circuits, True, HALF)
    assert (state(states).window.calls, state(states).window.failures) == (5, 0b11)


async def test_a_run_let_through_by_force_is_not_recorded() -> None:
    states = MemoryStates()
    circuits = CircuitBreakers(states)
    states.put("job", dump_state(CircuitState(override=ManualOverride(False, START))))
    assert await run(circuits, True)
    assert states.writes == 0


async def test_a_run_that_reports_nothing_about_the_target_changes_nothing() -> None:
    states = MemoryStates()
    circuits = CircuitBreakers(states)
    await run(circuits, None)
    assert states.writes == 0


async def test_each_change_of_a_circuit_is_reported_once_by_the_process_that_made_it() -> None:
    states, changes = MemoryStates(), list[tuple[str, str]]()
    circuits, other = CircuitBreakers(states), CircuitBreakers(states)
    for each in (circuits, other):
        each.on_change = lambda key, condition: changes.append((key, condition))
    for _ in range(3):
        await run(circuits, True)
    await run(other, False)
    later = START + timedelta(seconds=61)
    await run(circuits, False, now=later)

    assert changes == [("job", "open"), ("job", "half_open"), ("job", "closed")]
    assert (circuits.open_count, other.open_count) == (0, 1)
