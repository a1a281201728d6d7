"""Running what fell due in a past interval and never ran."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

import pytest

from jobs.runs import Outcome, Ticket, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import UnknownJob
from scheduler.dispatch.port import DispatchError, InProcessDispatch
from scheduler.errors import Conflict, InvalidArgument
from scheduler.features.jobs import service
from scheduler.features.jobs.service import Backfiller, BackfillResult
from scheduler.stores.port import StoreUnavailable
from tests.jobs.running.run_parts import Hang, Step
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.audit.memory_trail import API_CALLER
from tests.scheduler.fakes import START, Sent, entry
from tests.scheduler.fakes import Shop as NewShop
from tests.scheduler.stores.memory import MemoryData
from tests.scheduler.stores.samples import rollup_of


class Shop(NewShop):
    """Its jobs have been in force for long."""

    def __init__(self, *steps: Step, **more: Any) -> None:
        super().__init__(*steps, **more)
        self.in_force(START - timedelta(days=30_000))


def ago(seconds: float) -> datetime:
    return START - timedelta(seconds=seconds)


def backfilling_of(shop: Shop, sent: Sent | None = None) -> Backfiller:
    return shop.operations(sent or Sent()).backfills


def in_process(shop: Shop) -> Backfiller:
    return shop.operations(InProcessDispatch(shop.worker.submit)).backfills


@virtual_time
async def test_what_fell_due_and_has_no_run_is_run_oldest_first_with_its_natural_id() -> None:
    shop = Shop()
    ran, *missing = (shop.ticket(-seconds) for seconds in (20, 30, 10, 0))
    await shop.worker.execute(ran)

    done = await in_process(shop).backfill("checkout", ago(30), START, limit=10, caller=API_CALLER)
    await shop.worker.wait_until_idle()

    assert [ticket.id for ticket in done.tickets] == [ticket.id for ticket in missing]
    assert done.already_run == 1
    runs = [event.run for event in shop.heard.finished[1:]]
    assert [run.id for run in runs] == [ticket.id for ticket in done.tickets]
    assert {(run.trigger, run.outcome) for run in runs} == {(Trigger.BACKFILL, Outcome.SUCCEEDED)}


@virtual_time
async def test_asking_again_runs_nothing_again() -> None:
    shop = Shop()
    for _ in range(2):
        done = await in_process(shop).backfill("checkout", ago(30), limit=10, caller=API_CALLER)
        await shop.worker.wait_until_idle()

    assert (done.tickets, done.already_run, len(shop.check.calls)) == ((), 4, 4)


@virtual_time
async def test_a_skipped_instant_is_run_beside_the_skipped_run_and_only_once() -> None:
    shop = Shop()
    await shop.worker.skip_recorder.record_skipped(shop.ticket(-10), Reason(ReasonCode.MISSED, "it was left out"))

    done = [await in_process(shop).backfill("checkout", ago(10), ago(1), limit=10, caller=API_CALLER) for _ in range(2)]
    await shop.worker.wait_until_idle()
    again = await in_process(shop).backfill("checkout", ago(10), ago(1), limit=10, caller=API_CALLER)

    (ticket,), _ = (each.tickets for each in done)
    assert done[0] == done[1] == BackfillResult((ticket,), already_run=0, skipped=1)
    assert (ticket.id, ticket.due_at) == (f"{shop.ticket(-10).id}.again1", ago(10))
    assert ticket.correlation_id == shop.ticket(-10).id
    assert again == BackfillResult((), already_run=1, skipped=0)
    assert [event.run.outcome for event in shop.heard.finished] == [Outcome.SKIPPED, Outcome.SUCCEEDED]


async def looked(shop: Shop) -> tuple[Ticket, ...]:
    """The tickets of a dry run over one due instant."""
    done = await backfilling_of(shop).backfill("checkout", ago(10), ago(1), limit=1, dry_run=True, caller=API_CALLER)
    return done.tickets


@virtual_time
async def test_a_backfill_that_was_skipped_itself_is_run_again() -> None:
    shop = Shop()
    await shop.worker.skip_recorder.record_skipped(shop.ticket(-10), Reason(ReasonCode.MISSED, "it was left out"))
    (first,) = await looked(shop)
    await shop.worker.skip_recorder.record_skipped(first, Reason(ReasonCode.MISSED, "it was left out once more"))

    (second,) = await looked(shop)

    assert second.id == f"{shop.ticket(-10).id}.again2"


@virtual_time
async def test_skipped_instants_are_left_if_asked_for() -> None:
    shop = Shop()
    await shop.worker.skip_recorder.record_skipped(shop.ticket(-10), Reason(ReasonCode.MISSED, "it was left out"))

    done = await backfilling_of(shop).backfill(
        "checkout", ago(10), ago(1), limit=10, leave_skipped=True, caller=API_CALLER
    )

    assert done == BackfillResult((), already_run=0, skipped=1)


@virtual_time
async def test_runs_that_somebody_asked_for_do_not_stand_for_a_due_instant() -> None:
    shop = Shop()
    await shop.operations(Sent()).runs.run_now("checkout", caller=API_CALLER)

    done = await backfilling_of(shop).backfill("checkout", START, START, limit=10, caller=API_CALLER)

    assert [ticket.due_at for ticket in done.tickets] == [START]


@virtual_time
async def test_runs_of_a_job_that_may_not_overlap_take_their_turn() -> None:
    shop = Shop(Hang("body", 2.0))

    await in_process(shop).backfill("checkout", ago(50), limit=10, caller=API_CALLER)
    await shop.worker.wait_until_idle()

    assert [event.run.outcome for event in shop.heard.finished] == [Outcome.SUCCEEDED] * 6
    assert shop.clock.monotonic() == pytest.approx(12.0, abs=0.5)


@pytest.mark.parametrize("since", [ago(15), ago(20), ago(30)])
@virtual_time
async def test_instants_before_the_first_version_are_refused_unless_asked_for(since: datetime) -> None:
    shop, sent = NewShop().in_force(since), Sent()
    backfilling = backfilling_of(shop, sent)
    with pytest.raises(InvalidArgument, match="before the first version of job checkout") as refused:
        await backfilling.backfill("checkout", ago(30), limit=10, caller=API_CALLER)
    assert (refused.value.field, sent.sent) == ("from", [])

    done = await backfilling.backfill("checkout", ago(30), limit=10, before_first_version=True, caller=API_CALLER)

    assert len(done.tickets) == 4


@virtual_time
async def test_the_refusal_says_how_many_instants_lie_before_the_first_version() -> None:
    with pytest.raises(InvalidArgument) as refused:
        await backfilling_of(NewShop().in_force(ago(15))).backfill("checkout", ago(30), limit=10, caller=API_CALLER)

    assert str(refused.value) == (
        "2 of 4 due instants, the first at 2026-03-01 11:59:30Z, are before the first version of job checkout, in "
        "force since 2026-03-01 11:59:45Z: start after 2026-03-01 11:59:45Z, or set before_first_version "
        "(--before-first-version) to run them too"
    )


@virtual_time
async def test_a_job_that_no_host_ever_had_in_force_has_no_instants_of_the_past() -> None:
    with pytest.raises(InvalidArgument, match="which no host has loaded yet: set before_first_version"):
        await backfilling_of(NewShop()).backfill("checkout", ago(30), limit=10, dry_run=True, caller=API_CALLER)


@virtual_time
async def test_an_interval_that_begins_before_the_first_version_is_run_if_nothing_was_due_then() -> None:
    shop = NewShop().in_force(ago(15))

    done = await backfilling_of(shop).backfill("checkout", ago(19), limit=10, caller=API_CALLER)

    assert [ticket.due_at for ticket in done.tickets] == [ago(10), ago(0)]


@virtual_time
async def test_a_backfill_counts_neither_in_uptime_nor_as_the_latest_run() -> None:
    shop = Shop()
    scheduled = shop.ticket(-60)
    await shop.worker.execute(scheduled)

    await in_process(shop).backfill("checkout", ago(50), limit=10, caller=API_CALLER)
    await shop.worker.wait_until_idle()

    found = await rollup_of(shop.runs, around=scheduled.due_at)
    latest = await shop.runs.find_latest("checkout", fresh=True)
    assert found.segment is not None
    assert found.segment.uptime.sample_count == 1
    assert latest is not None
    assert latest.ticket.id == scheduled.id
    assert (await shop.runs.find_latest_of_jobs(["checkout"]))["checkout"] == latest


@virtual_time
async def test_a_dry_run_changes_nothing() -> None:
    shop, sent = Shop(), Sent()

    done = await backfilling_of(shop, sent).backfill("checkout", ago(30), limit=10, dry_run=True, caller=API_CALLER)

    assert len(done.tickets) == 4
    assert (sent.sent, await shop.runs.list_unfinished(), shop.store.changes) == ([], [], [])


@virtual_time
async def test_more_than_the_limit_is_refused_with_the_number() -> None:
    shop, sent = Shop(), Sent()

    with pytest.raises(
        InvalidArgument,
        match="the range needs 31 runs, more than the limit of 30: shorten the range, or raise the limit",
    ) as refused:
        await backfilling_of(shop, sent).backfill("checkout", ago(300), limit=30, caller=API_CALLER)

    assert (refused.value.field, sent.sent, shop.store.changes) == ("limit", [], [])


@virtual_time
async def test_an_endless_interval_is_not_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_DUE_INSTANTS", 500)

    with pytest.raises(InvalidArgument, match="the range has more than 500 due instants"):
        await backfilling_of(Shop()).backfill("checkout", ago(10**9), limit=1000, caller=API_CALLER)


@virtual_time
async def test_a_crash_before_all_are_handed_over_is_put_right_by_asking_again() -> None:
    data = MemoryData()
    broken = Shop(data=data)
    broken.store.breaks_after = 2
    with pytest.raises(StoreUnavailable):
        await backfilling_of(broken).backfill("checkout", ago(30), limit=10, caller=API_CALLER)
    shop, sent = Shop(data=data), Sent()
    sent.fails = DispatchError("the queue is away")
    with pytest.raises(DispatchError):
        await backfilling_of(shop, sent).backfill("checkout", ago(30), limit=10, caller=API_CALLER)
    sent.fails = None

    done = await backfilling_of(shop, sent).backfill("checkout", ago(30), limit=10, caller=API_CALLER)

    assert (len(done.tickets), done.already_run) == (4, 0)
    assert sent.sent == [(done.tickets, None)]
    assert len(await shop.runs.list_unfinished()) == 4


@virtual_time
async def test_a_queue_gets_messages_that_are_over_in_time_one_after_the_other() -> None:
    shop, sent = Shop(jobs=[entry(timeout={"attempt": "60s", "run": "150s"})]), Sent()

    await backfilling_of(shop, sent).backfill("checkout", ago(40), limit=10, caller=API_CALLER)

    assert [len(tickets) for tickets, _ in sent.sent] == [2, 2, 1]
    assert [later for _, later in sent.sent] == [None, START + timedelta(seconds=4), START + timedelta(seconds=8)]


@pytest.mark.parametrize(
    ("since", "until", "limit", "field"),
    [
        (ago(0), ago(1), 10, "from"),
        (ago(10), ago(-1), 10, "to"),
        (datetime(1969, 12, 31, tzinfo=START.tzinfo), START, 10, "from"),
        (ago(10), START, 0, "limit"),
        (ago(10), START, 1001, "limit"),
    ],
)
@virtual_time
async def test_what_cannot_be_asked_for_is_refused(since: datetime, until: datetime, limit: int, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await backfilling_of(Shop()).backfill("checkout", since, until, limit=limit, caller=API_CALLER)

    assert refused.value.field == field


@virtual_time
async def test_a_job_without_schedule_was_never_due() -> None:
    shop = Shop(jobs=[entry(schedule=None)])

    with pytest.raises(Conflict, match="has no schedule"):
        await backfilling_of(shop).backfill("checkout", ago(10), limit=10, caller=API_CALLER)
    with pytest.raises(UnknownJob):
        await backfilling_of(shop).backfill("nobody", ago(10), limit=10, caller=API_CALLER)


@virtual_time
async def test_a_backfill_is_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "scheduler.audit"):
        await backfilling_of(Shop()).backfill("checkout", ago(10), limit=10, caller=API_CALLER)

    assert caplog.messages == [
        "2 runs of job checkout from checkout@20260301T115950.000Z on were queued, requested over the API"
    ]
