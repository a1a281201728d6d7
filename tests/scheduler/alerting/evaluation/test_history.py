"""Which stored runs are read for a judgement, and that retained ones equal what would be read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.alerting.rule import CompiledRules
from jobs.runs import Run, Trigger
from scheduler.alerting.evaluation.history import PAGE_SIZE, SampleReader
from tests.jobs.alerting.alert_samples import rule_of
from tests.scheduler.alerting.evaluation.evaluator_world import MINUTE, START, ListedRuns, run_of

TRIGGERS = [Trigger.SCHEDULE, Trigger.MANUAL, Trigger.BACKFILL]


def reader_of(runs: Sequence[Run], *, retains: bool = False) -> tuple[SampleReader, ListedRuns]:
    listed = ListedRuns()
    listed.runs = {run.id: run for run in runs}
    return SampleReader(listed, lambda job, at: True, retains=retains), listed


async def test_it_reads_no_further_than_needed() -> None:
    reader, listed = reader_of([run_of("job", minute, "S") for minute in range(200)])
    history = await reader.read("job", CompiledRules([rule_of(open_after="3 of 5")]), START + 300 * MINUTE)
    assert [sample.due_at for sample in history.samples] == [START + minute * MINUTE for minute in range(195, 200)]
    assert listed.reads == 1


async def test_it_reads_on_while_runs_do_not_count() -> None:
    runs = [run_of("job", 0, "F"), *(run_of("job", minute, "-") for minute in range(1, 3 * PAGE_SIZE))]
    reader, _ = reader_of(runs)
    history = await reader.read("job", CompiledRules([rule_of(open_after=1)]), START + 300 * MINUTE)
    assert [sample.due_at for sample in history.samples] == [START]


async def test_it_ends_at_a_suspension() -> None:
    reader, _ = reader_of([run_of("job", 0, "F"), run_of("job", 1, "P"), run_of("job", 2, "F")])
    history = await reader.read("job", CompiledRules([rule_of(open_after=5)]), START + 300 * MINUTE)
    assert [sample.due_at for sample in history.samples] == [START + 2 * MINUTE]
    assert history.counts_from == START + MINUTE


async def test_a_window_is_read_whole() -> None:
    reader, _ = reader_of([run_of("job", minute, "S") for minute in range(200)])
    rule = rule_of(when={"success_rate_below": "95%", "window": "2h"})
    history = await reader.read("job", CompiledRules([rule]), START + 200 * MINUTE)
    assert len(history.select_window(START + 200 * MINUTE, timedelta(hours=2))) == 120


async def test_each_rule_has_the_runs_of_its_triggers() -> None:
    runs = [run_of("job", minute, "F", trigger=Trigger.MANUAL) for minute in range(3)]
    reader, _ = reader_of([*runs, *(run_of("job", minute, "S") for minute in range(3, 90))])
    rules = CompiledRules([rule_of(open_after=2), rule_of(name="manual", open_after=2, triggers=["manual"])])
    history = await reader.read("job", rules, START + 100 * MINUTE)
    assert len(history.select_counted([Trigger.MANUAL]).samples) == 2


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from("SFD-"), st.sampled_from(TRIGGERS), st.booleans()), min_size=1, max_size=30),
    st.integers(1, 6),
)
def test_retained_samples_equal_what_would_be_read(steps: list[tuple[str, Trigger, bool]], needed: int) -> None:
    async def play() -> None:
        reader, listed = reader_of([], retains=True)
        rules = CompiledRules([rule_of(open_after=needed)])
        for minute, (letter, trigger, is_read) in enumerate(steps):
            run = run_of("job", minute, letter, trigger=trigger)
            listed.runs[run.id] = run
            if (sample := reader.sample_of(run)) is not None:
                reader.add("job", sample)
            if is_read:
                now = run.finished_at
                retained = (await reader.read("job", rules, now)).select_counted([Trigger.SCHEDULE]).samples
                stored = (await reader.read_stored("job", rules, now)).select_counted([Trigger.SCHEDULE]).samples
                assert retained[-needed:] == stored[-needed:]

    asyncio.run(play())
