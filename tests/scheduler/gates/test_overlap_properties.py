"""Overlap under anything: runs of any length, due at any time, in one process or spread over several."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.runs import Outcome, Run
from scheduler.gates.remote_runs import KEYS_VALID_S
from tests.jobs.running.virtual_time import VirtualTimeLoop
from tests.scheduler.fakes import entry
from tests.scheduler.gates.gate_process import GateProcess, due
from tests.scheduler.stores.memory import MemoryData, MemoryStore

Plan = list[tuple[float, float, int]]
"""Seconds between the due instants of a run and the one before; how long it takes; in which process."""

CLAIMS_AHEAD = KEYS_VALID_S + 0.1
"""Seconds. With `skip`, runs that are claimed later can overlap, as other processes read claims each KEYS_VALID_S; the
queue delivers a message 5 s ahead."""

plans = st.lists(
    st.tuples(
        st.sampled_from([0.5, 1.0, 2.0, 5.0, 10.0]),
        st.sampled_from([0.1, 0.9, 3.0, 12.0, 40.0]),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=8,
)
many = settings(max_examples=60, deadline=None)
alone = st.booleans()


def performed(overlap: str, plan: Plan, *, alone: bool, waiting: list[int] | None = None) -> list[Run]:
    """The runs as they ended, in the order of their due instants. `waiting`: how many waited, every now and then."""

    async def all_of_them() -> list[Run]:
        data, job = MemoryData(), entry(overlap=overlap)
        processes = [
            GateProcess(MemoryStore(data), f"p{number}", shared=not alone, claims_ahead=CLAIMS_AHEAD)
            for number in range(1 if alone else 3)
        ]
        tasks = []
        at = 5.0
        for gap, seconds, process in plan:
            at += gap
            tasks.append(processes[process % len(processes)].start(due(job, at), job, seconds))
        await asyncio.sleep(0.05)  # so as not to look in the middle of what happens at an instant
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.4)
            if waiting is not None:
                waiting.append(sum(process.waiting for process in processes))
        return [task.result() for task in tasks]

    return run_in_virtual_time(all_of_them())


def run_in_virtual_time(work: Coroutine[Any, Any, list[Run]]) -> list[Run]:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)


def began(runs: list[Run]) -> list[Run]:
    """Those that were let in; one that was ended while it waited took no time."""
    return [run for run in runs if run.finished_at > run.started_at]


def spans(runs: list[Run]) -> list[tuple[float, float]]:
    # Times of runs that are over can be told without their loop: all of them began at the same instant.
    first = min(run.due_at for run in runs)
    return sorted(((run.started_at - first).total_seconds(), (run.finished_at - first).total_seconds()) for run in runs)


def is_one_at_a_time(runs: list[Run]) -> bool:
    return all(earlier[1] <= later[0] for earlier, later in pairwise(spans(began(runs))))


@many
@given(plan=plans, alone=alone)
def test_buffer_all_runs_everything_in_order_one_at_a_time(plan: Plan, alone: bool) -> None:
    runs = performed("buffer_all", plan, alone=alone)

    assert [run.outcome for run in runs] == [Outcome.SUCCEEDED] * len(plan)
    assert is_one_at_a_time(runs)
    assert sorted(runs, key=lambda run: run.started_at) == runs


@many
@given(plan=plans, alone=alone)
def test_buffer_one_runs_in_order_one_at_a_time_and_at_most_one_waits(plan: Plan, alone: bool) -> None:
    waiting: list[int] = []
    runs = performed("buffer_one", plan, alone=alone, waiting=waiting)

    assert {run.outcome for run in runs} <= {Outcome.SUCCEEDED, Outcome.SKIPPED}
    assert is_one_at_a_time(runs)
    assert sorted(began(runs), key=lambda run: run.started_at) == began(runs)
    # One that waits for a run of another process begins up to a second after that is over; the next may come meanwhile.
    assert max(waiting, default=0) <= (1 if alone else 2)
    for run in runs:
        if run.outcome is Outcome.SKIPPED:
            others = [other for other in runs if other.id in run.message]
            assert len(others) == 2
            assert all(other.due_at < run.due_at and other.finished_at >= run.due_at for other in others)


@many
@given(plan=plans, alone=alone)
def test_skip_runs_one_at_a_time_and_skips_only_what_falls_due_meanwhile(plan: Plan, alone: bool) -> None:
    runs = performed("skip", plan, alone=alone)

    assert {run.outcome for run in runs} <= {Outcome.SUCCEEDED, Outcome.SKIPPED}
    assert is_one_at_a_time(runs)
    for run in runs:
        if run.outcome is Outcome.SKIPPED:
            assert any(other.id in run.message and other.finished_at >= run.due_at for other in runs)


@many
@given(plan=plans, alone=alone)
def test_cancel_previous_lets_the_newest_win_and_reports_for_the_others_what_ended_them(
    plan: Plan, alone: bool
) -> None:
    runs = performed("cancel_previous", plan, alone=alone)

    assert runs[-1].outcome is Outcome.SUCCEEDED
    assert is_one_at_a_time(runs)
    for number, run in enumerate(runs):
        if run.outcome is not Outcome.SUCCEEDED:
            assert any(newer.id in run.message for newer in runs[number + 1 :])
        elif alone:
            assert all(run.finished_at <= newer.due_at for newer in runs[number + 1 :])


def test_times_of_different_loops_are_comparable() -> None:
    (run,) = performed("skip", [(1.0, 3.0, 0)], alone=True)

    assert spans([run]) == [(0.0, 3.0)]
