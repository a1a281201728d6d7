"""What holds for circuits in a store, however runs overlap, who asks at the same time, and when the store is away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jobs.policies import CircuitPolicy
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.circuit_state import (
    CLOSED_CIRCUIT,
    UNCOUNTED_PERIOD,
    CircuitAdmission,
    CircuitCondition,
    CircuitState,
    ManualOverride,
    dump_state,
    load_state,
)
from jobs.running.circuit_state_machine import admit_run, record_result, reset_circuit, with_override
from tests.jobs.running.memory_states import MemoryStates
from tests.jobs.running.virtual_time import START

T = TypeVar("T")
LEASE = 20.0
KEY = "job"

mostly_not = st.sampled_from([False, False, True])
policies = st.builds(
    CircuitPolicy,
    consecutive_failures=st.integers(1, 4),
    failure_rate=st.none() | st.floats(0.1, 1.0),
    slow_rate=st.just(0.5),
    slow_call=st.just(1.0),
    window=st.integers(4, 10),
    minimum_calls=st.integers(1, 4),
    open_for=st.floats(1.0, 60.0),
    probes=st.integers(1, 3),
)


class UnsteadyStates(MemoryStates):
    """Each call takes some turns of the loop; then it works, fails, or is done while its answer is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.luck: deque[tuple[int, str]] = deque()

    async def load(self, key: str) -> tuple[str | None, str | None]:
        return await self._with_luck(super().load(key))

    async def replace(self, key: str, state: str, etag: str | None) -> bool:
        return await self._with_luck(super().replace(key, state, etag))

    async def _with_luck(self, call: Coroutine[Any, Any, T]) -> T:
        turns, fate = self.luck.popleft() if self.luck else (0, "works")
        for _ in range(turns):
            await asyncio.sleep(0)
        if fate == "fails":
            call.close()
            raise OSError
        done = await call
        if fate == "lost":
            raise OSError
        return done


class _Stored(RuleBasedStateMachine):
    """A circuit in a store, of one policy, and the runs that go on."""

    processes: list[CircuitBreakers]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = START
        self.policy = CircuitPolicy(consecutive_failures=2)
        self.states = UnsteadyStates()

    @initialize(policy=policies)
    def choose(self, policy: CircuitPolicy) -> None:
        self.policy = policy

    @rule(seconds=st.floats(0.0, 70.0))
    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def stored(self) -> CircuitState:
        return load_state(self.states.stored.get(KEY, (None, 0))[0])

    def steer(self, changed: Callable[[CircuitState], CircuitState]) -> None:
        self.states.put(KEY, dump_state(changed(self.stored())))

    def teardown(self) -> None:
        self.loop.close()


class OneProcess(_Stored):
    """Beside it the state machine that is told every result: what is not written must make no difference."""

    def __init__(self) -> None:
        super().__init__()
        self.processes = [CircuitBreakers(self.states)]
        self.model = CLOSED_CIRCUIT
        self.going: list[tuple[CircuitAdmission, CircuitAdmission]] = []

    def steer(self, changed: Callable[[CircuitState], CircuitState]) -> None:
        super().steer(changed)
        self.model = changed(self.model)

    @rule(open=st.booleans(), seconds=st.floats(1.0, 20.0))
    def hold(self, open: bool, seconds: float) -> None:
        required = ManualOverride(open, self.now, self.now + timedelta(seconds=seconds))
        self.steer(lambda state: with_override(state, required))

    @rule()
    @precondition(lambda self: self.model.condition is not CircuitCondition.CLOSED)
    def reset(self) -> None:
        self.steer(reset_circuit)

    @rule(count=st.integers(1, 3))
    def start(self, count: int) -> None:
        for _ in range(count):
            expected = admit_run(self.model, self.policy, self.now, LEASE)
            self.model = expected.state
            work = self.processes[0].admit(KEY, self.policy, self.now, LEASE)
            admission = self.loop.run_until_complete(work)
            assert admission.permit == expected.permit
            if admission.is_allowed:
                self.going.append((admission, expected))

    @rule(data=st.data(), failed=st.sampled_from([True, False, False, None]), slow=mostly_not)
    @precondition(lambda self: self.going)
    def end(self, data: st.DataObject, failed: bool | None, slow: bool) -> None:
        admission, expected = self.going.pop(data.draw(st.integers(0, len(self.going) - 1)))
        assert expected.permit is not None
        self.model = record_result(self.model, self.policy, self.now, expected.permit, failed, slow)
        work = self.processes[0].record(KEY, self.policy, self.now, admission, failed, slow)
        self.loop.run_until_complete(work)

    @invariant()
    def it_is_as_if_each_result_were_written(self) -> None:
        stored = self.stored()
        assert (stored.condition, stored.consecutive_failures, stored.period) == (
            self.model.condition,
            self.model.consecutive_failures,
            self.model.period,
        )


