"""Runs that become dead letters, and replays that take their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from jobs.runs import ErrorClass, Outcome, Ticket
from jobs.runs.reasons import Reason, ReasonCode
from scheduler.gates import Wait
from scheduler.stores.dead_letters.letter import DeadLetter
from scheduler.stores.runs.repository import Claim, RunState
from scheduler.worker.options import COMMAND_OPTIONS, FUNCTIONS_OPTIONS
from scheduler.worker.results.recorder import NotRecorded
from tests.jobs.running.run_parts import REFUSED, Hang, Step, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import Shop, entry
from tests.scheduler.stores.memory import MemoryData
from tests.scheduler.stores.samples import run_of

KEPT = entry(dead_letter=True, retry={"attempts": 2, "jitter": "none"})


async def letters_of(shop: Shop) -> Sequence[DeadLetter]:
    return await shop.dead_letters.list_letters()


def replay(shop: Shop, seconds: float = 0.0) -> Ticket:
    due_at = shop.clock.now() + timedelta(seconds=seconds)
    return Ticket.replayed(shop.ticket(-100), due_at, shop.catalog.get_job("checkout").generation)


@virtual_time
async def test_a_run_that_is_down_after_its_last_attempt_becomes_a_dead_letter_if_its_job_says_so() -> None:
    shop = Shop(REFUSED, jobs=[KEPT])
    ticket = shop.ticket()
    await shop.worker.execute(ticket)

    (letter,) = await letters_of(shop)

    assert letter.ticket == ticket
    assert letter.error is ErrorClass.CONNECTION_REFUSED
    assert [attempt.error for attempt in letter.tried] == [ErrorClass.CONNECTION_REFUSED] * 2
    assert letter.definition is not None
    assert letter.definition["name"] == "checkout"


@virtual_time
async def test_a_health_check_that_is_down_is_no_dead_letter() -> None:
    shop = Shop(REFUSED, jobs=[entry(retry={"attempts": 1})])
    await shop.worker.execute(shop.ticket())

    assert await letters_of(shop) == []


@virtual_time
async def test_what_succeeds_in_the_end_or_is_left_out_is_no_dead_letter() -> None:
    shop = Shop(REFUSED, answer(), jobs=[KEPT])
    await shop.worker.execute(shop.ticket())
    await shop.worker.skip_recorder.record_skipped(shop.ticket(10), Reason(ReasonCode.MISSED, "it is left out"))

    assert await letters_of(shop) == []


@virtual_time
async def test_a_cancelled_run_is_no_dead_letter() -> None:
    shop = Shop(Hang("body", 9.0), jobs=[KEPT])
    shop.worker.submit(shop.ticket())
    await asyncio.sleep(1)
    await shop.worker.drain(0)

    assert [event.run.outcome for event in shop.heard.finished] == [Outcome.CANCELLED]
    assert await letters_of(shop) == []


@virtual_time
async def test_a_mistake_of_the_program_is_kept_with_its_traceback() -> None:
    shop = Shop(RuntimeError("what nobody thought of"), jobs=[KEPT])
    await shop.worker.execute(shop.ticket())

    (letter,) = await letters_of(shop)

    assert letter.error is ErrorClass.INTERNAL_ERROR
    assert "RuntimeError: what nobody thought of" in letter.traceback


@virtual_time
async def test_a_process_that_dies_before_the_run_is_recorded_has_kept_the_letter() -> None:
    shop = Shop(REFUSED, jobs=[KEPT], ways=COMMAND_OPTIONS)
    shop.store.breaks_after = 2  # the claim and the letter

    with pytest.raises(NotRecorded):
        await shop.worker.execute(shop.ticket())
    shop.store.breaks_after = None

    assert len(await letters_of(shop)) == 1
    assert [record.state for record in await shop.runs.list_unfinished()] == [RunState.RUNNING]


async def is_takeover(slow: Shop, ticket: Ticket, other: Shop) -> Claim:
    """Begin the run in `slow`, and let `other` take it over an hour later, as if `slow` had stood still."""
    slow.worker.submit(ticket)
    await asyncio.sleep(1)
    far = slow.clock.now() + timedelta(hours=1)
    claim = await other.runs.claim(ticket, "other", far + timedelta(hours=1), far)
    assert isinstance(claim, Claim)
    return claim


def two_processes(*steps: Step) -> tuple[Shop, Shop]:
    """Over the same store: the first one's run takes 20 s and fails, the other's goes as `steps` say."""
    data = MemoryData()
    slow = Shop(Hang("body", 20.0), jobs=[KEPT], data=data, owner="slow")
    return slow, Shop(*steps, jobs=[KEPT], data=data, owner="other")


@virtual_time
async def test_a_run_that_was_taken_over_and_succeeded_leaves_no_letter() -> None:
    slow, other = two_processes()
    ticket = slow.ticket()
    claim = await is_takeover(slow, ticket, other)
    await other.runs.finish(claim, run_of(ticket, Outcome.SUCCEEDED))

    await slow.worker.drain(60)

    assert slow.heard.finished == []  # the other owner tells how it went
    assert slow.heard.given_up == []
    assert await letters_of(slow) == []


@virtual_time
async def test_a_run_that_was_taken_over_and_failed_keeps_the_letter_of_its_new_owner() -> None:
    slow, other = two_processes()
    ticket = slow.ticket()
    claim = await is_takeover(slow, ticket, other)
    failed = run_of(ticket, Outcome.FAILED)
    await other.dead_letters.add(DeadLetter.from_run(failed, ticket, KEPT.job))
    await other.runs.finish(claim, failed)

    await slow.worker.drain(60)

    assert [letter.ticket for letter in await letters_of(slow)] == [ticket]


@virtual_time
async def test_a_new_owner_that_has_kept_the_letter_but_not_finished_the_run_does_not_lose_it() -> None:
    slow, other = two_processes()
    ticket = slow.ticket()
    claim = await is_takeover(slow, ticket, other)
    failed = run_of(ticket, Outcome.FAILED)
    await other.dead_letters.add(DeadLetter.from_run(failed, ticket, KEPT.job))

    await slow.worker.drain(60)
    await other.runs.finish(claim, failed)

    assert [letter.ticket for letter in await letters_of(slow)] == [ticket]


@virtual_time
async def test_a_run_that_succeeds_after_its_owner_died_discards_the_letter_of_that_owner() -> None:
    slow, other = two_processes()
    ticket = slow.ticket()
    await slow.runs.claim(ticket, "slow", slow.clock.now() - timedelta(seconds=1), slow.clock.now())
    await slow.dead_letters.add(DeadLetter.from_run(run_of(ticket, Outcome.FAILED), ticket, KEPT.job))

    await other.worker.execute(ticket)

    assert [event.run.outcome for event in other.heard.finished] == [Outcome.SUCCEEDED]
    assert await letters_of(other) == []


@virtual_time
async def test_a_ticket_that_is_due_later_is_performed_at_its_instant() -> None:
    shop = Shop()
    shop.worker.submit(replay(shop, 7))

    await shop.worker.wait_until_idle()

    (event,) = shop.heard.finished
    assert event.run.lateness_ms == pytest.approx(0, abs=1)
    assert shop.clock.monotonic() == pytest.approx(7.0)


@virtual_time
async def test_what_is_due_later_does_not_hold_up_the_end_and_stays_queued() -> None:
    shop = Shop()
    ticket = replay(shop, 500)
    await shop.runs.enqueue(ticket)
    shop.worker.submit(ticket)
    await asyncio.sleep(1)

    await shop.worker.drain(60)

    assert shop.clock.monotonic() == pytest.approx(1.0)
    assert [record.state for record in await shop.runs.list_unfinished()] == [RunState.QUEUED]
    assert shop.heard.finished == []


@virtual_time
async def test_replays_of_a_job_run_one_after_the_other_and_none_is_left_out() -> None:
    shop = Shop(Hang("body", 2.0))
    shop.worker.submit(shop.ticket())
    await asyncio.sleep(0.5)
    for _ in range(3):
        shop.worker.submit(replay(shop))

    await shop.worker.wait_until_idle()

    starts = [event.run.started_at for event in shop.heard.finished]
    assert [event.run.outcome for event in shop.heard.finished] == [Outcome.SUCCEEDED] * 4
    assert all(later - earlier >= timedelta(seconds=2) for earlier, later in pairwise(starts))


@virtual_time
async def test_replays_run_beside_other_runs_where_the_job_allows_it() -> None:
    shop = Shop(Hang("body", 2.0), jobs=[entry(overlap="allow")])
    for _ in range(3):
        shop.worker.submit(replay(shop))

    await asyncio.sleep(1)

    assert len(shop.check.calls) == 1  # they take their turn among themselves
    shop.worker.submit(shop.ticket())
    await asyncio.sleep(0.5)
    assert len(shop.check.calls) == 2
    await shop.worker.wait_until_idle()


@virtual_time
async def test_a_replay_that_another_run_keeps_out_for_long_is_to_be_tried_again() -> None:
    shop = Shop(Hang("body", 9.0), ways=replace(FUNCTIONS_OPTIONS, max_wait=3.0))
    going = shop.ticket()
    shop.worker.submit(going)
    await asyncio.sleep(1)

    busy = await shop.worker.execute(replay(shop))

    assert isinstance(busy, Wait)
    assert busy.retry_at - shop.clock.now() == timedelta(seconds=5)
    assert str(busy) == f"run {going.id} of its job is running"
    await shop.worker.wait_until_idle()
