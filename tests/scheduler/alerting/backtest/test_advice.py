"""The proposed thresholds detect outages in time with the fewest notifications."""

from __future__ import annotations

from scheduler.features.backtest.advice import Advice, Advisor
from tests.scheduler.alerting.backtest.stored_time import StoredTime, store_runs
from tests.scheduler.alerting.replay.live import MINUTE, START, definitions_of, history_of_letters

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
