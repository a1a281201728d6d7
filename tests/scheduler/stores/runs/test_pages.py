"""Listing runs a page at a time, on every store."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.runs import Outcome
from scheduler.stores.port import Row, Store
from scheduler.stores.runs import pages as run_pages
from scheduler.stores.runs.keys import SHARD_NAMES
from scheduler.stores.runs.repository import RUN_FILTERS, Claim, RunPage, Runs
from tests.scheduler.stores.memory import MemoryStore
from tests.scheduler.stores.samples import LEASE, NOON, at, run_of, ticket

DAY = 86400


@pytest.fixture
def runs(store: Store) -> Runs:
    return Runs(store)


async def start(runs: Runs, job: str, seconds: float) -> Claim:
    claim = await runs.claim(ticket(job, seconds), "one", NOON + LEASE, NOON)
    assert isinstance(claim, Claim)
    return claim


async def finish(runs: Runs, job: str, seconds: float, outcome: Outcome = Outcome.SUCCEEDED) -> None:
    await runs.finish(await start(runs, job, seconds), run_of(ticket(job, seconds), outcome))


def shown(page: RunPage) -> list[tuple[str, float]]:
    return [(record.ticket.job, (record.ticket.due_at - NOON).total_seconds()) for record in page.records]


async def every(
    runs: Runs, job: str | None = None, outcome: str | None = None, limit: int = 2, **between: datetime | None
) -> tuple[list[tuple[str, float]], int]:
    """All pages, and their number."""
    found: list[tuple[str, float]] = []
    continuation, pages = None, 0
    while pages < 100:
        page = await runs.list_page(job=job, outcome=outcome, limit=limit, continuation=continuation, **between)
        assert len(page.records) <= limit
        found += shown(page)
        pages += 1
        continuation = page.continuation
        if continuation is None:
            break
    return found, pages


async def test_without_runs_there_is_one_empty_page(runs: Runs) -> None:
    assert await runs.list_page() == RunPage((), None)
    assert await runs.list_page(job="a") == RunPage((), None)
    assert await runs.list_page(outcome="failed") == RunPage((), None)
    assert await runs.list_page(outcome="queued") == RunPage((), None)


async def test_runs_of_all_jobs_come_newest_first_across_days_and_those_in_flight_before_them(runs: Runs) -> None:
    for job, seconds in (("a", 0), ("b", 1), ("a", 2), ("b", -DAY), ("a", -3 * DAY), ("c", -40 * DAY)):
        await finish(runs, job, seconds)
    await start(runs, "b", -10)
    await start(runs, "a", 3)
    await runs.enqueue(ticket("q", 9))
    expected = [
        *(("q", 9), ("a", 3), ("b", -10)),
        *(("a", 2), ("b", 1), ("a", 0), ("b", -DAY), ("a", -3 * DAY), ("c", -40 * DAY)),
    ]
    for limit in (1, 2, 4, 50):
        assert (await every(runs, limit=limit))[0] == expected


async def test_the_last_page_has_no_continuation_even_when_it_is_full(runs: Runs) -> None:
    for seconds in range(4):
        await finish(runs, "a", seconds)
    assert await every(runs, limit=2) == ([("a", 3), ("a", 2), ("a", 1), ("a", 0)], 2)
    assert await every(runs, job="a", limit=2) == ([("a", 3), ("a", 2), ("a", 1), ("a", 0)], 2)


async def test_runs_of_a_job_come_newest_first(runs: Runs) -> None:
    for seconds in (5, -DAY, 7):
        await finish(runs, "a", seconds)
        await finish(runs, "b", seconds)
    await start(runs, "a", 6)
    assert (await every(runs, job="a"))[0] == [("a", 7), ("a", 6), ("a", 5), ("a", -DAY)]


async def test_runs_of_jobs_of_all_shards_are_merged(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [(f"job{number % 11}", -float(number)) for number in range(60)]
    for job, seconds in expected:
        await finish(runs, job, seconds, Outcome.FAILED if seconds % 2 else Outcome.SUCCEEDED)
    for limit in (1, 7, 59, 60, 61):
        assert (await every(runs, limit=limit))[0] == expected
    monkeypatch.setattr(run_pages, "_FILTER_BATCH", 3)
    failed = [(job, seconds) for job, seconds in expected if seconds % 2]
    for limit in (1, 7, 30, 31):
        assert (await every(runs, outcome="failed", limit=limit))[0] == failed


async def test_runs_of_a_job_whose_name_begins_another_name_are_separated(runs: Runs) -> None:
    for job in ("a", "a-b", "a.b", "ab"):
        await finish(runs, job, 0)
        await start(runs, job, 1)
    for job in ("a", "a-b", "a.b", "ab"):
        assert (await every(runs, job=job))[0] == [(job, 1), (job, 0)]
        assert [found.job for found in await runs.list_open_of_jobs(job)] == [job]
        latest = await runs.find_latest(job)
        assert latest is not None
        assert latest.ticket.job == job


async def test_runs_are_filtered_by_outcome_or_state(runs: Runs) -> None:
    for number, outcome in enumerate([*Outcome, *Outcome]):
        await finish(runs, "a" if number % 2 else "b", number * -3600, outcome)
    await start(runs, "a", 1)
    await runs.enqueue(ticket("a", 2))
    listed = {found: (await every(runs, outcome=found))[0] for found in RUN_FILTERS}
    of_a = {found: (await every(runs, job="a", outcome=found))[0] for found in RUN_FILTERS}
    for number, outcome in enumerate(Outcome):
        first, second = number * -3600, (number + len(Outcome)) * -3600
        job = "a" if number % 2 else "b"
        assert listed[outcome] == [(job, first), (job, second)]
        assert of_a[outcome] == (listed[outcome] if job == "a" else [])
    assert listed["running"] == of_a["running"] == [("a", 1)]
    assert listed["queued"] == of_a["queued"] == [("a", 2)]


async def test_a_page_checks_a_bounded_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_pages, "RUN_PAGE_SCAN_LIMIT", 10)
    monkeypatch.setattr(run_pages, "_FILTER_BATCH", 5)
    store = MemoryStore()
    runs = Runs(store)
    await finish(runs, "a", 0, Outcome.FAILED)
    for seconds in range(1, 40):
        await finish(runs, "a", seconds)
    for job in (None, "a"):
        store.reads = 0
        page = await runs.list_page(job=job, outcome="failed")
        assert page.records == ()
        assert page.continuation is not None
        assert store.reads <= (2 if job else 2 * len(SHARD_NAMES))
        assert (await every(runs, job=job, outcome="failed"))[0] == [("a", 0)]


async def test_a_run_that_retention_deleted_meanwhile_is_skipped(store: Store) -> None:
    runs = Runs(store)
    for seconds in range(3):
        await finish(runs, "a", seconds)
    page = await runs.list_page(limit=1)
    await runs.prune(NOON, -1.5, 100)
    assert shown(await runs.list_page(continuation=page.continuation)) == []


async def test_a_continuation_of_another_list_or_of_nothing_is_refused(runs: Runs) -> None:
    for seconds in range(3):
        await finish(runs, "a", seconds)
    of_all, of_job = await runs.list_page(limit=1), await runs.list_page(job="a", limit=1)
    assert of_all.continuation is not None
    bad = [of_all.continuation[:-3], of_all.continuation + "AAAA", "x", "", "é", "=", "A" * 2000, "../../x"]
    bad += [
        urlsafe_b64encode(text).decode() for text in (b"\xff", b"open/12", b"20261125/", b"meta/", b"job/" + b"1" * 300)
    ]
    for continuation in bad:
        with pytest.raises(
            ValueError, match=r"^.{,70} is not a continuation of this list: use the value of the previous page"
        ):
            await runs.list_page(continuation=continuation)
    with pytest.raises(ValueError, match="not a continuation of this list"):
        await runs.list_page(job="a", continuation=of_all.continuation)
    with pytest.raises(ValueError, match="not a continuation of this list"):
        await runs.list_page(continuation=of_job.continuation)


async def test_an_unknown_outcome_is_refused_with_those_that_there_are(runs: Runs) -> None:
    with pytest.raises(ValueError, match=r"'broken' is not one of succeeded, failed, .*, running, queued"):
        await runs.list_page(outcome="broken")


async def test_an_empty_page_cannot_be_requested(runs: Runs) -> None:
    with pytest.raises(ValueError, match="1 or more, not 0"):
        await runs.list_page(limit=0)


MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, [9, 6, 3, 0]),
        (at(3), None, [9, 6, 3]),
        (None, at(6), [6, 3, 0]),
        (at(3), at(6), [6, 3]),
        (at(3) + MICROSECOND, at(6) - MICROSECOND, []),
        (at(3) - MICROSECOND, at(3) + MICROSECOND, [3]),
        (at(10), None, []),
        (None, at(-1), []),
        (at(-DAY), at(DAY), [9, 6, 3, 0]),
        (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), [9, 6, 3, 0]),
        (datetime(2286, 12, 1, tzinfo=UTC), None, []),
        (None, datetime(1969, 12, 31, tzinfo=UTC), []),
    ],
)
async def test_runs_are_listed_by_when_they_were_due_both_ends_included(
    runs: Runs, since: datetime | None, until: datetime | None, expected: list[int]
) -> None:
    for seconds in (0, 3, 6, 9):
        await finish(runs, "a", seconds)
    for job in ("a", None):
        found, _ = await every(runs, job=job, since=since, until=until)
        assert [seconds for _, seconds in found] == expected


async def test_an_interval_goes_with_job_outcome_and_paging(runs: Runs) -> None:
    for seconds in range(20):
        await finish(runs, "a", seconds, Outcome.FAILED if seconds % 2 else Outcome.SUCCEEDED)
        await finish(runs, "b", seconds)
    await start(runs, "b", 11.5)
    await start(runs, "b", 30)

    failed = await every(runs, job="a", outcome="failed", since=at(5), until=at(12))
    of_all = await every(runs, outcome="failed", limit=1, since=at(5), until=at(12))
    running, _ = await every(runs, outcome="running", since=at(5), until=at(12))
    both, _ = await every(runs, since=at(10), until=at(12))

    assert failed[0] == of_all[0] == [("a", 11), ("a", 9), ("a", 7), ("a", 5)]
    assert running == [("b", 11.5)]
    assert both == [("b", 11.5), *((job, seconds) for seconds in (12, 11, 10) for job in ("a", "b"))]


async def test_an_interval_is_read_as_a_range_of_keys() -> None:
    """Whatever lies outside of it costs nothing."""
    store = MemoryStore()
    runs = Runs(store)
    for seconds in range(50):
        await finish(runs, "a", seconds)
    read: list[int] = []
    listed = store.list_rows

    async def counted(*arguments: str, **more: Any) -> Sequence[Row]:
        rows = await listed(*arguments, **more)
        read.append(len(rows))
        return rows

    store.list_rows = counted  # type: ignore[method-assign]
    await every(runs, job="a", since=at(10), until=at(12), limit=50)
    await every(runs, since=at(10), until=at(12), limit=50)
    assert sum(read) == 6
