"""What holds for every run, whatever its target does and whatever its job says of retries and time."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.runs import ErrorClass, Outcome, Run
from tests.jobs.running.run_parts import REFUSED, Hang, Stage, Step, answer, broken, job
from tests.jobs.running.virtual_time import VirtualTimeLoop

durations = st.integers(0, 20_000).map(lambda milliseconds: f"{milliseconds}ms")

retries = st.fixed_dictionaries(
    {"attempts": st.integers(1, 6), "initial": durations, "jitter": st.sampled_from(["none", "full", "25%", "3s"])},
    optional={
        "backoff": st.sampled_from(["constant", "linear", "exponential"]),
        "increment": durations,
        "max": durations,
        "delays": st.lists(durations, min_size=1, max_size=5),
    },
)
steps = st.one_of(
    st.just(answer()),
    st.just(answer(404)),
    st.just(REFUSED),
    st.just(broken(ErrorClass.SECRET_UNAVAILABLE)),
    st.integers(0, 30).map(lambda seconds: answer(503, retry_after_s=float(seconds))),
    st.builds(Hang, st.sampled_from(["connect", "body"]), st.floats(0.1, 100.0)),
    st.just(RuntimeError()),
)


@settings(max_examples=60)
@given(st.lists(steps, min_size=1, max_size=7), retries, st.integers(1, 60), st.floats(0, 1, exclude_max=True))
def test_a_run_keeps_to_its_attempts_its_waits_and_its_time(
    script: list[Step], retry: dict[str, Any], seconds: int, drawn: float
) -> None:
    stage = Stage(*script, drawn=drawn)
    definition = job(retry=retry, timeout={"run": f"{seconds}s"})

    async def timed() -> tuple[Run, float]:
        run = await stage.run(definition)
        return run, asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        run, took = runner.run(timed())
    assert took <= seconds + 1e-6
    assert 1 <= len(run.attempts) <= definition.retry.attempts
    assert len(stage.check.calls) == len(run.attempts)
    assert [attempt.wait_ms is None for attempt in run.attempts[:-1]] == [False] * (len(run.attempts) - 1)
    assert (run.attempts[-1].wait_ms is None) or run.error is ErrorClass.RUN_TIMEOUT
    for before, after in pairwise(run.attempts):
        gap_ms = (after.started_at - before.started_at).total_seconds() * 1000
        assert gap_ms >= (before.wait_ms or 0) - 1
    assert (run.outcome is Outcome.SUCCEEDED) is (run.error is None)
    assert [event.attempt.number for event in stage.heard.retried] == [
        attempt.number for attempt in run.attempts if attempt.wait_ms is not None
    ]


@given(st.integers(0, 30), st.integers(1, 60))
@settings(max_examples=30)
def test_what_a_target_requests_to_wait_is_waited_or_the_run_ends_at_once(requested: int, seconds: int) -> None:
    stage = Stage(answer(503, retry_after_s=float(requested)), answer())
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        run = runner.run(stage.run(job(timeout={"run": f"{seconds}s"})))
        took = runner.get_loop().time()
    if run.outcome is Outcome.SUCCEEDED:
        assert took == pytest.approx(max(requested, 0.5))
    else:
        assert (took, max(requested, 0.5) + 0.05 >= seconds) == (0.0, True)
        assert "Not retried" in run.message
