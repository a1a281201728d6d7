"""Time in which the process did not run extends deadlines, is no response time, and excuses a timeout."""

from __future__ import annotations

import asyncio
import re

from hypothesis import given
from hypothesis import strategies as st

from jobs.checks.port import AttemptContext
from jobs.running.clocks import BEAT_SHARE, MIN_BEAT_INTERVAL, USUAL_DELAY, LostTime, run_with_deadline
from jobs.runs import ErrorClass, Observation, Outcome
from jobs.runs.outcomes import ReasonCode
from jobs.targets import HttpTarget
from tests.jobs.running.run_parts import Stage, job
from tests.jobs.running.virtual_time import VirtualTimeLoop, virtual_time


def skip(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.skip(seconds)


class Standing:
    """A check that answers after some seconds of the target. Meanwhile the process stands still."""

    def __init__(self, *, before: float, stop: float, after: float, error: ErrorClass | None = None) -> None:
        self._before, self._stop, self._after, self._error = before, stop, after, error

    async def observe(self, target: HttpTarget, call: AttemptContext) -> Observation:
        call.clock.enter("first_byte")
        await asyncio.sleep(self._before)
        skip(self._stop)
        await asyncio.sleep(self._after)
        phases = call.clock.stop()
        if self._error is not None:
            return Observation(phases, error=self._error, message="The connection was reset.")
        return Observation(phases, 200)


def stage_of(check: Standing) -> Stage:
    stage = Stage()
    stage.check.observe = check.observe  # type: ignore[method-assign]
    return stage


@virtual_time
async def test_a_stop_of_the_process_does_not_time_out_a_healthy_target() -> None:
    run = await stage_of(Standing(before=1, stop=300, after=1)).run()

    assert run.outcome is Outcome.SUCCEEDED


@virtual_time
async def test_a_stop_of_the_process_is_no_response_time() -> None:
    run = await stage_of(Standing(before=1, stop=300, after=1)).run()

    assert 2000 <= run.attempts[0].phases.total_ms <= 2000 + (MIN_BEAT_INTERVAL + USUAL_DELAY) * 1000 + 1


@virtual_time
async def test_a_target_that_never_answers_times_out_in_spite_of_a_short_stop() -> None:
    run = await stage_of(Standing(before=1, stop=0.3, after=3600)).run(job(retry={"attempts": 1}))

    assert (run.outcome, run.error) == (Outcome.TIMED_OUT, ErrorClass.RESPONSE_TIMEOUT)


@virtual_time
async def test_a_timeout_after_a_long_stop_is_not_judged() -> None:
    run = await stage_of(Standing(before=1, stop=300, after=3600)).run(job(retry={"attempts": 1}))

    assert (run.outcome, run.reason) == (Outcome.SKIPPED, ReasonCode.BLIND)
    assert run.message.startswith("Not judged: the scheduler itself did not run for 5 min meanwhile.")


@virtual_time
async def test_a_stop_below_a_second_is_reported_with_its_length() -> None:
    limits = {"attempt": "200ms", "run": "2s"}
    check = Standing(before=0.1, stop=0.3, after=3600)
    run = await stage_of(check).run(job(retry={"attempts": 1}, timeout=limits))

    assert re.match(r"Not judged: the scheduler itself did not run for 0\.[12]\d* s meanwhile\.", run.message)


@virtual_time
async def test_a_stop_extends_the_deadline_by_no_more_than_its_own_time() -> None:
    limits = {"attempt": "5s", "run": "5s"}
    await stage_of(Standing(before=1, stop=300, after=3600)).run(job(retry={"attempts": 1}, timeout=limits))

    assert 304 < asyncio.get_running_loop().time() < 306


@virtual_time
async def test_a_long_wait_is_measured_seldom() -> None:
    loop = asyncio.get_running_loop()
    beats = []
    lost = LostTime(lambda: beats.append(loop.time()) or loop.time())  # type: ignore[func-returns-value]
    with lost:
        await asyncio.sleep(24 * 3600)

    assert len(beats) < 500


@virtual_time
async def test_a_connection_that_was_lost_during_a_long_stop_is_not_judged() -> None:
    check = Standing(before=1, stop=300, after=0, error=ErrorClass.CONNECTION_FAILED)
    run = await stage_of(check).run(job(retry={"attempts": 1}))

    assert (run.outcome, run.reason) == (Outcome.SKIPPED, ReasonCode.BLIND)


@virtual_time
async def test_a_connection_that_is_lost_without_a_stop_is_judged() -> None:
    check = Standing(before=1, stop=0, after=0, error=ErrorClass.CONNECTION_FAILED)
    run = await stage_of(check).run(job(retry={"attempts": 1}))

    assert run.outcome is Outcome.FAILED


@virtual_time
async def test_a_run_whose_effect_must_not_be_repeated_is_judged_after_a_stop() -> None:
    run = await stage_of(Standing(before=1, stop=300, after=3600)).run(job(effect="once", retry={"attempts": 1}))

    assert run.outcome is Outcome.TIMED_OUT


@virtual_time
async def test_work_is_cancelled_at_its_deadline_if_no_time_was_lost() -> None:
    ended = await run_with_deadline(asyncio.sleep(3600, "done"), 5, lambda: "late", lost_time=lambda: 0.0)

    assert (ended, asyncio.get_running_loop().time()) == ("late", 5)


@virtual_time
async def test_nothing_is_measured_while_nobody_watches() -> None:
    lost = LostTime(asyncio.get_running_loop().time)
    with lost:
        await asyncio.sleep(1)
    await asyncio.sleep(1)
    skip(60)
    await asyncio.sleep(1)

    assert lost.total() == 0


@given(stops=st.lists(st.floats(0, 100), max_size=20), checks=st.integers(0, 5))
def test_running_time_never_goes_back_and_excludes_all_but_the_usual_delay(stops: list[float], checks: int) -> None:
    async def measure() -> tuple[list[float], float]:
        loop = asyncio.get_running_loop()
        lost = LostTime(loop.time)
        seen = []
        with lost:
            for stop in stops:
                await asyncio.sleep(MIN_BEAT_INTERVAL)
                seen.append(lost.running_time())
                skip(stop)
                seen += [lost.running_time() for _ in range(checks)]
            await asyncio.sleep(1)
            seen.append(lost.running_time())
        return seen, loop.time() - lost.total()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        seen, ran = runner.run(measure())
    assert seen == sorted(seen)
    awake = MIN_BEAT_INTERVAL * len(stops) + 1
    assert ran <= awake + len(stops) * (max(MIN_BEAT_INTERVAL, BEAT_SHARE * ran) + USUAL_DELAY) + 1e-6