fates = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["works", "works", "fails", "lost"])), max_size=12)


class SeveralProcesses(_Stored):
    """They ask and record at the same time, while their store fails now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.processes = [CircuitBreakers(self.states) for _ in range(3)]
        self.going: list[CircuitAdmission] = []

    @rule(luck=fates, count=st.integers(1, 5))
    def start(self, luck: list[tuple[int, str]], count: int) -> None:
        self.going += [each for each in self.admit(luck, count) if each.is_allowed]

    @rule(count=st.integers(1, 5))
    def start_while_the_store_is_unavailable(self, count: int) -> None:
        admissions = self.admit([(0, "fails")] * count, count)
        assert all(each.permit is not None and each.permit.period == UNCOUNTED_PERIOD for each in admissions)

    def admit(self, luck: list[tuple[int, str]], count: int) -> list[CircuitAdmission]:
        async def send_request() -> list[CircuitAdmission]:
            works = (self.processes[n % 3].admit(KEY, self.policy, self.now, LEASE) for n in range(count))
            return await asyncio.gather(*works)

        self.states.luck = deque(luck)
        admissions = self.loop.run_until_complete(send_request())
        self.states.luck.clear()
        return admissions

    @rule(luck=fates, results=st.lists(st.none() | st.booleans(), min_size=1, max_size=5), data=st.data())
    @precondition(lambda self: self.going)
    def end(self, luck: list[tuple[int, str]], results: list[bool | None], data: st.DataObject) -> None:
        # Hypothesis may end an example in a draw: a coroutine that exists by then is never awaited.
        ended = [
            (self.processes[number % 3], self.going.pop(data.draw(st.integers(0, len(self.going) - 1))), failed)
            for number, failed in enumerate(results[: len(self.going)])
        ]

        async def report() -> None:
            works = (
                process.record(KEY, self.policy, self.now, admission, failed) for process, admission, failed in ended
            )
            await asyncio.gather(*works)

        self.states.luck = deque(luck)
        self.loop.run_until_complete(report())
        self.states.luck.clear()

    @rule(open=st.booleans(), seconds=st.floats(1.0, 100.0))
    def hold(self, open: bool, seconds: float) -> None:
        self.steer(
            lambda state: with_override(state, ManualOverride(open, self.now, self.now + timedelta(seconds=seconds)))
        )

    @invariant()
    def never_more_probes_than_the_policy_has(self) -> None:
        state = self.stored()
        if state.condition is CircuitCondition.HALF_OPEN:
            permits = [each.permit for each in self.going if each.permit is not None]
            out = [p for p in permits if p.period == state.period and p.lease is not None and p.lease > self.now]
            assert len(out) + state.succeeded + state.failed <= self.policy.probes

    def teardown(self) -> None:
        # Whatever was lost: once the store works and nobody holds the circuit, the target is asked again.
        self.now += timedelta(seconds=200)
        (admission,) = self.admit([], 1)
        assert admission.is_allowed
        super().teardown()


TestOneProcess = OneProcess.TestCase
TestOneProcess.settings = settings(max_examples=60)
TestSeveralProcesses = SeveralProcesses.TestCase
TestSeveralProcesses.settings = settings(max_examples=30)
