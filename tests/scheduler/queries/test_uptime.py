"""Uptime from runs that are kept and what is left of those that were too many."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from jobs.runs import Outcome
from jobs.runs.uptime import Uptime
from scheduler.catalog.catalog import Catalog
from scheduler.features.statistics.uptime import JobUptime, UptimeReader
from scheduler.stores.runs.repository import Runs
from tests.scheduler.fakes import VirtualClock, entry
from tests.scheduler.stores.memory import MemoryStore
from tests.scheduler.stores.samples import NOON, at, run_of, ticket

DATA = Path(__file__).parents[2] / "data/heartbeats/windows.json"
CASES = json.loads(DATA.read_text(encoding="utf-8"))["cases"]
DAY = 86400
MARKS = {"up": Outcome.SUCCEEDED, "down": Outcome.FAILED, "skipped": Outcome.SKIPPED, "timed_out": Outcome.TIMED_OUT}


async def uptime(seen: list[tuple[float, Outcome]], kept: int, age: float = 400 * DAY) -> JobUptime:
    """A second after the last of these runs (seconds, outcome), of which so many are kept."""
    runs = Runs(MemoryStore())
    for number, (seconds, outcome) in enumerate(seen, start=1):
        one = ticket("checkout", seconds)
        await runs.insert_finished(one, replace(run_of(one), outcome=outcome, started_at=one.due_at))
        if number % 100 == 0:
            await runs.prune(at(seconds), age, kept, age)
    clock = VirtualClock(at(seen[-1][0] + 1))
    await runs.prune(clock.now(), age, kept, age)
    return await UptimeReader(Catalog([entry()]), runs, clock, age, age).read_uptime("checkout")


@pytest.mark.parametrize("kept", [1000, 20], ids=["kept", "summed up"])
@pytest.mark.parametrize("case", CASES, ids=[case["what"] for case in CASES])
async def test_the_uptimes_of_others_hold_however_few_runs_are_kept(case: dict[str, Any], kept: int) -> None:
    outcomes = [MARKS[mark] for mark in case["marks"]]
    seen = [(number * case["every"], outcomes[number % len(outcomes)]) for number in range(case["looks"])]
    found = {window.name: window for window in (await uptime(seen, kept)).windows}
    then = {name: [found[name].uptime.up, found[name].uptime.down] for name in case["then"]}
    assert then == case["then"]
    assert all(window.is_complete for window in found.values())


async def test_it_is_the_same_to_the_hour_and_the_second_whatever_is_kept() -> None:
    random, seconds = Random(7), 0.0
    seen: list[tuple[float, Outcome]] = []
    for _ in range(1500):
        seconds += random.choice([60, 600, 3600])
        seen.append((seconds, random.choices(list(MARKS.values()), [8, 2, 1, 1])[0]))
    every, few = await uptime(seen, 10_000), await uptime(seen, 50)

    assert few.months == every.months
    assert (few.since, few.runs) == (every.since, every.runs)
    for all_kept, summed in zip(every.windows, few.windows, strict=True):
        assert 0 <= summed.uptime.sample_count - all_kept.uptime.sample_count <= 60, (
            "more than the hour in which it begins"
        )
    assert few.windows[-1] == every.windows[-1]


async def test_of_what_runs_are_not_kept_for_nothing_is_claimed() -> None:
    found = await uptime([(number * DAY, Outcome.SUCCEEDED) for number in range(60)], 1000, age=30 * DAY)
    assert [window.is_complete for window in found.windows] == [True, True, True, False, False]
    assert found.windows[-1].uptime == Uptime(30, 0, 30, 30 * 32.0)
    assert found.since == NOON + timedelta(days=30)
