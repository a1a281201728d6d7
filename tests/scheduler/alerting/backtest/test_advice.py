"""The proposed thresholds detect outages in time with the fewest notifications."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from scheduler.features.backtest.advice import Advice, Advisor, UsualAdvice
from scheduler.stores.port import Upsert
from scheduler.stores.runs.keys import HISTORY_TABLE, shard_of_job
from scheduler.stores.runs.rollups.days import encode_hours
from scheduler.stores.runs.rollups.keys import DAY_HOURS_PREFIX, format_day
from scheduler.stores.runs.rollups.tally import Rollup
from tests.scheduler.alerting.backtest.stored_time import StoredTime, store_runs
from tests.scheduler.alerting.replay.live import MINUTE, START, definitions_of, history_of_letters
from tests.scheduler.stores.memory import MemoryStore

DAY = timedelta(days=1)

LETTERS = "SSSSSSSSFSSSSSSSSFSSSSSSSSFFSSSSSSSS" + "F" * 20 + "SSSSSSSSSS"
"""Three short failures and an outage of 20 minutes."""


async def advise(minutes: int) -> Advice:
    time = StoredTime(definitions_of({"a": {"alerts": [{"open_after": 1}]}}), [history_of_letters("a", LETTERS)])
    await store_runs(time.store, time.histories)
    end = START + len(LETTERS) * MINUTE
    return await Advisor(time.backtester).advise("a", START, end, time.definitions.book.snapshot, minutes * MINUTE)


async def test_short_failures_notify_of_nothing() -> None:
    advice = await advise(10)
    assert (advice.outages, advice.blips) == (1, 3)
    assert advice.best is not None
    assert advice.best.candidate.fields == {"open_after": 3}
    assert (advice.best.notifications, advice.best.missed) == (2, 0)
    assert advice.best.percentile(0.95) == 130.0
    assert advice.current is not None
    assert advice.current.notifications == 6  # it flaps


async def test_an_outage_that_no_rule_can_detect_in_time_is_missed() -> None:
    advice = await advise(0)
    assert advice.best is None
    assert advice.alternatives[0].missed == 3  # the incident flaps during the last one


async def store_days(store: MemoryStore, days: int, slow: Mapping[tuple[int, int], float]) -> None:
    """Store 40 responses of 200 ms an hour from START on. `slow`: those of day and hour took so long instead."""
    for day in range(days):
        hours = {}
        for hour in range(24):
            rollup = Rollup()
            for _ in range(40):
                rollup.tally.response_time.add(slow.get((day, hour), 200.0))
            hours[f"{hour:02}"] = rollup.encode()
        key = f"{DAY_HOURS_PREFIX}a~{format_day(START + day * DAY)}"
        await store.apply(Upsert(HISTORY_TABLE, shard_of_job("a"), key, encode_hours(hours)))


async def advise_usual(days: int, at_most: int, slow: Mapping[tuple[int, int], float]) -> UsualAdvice:
    time = StoredTime(definitions_of({"a": {}}), [history_of_letters("a", "S")])
    await store_days(time.store, days, slow)
    end = START + days * DAY
    snapshot = time.definitions.book.snapshot
    return await Advisor(time.backtester).advise_usual("a", end - 30 * DAY, end, snapshot, at_most)


SLOW = {(50, 9): 400.0, (58, 17): 330.0, (63, 3): 330.0}


@pytest.mark.parametrize(("at_most", "ratio"), [(0, "100%"), (1, "75%"), (3, "20%")])
async def test_the_smallest_ratio_that_seldom_opens_an_incident_is_proposed(at_most: int, ratio: str) -> None:
    advice = await advise_usual(70, at_most, SLOW)
    assert advice.best is not None
    assert advice.best.fields == {"slower_than_usual": ratio}
    assert [each.incidents for each in advice.alternatives[:4]] == [3, 3, 3, 1]


async def test_without_four_weeks_of_history_nothing_is_proposed() -> None:
    advice = await advise_usual(20, 1, {})
    assert advice.best is None
    assert advice.unknown.startswith("what is usual is not known yet: responses are stored since")
