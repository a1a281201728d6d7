"""Which rows of hours are cached, and how much memory they take."""

from __future__ import annotations

import tracemalloc

import pytest

from jobs.runs import Outcome
from scheduler.stores.runs.rollups import hours
from scheduler.stores.runs.rollups.hours import HourCache, HourCounts, HourRow
from tests.scheduler.stores.samples import run_of, ticket


def row(job: str, hour: int, body: str = "x") -> HourRow:
    return HourRow(f"hour~{job}~20261125{hour}", body, "1")


def test_the_cache_holds_the_newest_row_of_a_job() -> None:
    cache = HourCache()
    cache.put("a", row("a", 12))
    cache.put("a", row("a", 11))
    assert (cache.get("a", row("a", 12).key), cache.get("a", row("a", 11).key)) == (row("a", 12), None)


def test_a_full_cache_evicts_rows_of_earlier_hours_and_none_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hours, "MAX_CACHED_JOBS", 3)
    monkeypatch.setattr(hours, "MAX_CACHED_CHARACTERS", 10)
    cache = HourCache()
    for job, hour in (("a", 11), ("b", 11), ("c", 12), ("a", 12), ("d", 12), ("e", 12)):
        cache.put(job, row(job, hour))
    held = [job for job in "abcde" if cache.get(job, row(job, 12).key) is not None]
    assert held == ["a", "c", "d"]
    cache.put("f", row("f", 13, "x" * 9))
    assert cache.get("f", row("f", 13).key) is not None
    cache.put("g", row("g", 14, "x" * 11))
    assert cache.get("g", row("g", 14).key) is None


def test_the_rows_of_ten_thousand_jobs_take_less_than_ten_mebibytes() -> None:
    first = HourCounts()
    for second in range(60):
        first.add_run(run_of(ticket("a", second), Outcome.FAILED if second % 4 else Outcome.SUCCEEDED))
    body = first.encode()
    tracemalloc.start()
    cache = HourCache()
    for number in range(11_000):
        name, counts = f"a-job-with-a-usual-name-{number}", HourCounts.decode(body)
        cache.put(name, HourRow(f"hour~{name}~2026112512", f"{number:0500d}", f"{number:016d}"), counts)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < 10 * 2**20


def test_decoded_counts_are_of_the_cached_row_and_are_used_once() -> None:
    cache, old, new, counts = HourCache(), row("a", 12), row("a", 12), HourCounts()
    cache.put("a", old, HourCounts())
    cache.put("a", new, counts)
    assert cache.take_counts("a", old) is None
    assert cache.take_counts("a", new) is counts
    assert cache.take_counts("a", new) is None
    cache.put("a", row("a", 13), HourCounts())
    cache.put("a", new, counts)
    assert cache.take_counts("a", new) is None


def test_a_row_without_decoded_counts_is_cached_when_there_are_too_many_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hours, "MAX_DECODED_JOBS", 1)
    cache, one, two = HourCache(), row("a", 12), row("b", 12)
    cache.put("a", one, HourCounts())
    cache.put("b", two, HourCounts())
    assert (cache.get("b", two.key), cache.take_counts("b", two)) == (two, None)
    assert cache.take_counts("a", one) is not None
