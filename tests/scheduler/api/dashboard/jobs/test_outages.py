"""Since when a job is down, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.runs import Outcome, Ticket
from scheduler.features.jobs.queries import JobAndRunQueries
from scheduler.features.runs import queries
from scheduler.features.runs.queries import Outage, OutageReader
from scheduler.stores.port import StoreUnavailable
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import START, WorkerHarness, entry
from tests.scheduler.stores.samples import run_of

S, F, T, R, K, C = (
    Outcome.SUCCEEDED,
    Outcome.FAILED,
    Outcome.TIMED_OUT,
    Outcome.REJECTED,
    Outcome.SKIPPED,
    Outcome.CANCELLED,
)


class Board:
    """A shop whose history is written by hand: one run each ten seconds."""

    def __init__(self, *names: str) -> None:
        self.shop = WorkerHarness(jobs=[entry(name) for name in names or ("a",)])
        self.outages = OutageReader(
            JobAndRunQueries(
                self.shop.catalog,
                self.shop.runs,
                self.shop.pauses,
                self.shop.clock,
                self.shop.states.states_of,
            )
        )
        self._number = dict.fromkeys(self.shop.catalog.names(), 0)

    async def ran(self, *outcomes: Outcome, job: str = "a") -> None:
        for outcome in outcomes:
            ticket = Ticket.scheduled(job, START + timedelta(seconds=10 * self._number[job]), "g")
            self._number[job] += 1
            now = self.shop.clock.now()
            claim = await self.shop.runs.claim(ticket, "me", now, now)
            run = replace(run_of(ticket), outcome=outcome, message=f"it {outcome}", started_at=ticket.due_at)
            await self.shop.runs.finish(claim, run)  # type: ignore[arg-type]  # a fresh ticket is always claimed

    async def down(self) -> Outage | None:
        return await self.outages.find_outage("a")

    async def since(self) -> tuple[int, bool]:
        """Which run the one outage began with, and whether one that succeeded came before."""
        outage = await self.down()
        assert outage is not None
        return round((outage.since - START).total_seconds() / 10), outage.whole


@virtual_time
@pytest.mark.parametrize(
    "history", [[], [S], [F, S], [F, S, K], [F, F, S, C], [K], [C, K]], ids=lambda history: "-".join(history)
)
async def test_a_job_whose_newest_reporting_run_succeeded_is_not_down(history: Sequence[Outcome]) -> None:
    board = Board()
    await board.ran(*history)

    assert await board.down() is None


@virtual_time
@pytest.mark.parametrize(
    ("history", "since", "whole"),
    [
        ([S, F], 1, True),
        ([S, F, F, T, R], 1, True),
        ([S, F, S, F, F], 3, True),
        ([S, F, K, F, C, K], 1, True),
        ([F, F], 0, False),
        ([K, F], 1, False),
        ([S, *[F] * 19], 1, True),
        ([S, *[F] * 20], 1, True),
        ([S, *[F] * 21], 1, True),
        ([F, S, *[K, F] * 150], 3, True),
        ([F] * 30, 0, False),
    ],
    ids=str,
)
async def test_an_outage_began_with_the_first_run_that_was_down(
    history: Sequence[Outcome], since: int, whole: bool
) -> None:
    board = Board()
    await board.ran(*history)

    assert await board.since() == (since, whole)


@virtual_time
async def test_what_is_not_finished_reports_nothing() -> None:
    board = Board()
    await board.ran(S, F)
    await board.shop.runs.enqueue(board.shop.ticket(60, "a"))

    assert await board.since() == (1, True)


@virtual_time
async def test_the_reason_is_that_of_the_newest_run_that_requested_the_target() -> None:
    board = Board()
    await board.ran(S, T, F, R, R)

    outage = await board.down()

    assert outage is not None
    assert outage.last_checked is not None
    assert (outage.newest.message, outage.last_checked.message) == ("it rejected", "it failed")


@virtual_time
async def test_the_reason_is_known_even_when_the_circuit_has_been_open_for_long() -> None:
    board = Board()
    await board.ran(S, F, *[R] * 25)

    outage = await board.down()

    assert outage is not None
    assert outage.last_checked is not None
    assert outage.last_checked.message == "it failed"


@virtual_time
async def test_a_long_outage_is_not_read_through_again_while_it_lasts() -> None:
    board = Board()
    await board.ran(S, *[F] * 300)
    assert await board.since() == (1, True)

    await board.ran(F)
    reads = board.shop.store.reads
    assert await board.since() == (1, True)

    assert board.shop.store.reads - reads <= 2


@virtual_time
async def test_an_outage_after_one_that_is_over_is_another_one() -> None:
    board = Board()
    await board.ran(S, *[F] * 25)
    assert await board.since() == (1, True)

    await board.ran(S, *[F] * 22)

    assert await board.since() == (27, True)


@virtual_time
async def test_runs_that_no_one_checked_in_between_are_checked_now() -> None:
    board = Board()
    await board.ran(S, *[F] * 25)
    await board.since()

    await board.ran(S, *[F] * 40)

    assert await board.since() == (27, True)


@virtual_time
async def test_history_is_read_back_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "_LOOK_BACK", 220)
    board = Board()
    await board.ran(S, *[F] * 400)

    assert await board.since() == (181, False)


@virtual_time
async def test_a_store_that_is_unavailable_is_reported_and_requested_again_the_next_time() -> None:
    board = Board()
    await board.ran(S, F)
    board.shop.store.breaks_after = 0
    with pytest.raises(StoreUnavailable):
        await board.down()

    board.shop.store.breaks_after = None

    assert await board.down() is not None


@virtual_time
async def test_the_beginning_of_a_long_outage_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board()
    await board.ran(S, *[F] * 300)
    first = await board.outages.find_outage("a")
    await board.ran(F)
    requested: list[dict[str, object]] = []
    read = JobAndRunQueries.list_runs

    async def counted(self: JobAndRunQueries, **query: object) -> object:
        requested.append(query)
        return await read(self, **query)  # type: ignore[arg-type]

    monkeypatch.setattr(JobAndRunQueries, "list_runs", counted)
    second = await board.outages.find_outage("a")

    assert first is not None
    assert second is not None
    assert (second.since, second.whole) == (first.since, True)
    assert second.newest.due_at > first.newest.due_at
    assert len(requested) == 1
