"""The text of an hour, whose numbers change in place, against counts of the same runs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from jobs.runs import Outcome
from jobs.runs.histogram import Histogram
from jobs.runs.outcomes import ReasonCode
from scheduler.stores.runs.rollups.hours import HourCounts, HourSum
from scheduler.stores.runs.rollups.tally import Rollup, Tally
from tests.scheduler.stores.samples import at, run_of, ticket

RUNS = st.lists(st.tuples(st.sampled_from([*Outcome]), st.floats(0, 1e7), st.integers(0, 3)), min_size=1, max_size=120)


@given(RUNS)
def test_a_run_at_a_time_gives_the_counts_of_all(runs: list[tuple[Outcome, float, int]]) -> None:
    body, durations = HourCounts().encode(), Histogram()
    for second, (outcome, milliseconds, attempts) in enumerate(runs):
        run = run_of(ticket("a", second), outcome)
        ended = run.started_at + timedelta(milliseconds=milliseconds)
        run = replace(run, finished_at=ended, attempts=run.attempts * attempts, started_at=at(second + 1))
        counts = HourCounts.decode(body)
        counts.add_run(run)
        body = counts.encode()
        if attempts:
            durations.add(run.duration_ms)
        json.loads(body)
    tally = HourCounts.decode(body).tally
    assert tally.outcomes == [sum(outcome is one for outcome, *_ in runs) for one in Outcome]
    assert tally.duration == durations
    assert (tally.attempts, tally.retried) == (sum(one[2] for one in runs), sum(one[2] > 1 for one in runs))
    assert tally.response_time.total == tally.lateness.total == sum(one[2] > 0 for one in runs)


def test_unknown_runs_are_counted_apart_without_their_times() -> None:
    counts, total = HourCounts(), HourSum()
    unknown = replace(run_of(ticket("a", 0), Outcome.SKIPPED), reason=ReasonCode.UNKNOWN)
    for run in (run_of(ticket("a", 1)), unknown, unknown, run_of(ticket("a", 2), Outcome.SKIPPED)):
        counts.add_run(run)
    body = counts.encode()
    total.add(body)
    total.add(HourCounts().encode())
    for tally in (HourCounts.decode(body).tally, total.to_tally()):
        assert (tally.unknown, tally.count(Outcome.SKIPPED), tally.duration.total) == (2, 3, 2)


@given(st.integers(0, 9), st.integers(0, 9))
def test_the_unknown_runs_of_a_rollup_are_behind_what_earlier_versions_read(first: int, second: int) -> None:
    stored = Rollup(Tally(unknown=first), by_hour=5).encode()
    read = Rollup.decode(json.loads(json.dumps(stored)))
    read.merge(Rollup(Tally(unknown=second)))
    assert (read.tally.unknown, read.by_hour) == (first + second, 5)
    assert stored[:9] == Rollup(by_hour=5).encode()
    assert Rollup.decode(stored[:9]).tally.unknown == 0
    assert Tally.decode(Tally(unknown=first).encode()).unknown == first
