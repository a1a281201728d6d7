"""A backtest says what was notified, and what other rules would have notified."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from jobs.runs import Trigger
from scheduler.alerting.replay.history import JobHistory, ReplayRun
from scheduler.features.backtest.comparison import Difference
from scheduler.features.backtest.service import BacktestReport, BacktestRequest
from tests.scheduler.alerting.backtest.stored_time import StoredTime, store_runs
from tests.scheduler.alerting.replay.live import MINUTE, START, definitions_of, history_of_letters, run_of
from tests.scheduler.alerting.replay.test_replaying import RULES

END = START + 40 * MINUTE


def lines(report: BacktestReport) -> list[str]:
    return [
        f"{each.subject} {each.kind} {each.difference} {each.shift // timedelta(minutes=1)}m"
        for each in report.comparison.messages
    ]


@pytest.mark.parametrize("seed", range(2))
async def test_with_unchanged_rules_everything_is_the_same(seed: int) -> None:
    random = Random(seed)
    letters = {name: "SSSSSS" + "".join(random.choices("SSSSSFFDUU-", k=26)) for name in "abc"}
    jobs = {
        name: {"alerts": RULES[random.choice(["in a row", "of five", "for", "rate", "unknown"])]} for name in letters
    }
    jobs["b"]["alert_parent"] = "a"  # type: ignore[assignment]
    groups = {"all": {"jobs": {"all": True}, "down_when": {"at_least": 2}}}
    time = StoredTime(
        definitions_of(jobs, groups), [history_of_letters(name, text, ord(name) % 7) for name, text in letters.items()]
    )
    await time.run(END)
    report = await time.backtester.run(BacktestRequest(START, END), time.definitions.book.snapshot)
    assert len(time.live.sent) == len(report.comparison.messages) > 0
    assert report.comparison.is_same, lines(report)


async def test_runs_that_are_not_stored_any_more_are_estimated() -> None:
    time = StoredTime(
        definitions_of({"a": {"alerts": RULES["in a row"]}}), [history_of_letters("a", "SSSFFFSSSSSSSSFFSSSSSS")]
    )
    await time.run(END, forgets_until=START + 10 * MINUTE)
    report = await time.backtester.run(BacktestRequest(START, END), time.definitions.book.snapshot)
    assert report.comparison.is_same, lines(report)
    assert len(report.comparison.messages) == 4
    assert report.runs_estimated > 0
    assert "estimated" in report.notes[0]


async def test_edited_rules_notify_later_or_not_at_all() -> None:
    time = StoredTime(
        definitions_of({"a": {"alerts": [{"open_after": 1}]}}), [history_of_letters("a", "SSSFSSSSSSSSSSSSSSFFFFFSSS")]
    )
    await time.run(END)
    edited = definitions_of({"a": {"alerts": [{"open_after": 4}]}}).book.snapshot
    report = await time.backtester.run(BacktestRequest(START, END), time.definitions.book.snapshot, edited)
    assert lines(report) == [
        "a opened gone 0m",
        "a resolved gone 0m",
        "a opened later 3m",
        "a resolved same 0m",
    ]
    assert report.comparison.by_channel == {"mail": (4, 2)}
    assert report.comparison.count(Difference.GONE) == 2


async def test_a_good_time_of_a_job_is_not_read() -> None:
    letters = "S" * 400 + "FFFS" + "S" * 400
    time = StoredTime(definitions_of({"a": {"alerts": [{}]}}), [history_of_letters("a", letters)])
    await store_runs(time.store, time.histories)
    end = START + 900 * MINUTE
    report = await time.backtester.run(BacktestRequest(START, end), time.definitions.book.snapshot)
    assert [line.split()[1:3] for line in lines(report)] == [["opened", "new"], ["resolved", "new"]]
    assert report.runs_read < 30


def on_demand(minute: int, letter: str) -> ReplayRun:
    run = run_of("a", minute, letter, second=33)
    assert run.sample is not None
    due = run.due_at + timedelta(seconds=30)
    return replace(run, due_at=due, sample=replace(run.sample, due_at=due, trigger=Trigger.MANUAL))


async def test_a_rule_about_runs_on_demand_counts_all_of_them_also_in_a_good_time() -> None:
    planned = history_of_letters("a", "S" * 36).runs
    requested = [on_demand(2, "F"), on_demand(12, "S"), on_demand(22, "F"), on_demand(32, "F")]
    history = JobHistory("a", tuple(sorted([*planned, *requested], key=lambda run: run.finished_at)))
    rule = {"open_after": 2, "triggers": ["manual"]}
    time = StoredTime(definitions_of({"a": {"alerts": [rule]}}), [history])
    await time.run(END)
    report = await time.backtester.run(BacktestRequest(START, END), time.definitions.book.snapshot)
    assert lines(report) == ["a opened same 0m"]
