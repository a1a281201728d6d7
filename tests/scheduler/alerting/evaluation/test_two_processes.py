"""Several processes that execute the runs of one job: its alert is as if one process had executed all."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.alerting.alert import Alert
from jobs.alerting.facts import Sample, history_of, sample_of_run
from jobs.alerting.rule import evaluate
from jobs.runs import Run
from tests.jobs.alerting.alert_samples import NO_FACTS
from tests.scheduler.alerting.evaluation.evaluator_world import START, EvaluatorWorld
from tests.scheduler.alerting.evaluation.test_evaluator import job_of

RULES = [
    {"open_after": "3 of 5"},
    {"open_after": 1, "close_after": 1},
    {"open_after": 2, "close_after": 3},
    {"when": {"success_rate_below": "60%", "window": "6m", "minimum_runs": 3}},
]
RUNS = st.lists(st.tuples(st.sampled_from("FFSD"), st.integers(0, 1)), min_size=3, max_size=20)


async def finish_later(world: EvaluatorWorld, run: Run, process: int, delay: int) -> None:
    for _ in range(delay):
        await asyncio.sleep(0)
    await world.finish(run, process)


STALLS = st.lists(st.integers(0, 20), min_size=2, max_size=6)
TOGETHER = st.lists(
    st.tuples(st.sampled_from("FFS"), st.integers(0, 1), st.sampled_from([0, 5, 15, 100])), min_size=1, max_size=4
)


@pytest.mark.parametrize("rule", RULES[:2], ids=str)
def test_a_slow_judgement_of_fewer_runs_does_not_hide_a_failure(rule: dict[str, object]) -> None:
    """After each burst, without a further tick: what must fire by the stored runs does."""

    @settings(max_examples=150)
    @given(st.lists(TOGETHER, min_size=1, max_size=6), STALLS)
    def check(bursts: list[list[tuple[str, int, int]]], stalls: list[int]) -> None:
        async def play() -> None:
            world = EvaluatorWorld(job_of(rule), processes=2)
            world.runs.stalls = cycle(stalls)
            await world.tick()
            for burst in bursts:
                runs = [(run, *how) for letter, *how in burst for run in world.next_runs("checkout", letter)]
                await asyncio.gather(*(finish_later(world, *each) for each in runs))
                counted = history_of(filter(None, map(sample_of_run, world.runs.runs.values())))
                (defined,) = world.process.evaluator.book.rules_of("checkout").rules
                found = world.alert("checkout")
                repeated = evaluate(defined, found, counted, NO_FACTS, world.clock.now())
                assert found.is_firing or not repeated.is_firing
                world.clock.move(6)
                await world.tick()

        asyncio.run(play())

    check()


def expected_of(world: EvaluatorWorld, rule_name: str) -> Alert:
    """Return what one process makes of the runs that are stored, in the order of their end."""
    rule = next(each for each in world.process.evaluator.book.rules_of("checkout").rules if each.name == rule_name)
    alert, samples = Alert("checkout", rule.name), list[Sample]()
    for run in sorted(world.runs.runs.values(), key=lambda each: each.finished_at):
        sample = sample_of_run(run)
        if sample is not None:
            samples.append(sample)
        alert = evaluate(rule, alert, history_of(samples), NO_FACTS, run.finished_at)
    return alert


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("has_ticks", [True, False], ids=["with ticks", "only the first has ticks"])
def test_its_alert_is_as_if_one_process_had_executed_all(rule: dict[str, object], has_ticks: bool) -> None:
    @settings(max_examples=15)
    @given(RUNS)
    def check(runs: list[tuple[str, int]]) -> None:
        async def play() -> None:
            world = EvaluatorWorld(job_of(rule), processes=2)
            await world.tick()
            for letter, process in runs:
                await world.run("checkout", letter, process)
                await world.tick(58, None if has_ticks else 0)
                (name,) = [each.name for each in world.process.evaluator.book.rules_of("checkout").rules]
                found, expected = world.alert("checkout", name), expected_of(world, name)
                assert found.is_firing == expected.is_firing
                if found.is_firing:
                    assert found.failing_since == expected.failing_since

        asyncio.run(play())

    check()


BURSTS = st.lists(
    st.tuples(st.lists(st.tuples(st.sampled_from("FS"), st.integers(0, 1)), max_size=3), st.booleans(), st.booleans()),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("rule", RULES[:2], ids=str)
def test_runs_that_end_together_leave_the_same_alert(rule: dict[str, object]) -> None:
    """Judgements interleave with each other, with ticks and with the engine, which deletes resolved alerts."""

    @settings(max_examples=40)
    @given(BURSTS)
    def check(bursts: list[tuple[list[tuple[str, int]], bool, bool]]) -> None:
        async def play() -> None:
            world = EvaluatorWorld(job_of(rule), processes=2)
            await world.tick()
            for burst, has_tick, is_settled in bursts:
                runs = [(run, process) for letter, process in burst for run in world.next_runs("checkout", letter)]
                await asyncio.gather(
                    *(world.finish(run, process) for run, process in runs), *([world.tick(2)] if has_tick else [])
                )
                if is_settled:
                    world.settle()
            await world.tick(60)
            await world.tick(60)
            counted = history_of(each for run in world.runs.runs.values() if (each := sample_of_run(run)) is not None)
            (defined,) = world.process.evaluator.book.rules_of("checkout").rules
            found = world.alert("checkout")
            repeated = evaluate(defined, found, counted, NO_FACTS, world.clock.now())
            assert repeated.is_firing == found.is_firing, "a further judgement changes nothing"

        asyncio.run(play())

    check()


async def test_an_alert_that_another_process_stored_closes_with_a_good_run_of_this_one() -> None:
    world = EvaluatorWorld(job_of({"open_after": 2}), processes=2)
    await world.tick()
    await world.run("checkout", "FF", process=0)
    await world.tick(6)

    await world.run("checkout", "S", process=1)

    assert not world.alert("checkout").is_active


async def test_what_one_process_has_closed_another_opens_again_at_once() -> None:
    world = EvaluatorWorld(job_of({"open_after": 1}), processes=2)
    await world.tick()
    await world.run("checkout", "F", process=0)
    await world.tick(6)
    good, bad = world.next_runs("checkout", "SF", finished_at=world.clock.now() + timedelta(minutes=2))
    await world.tick(120)
    await world.finish(good, process=0)
    assert not world.alert("checkout").is_active

    await world.finish(bad, process=1)

    assert world.alert("checkout").is_firing
    assert world.alert("checkout").number == 2
    assert world.alert("checkout").failing_since == bad.finished_at
    assert bad.finished_at > START
