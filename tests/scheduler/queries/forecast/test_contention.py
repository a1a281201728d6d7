"""scheduler.features.forecast.load and load: what runs of known durations do to groups and places."""

from __future__ import annotations

import pytest

from jobs.definition import JobDefinition
from scheduler.features.forecast.load import MAX_SIMULATED, GroupContention, RunDuration, compute_load, find_contention
from scheduler.turns import finish_at_once
from tests.scheduler.queries.forecast.forecast_parts import count, define


def grouped(name: str, schedule: object, limit: int = 2, wait: str = "30s") -> JobDefinition:
    return define(name, schedule, concurrency_group={"name": "nightly", "limit": limit, "wait": wait})


def predict(jobs: list[JobDefinition], seconds: float) -> tuple[GroupContention, str]:
    counts = count(jobs)
    durations = {job.name: RunDuration(1000 * seconds, True) for job in jobs}
    (found,) = finish_at_once(find_contention(counts, durations))
    return found, found.suggest(counts.grid.edges[0])


def test_jobs_of_one_instant_wait_for_each_other() -> None:
    found, advice = predict([grouped(f"report-{number}", "0 0 3 * * *") for number in range(8)], 8.0)

    assert (found.runs, found.peak, found.waits, found.skipped) == (8, 8, 6, 0)
    assert found.longest_wait_ms == 24_000
    assert [(peak, cell) for cell, peak in found.list_cells()] == [(8, 90)]
    assert found.causes == ["report-2", "report-3", "report-4", "report-5", "report-6"]
    assert advice == (
        "8 runs are due at the same instant: spread them with a jitter of 1m or with offsets, or raise the limit to 8."
    )


def test_a_run_that_would_wait_too_long_is_skipped() -> None:
    found, _ = predict([grouped(f"report-{number}", "0 0 3 * * *") for number in range(8)], 20.0)

    assert (found.waits, found.skipped, found.longest_wait_ms) == (6, 4, 30_000)


def test_more_work_than_slots_needs_a_higher_limit() -> None:
    found, advice = predict([grouped("often", "every 10s", limit=1)], 25.0)

    assert found.skipped > 0
    assert advice == "The runs need 2.5 slots on average: raise the limit, or run the jobs less often."


def test_runs_that_overlap_are_moved_apart() -> None:
    jobs = [grouped("first", "0 0 3 * * *", limit=1), grouped("second", "20 0 3 * * *", limit=1)]
    found, advice = predict(jobs, 30.0)

    assert (found.waits, found.peak, found.longest_wait_ms) == (1, 2, 10_000)
    assert advice == "Runs overlap: move the schedules of these jobs apart, or raise the limit to 2."


def test_enough_slots_and_many_runs() -> None:
    found, advice = predict([grouped("often", "every 2s")], 0.1)

    assert (found.waits, advice, found.runs) == (0, "", MAX_SIMULATED)
    assert found.simulated_until - count([]).grid.edges[0] == 2000 * MAX_SIMULATED


def test_the_load_is_the_mean_number_of_runs_in_flight() -> None:
    counts = count([define("steady", "every 1m"), define("nightly", "0 5 3 * * *"), define("new", "every 1m")])
    durations = {"steady": RunDuration(30_000, True), "nightly": RunDuration(300_000, False)}
    load = finish_at_once(compute_load(counts, durations))

    assert load.unknown == 1
    assert load.concurrency[0] == pytest.approx(0.5)
    assert load.concurrency[90] == pytest.approx(1.0)
    assert [(lane.due.job.name, round(lane.share, 5), lane.bars) for lane in load.lanes] == [
        ("steady", 0.5, None),
        ("nightly", round(300 / 86_400, 5), [(1_772_420_700_000, 1_772_421_000_000)]),
    ]
    assert [lane.due.job.name for lane in load.rare_lanes] == ["nightly"]
