"""Replaying dead letters, one or by filter, and discarding them."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import pytest

from jobs.runs import Outcome, Trigger
from scheduler.catalog.catalog import UnknownJob
from scheduler.dispatch.port import DispatchError, InProcessDispatch
from scheduler.errors import Conflict, InvalidArgument, NotFound
from scheduler.features.dead_letters.service import DeadLetterReplayer, LetterFilter
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import RunState
from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.audit.memory_trail import API_CALLER, COMMAND_CALLER
from tests.scheduler.fakes import START, Sent, WorkerHarness, entry
from tests.scheduler.stores.memory import MemoryData

JOBS = [entry(dead_letter=True, retry={"attempts": 1}), entry("other", retry={"attempts": 1})]


def replaying_of(harness: WorkerHarness, sent: Sent | None = None) -> DeadLetterReplayer:
    return harness.operations(sent or Sent()).dead_letters


async def abandoned(
    harness: WorkerHarness, seconds: float = 0.0, job: str = "checkout", reason: str = "it broke"
) -> DeadLetter:
    ticket = harness.ticket(seconds, job)
    letter = DeadLetter.from_ticket(ticket, reason, ticket.due_at, job=harness.catalog.get_job(job).job)
    await harness.dead_letters.add(letter)
    return letter


async def stored(harness: WorkerHarness, letter: DeadLetter) -> DeadLetter:
    found = await harness.dead_letters.find(letter.id)
    assert found is not None
    return found


@virtual_time
async def test_a_run_that_was_abandoned_is_run_again_linked_to_it() -> None:
    harness = WorkerHarness(REFUSED, answer(), jobs=JOBS)
    original = harness.ticket()
    await harness.worker.execute(original)
    (letter,) = await harness.dead_letters.list_letters()

    replayed = await harness.operations(InProcessDispatch(harness.worker.submit)).dead_letters.replay(
        letter.id, caller=API_CALLER
    )
    await harness.worker.wait_until_idle()

    done = await harness.runs.find(replayed.id)
    assert done is not None
    assert done.run is not None
    assert (done.run.outcome, done.run.trigger) == (Outcome.SUCCEEDED, Trigger.REPLAY)
    assert done.run.correlation_id == original.id
    marked = (await stored(harness, letter)).replay
    assert marked is not None
    assert (marked.ticket.id, marked.done) == (replayed.id, True)


@virtual_time
async def test_a_replay_that_is_abandoned_is_a_letter_of_its_own_with_the_same_root() -> None:
    harness = WorkerHarness(REFUSED, jobs=JOBS)
    original = harness.ticket()
    await harness.worker.execute(original)
    (letter,) = await harness.dead_letters.list_letters()
    replaying = harness.operations(InProcessDispatch(harness.worker.submit)).dead_letters
    await harness.clock.sleep(1)

    replayed = await replaying.replay(letter.id, caller=API_CALLER)
    await harness.worker.wait_until_idle()

    newest, _ = await harness.dead_letters.list_letters()
    assert newest.ticket is not None
    assert (newest.ticket.id, newest.ticket.correlation_id) == (replayed.id, original.id)


@virtual_time
async def test_a_letter_is_replayed_once() -> None:
    harness, sent = WorkerHarness(jobs=JOBS), Sent()
    letter = await abandoned(harness)
    replayed = await replaying_of(harness, sent).replay(letter.id, caller=API_CALLER)

    with pytest.raises(Conflict, match=f"was already replayed by run {replayed.id}"):
        await replaying_of(harness, sent).replay(letter.id, caller=API_CALLER)

    assert len(sent.sent) == 1


async def _replay_until_it_breaks(data: MemoryData, letter_id: str, breaks_after: int) -> bool:
    """A process that dies after so many changes of the store; whether it came to its end."""
    harness = WorkerHarness(jobs=JOBS, data=data)
    harness.store.breaks_after = breaks_after
    try:
        await replaying_of(harness).replay(letter_id, caller=API_CALLER)
    except StoreError:
        return False
    return True


@pytest.mark.parametrize("breaks_after", range(5))
@virtual_time
async def test_a_crash_anywhere_loses_no_letter_and_makes_no_second_run(breaks_after: int) -> None:
    data = MemoryData()
    letter = await abandoned(WorkerHarness(jobs=JOBS, data=data))
    ended = await _replay_until_it_breaks(data, letter.id, breaks_after)
    harness, sent = WorkerHarness(jobs=JOBS, data=data), Sent()

    if ended:
        with pytest.raises(Conflict):
            await replaying_of(harness, sent).replay(letter.id, caller=API_CALLER)
    else:
        await replaying_of(harness, sent).replay(letter.id, caller=API_CALLER)

    marked = (await stored(harness, letter)).replay
    assert marked is not None
    assert marked.done
    assert [record.ticket.id for record in await harness.runs.list_unfinished()] == [marked.ticket.id]
    assert all(tickets == (marked.ticket,) for tickets, _ in sent.sent)


@virtual_time
async def test_a_queue_that_is_unavailable_leaves_a_replay_that_can_be_gone_on_with() -> None:
    harness, sent = WorkerHarness(jobs=JOBS), Sent()
    letter = await abandoned(harness)
    sent.fails = DispatchError("the queue is away")
    with pytest.raises(DispatchError):
        await replaying_of(harness, sent).replay(letter.id, caller=API_CALLER)
    sent.fails = None

    replayed = await replaying_of(harness, sent).replay(letter.id, caller=API_CALLER)

    assert [[ticket.id for ticket in tickets] for tickets, _ in sent.sent] == [[replayed.id]]
    assert len(await harness.runs.list_unfinished()) == 1


@virtual_time
async def test_what_cannot_be_replayed_is_reported() -> None:
    harness = WorkerHarness(jobs=JOBS)
    message = DeadLetter.from_message("no batch", "not a batch of tickets", START)
    await harness.dead_letters.add(message)
    letter = await abandoned(harness, job="other")
    without = WorkerHarness(jobs=JOBS[:1], data=harness.store.data)

    with pytest.raises(Conflict, match="not a ticket"):
        await replaying_of(harness).replay(message.id, caller=API_CALLER)
    with pytest.raises(NotFound, match="there is no dead letter 'x'"):
        await replaying_of(harness).replay("x", caller=API_CALLER)
    with pytest.raises(UnknownJob):
        await replaying_of(without).replay(letter.id, caller=API_CALLER)

    assert (await stored(harness, letter)).replay is None


@virtual_time
async def test_a_filter_chooses_by_job_reason_and_time() -> None:
    harness = WorkerHarness(jobs=JOBS)
    for seconds in range(4):
        await abandoned(harness, seconds)
    await abandoned(harness, 1, "other", "Refused the connection")
    replaying = replaying_of(harness)

    async def found(expected: LetterFilter) -> int:
        replayed = await replaying.replay_all(expected, per_second=5, limit=100, dry_run=True, caller=API_CALLER)
        return len(replayed.dead_letters)

    second = timedelta(seconds=1)
    assert await found(LetterFilter(job="checkout")) == 4
    assert await found(LetterFilter(reason="refused")) == 1
    assert await found(LetterFilter(after=START + second)) == 4
    assert await found(LetterFilter(before=START + second)) == 1
    assert await found(LetterFilter(job="checkout", after=START + second, before=START + 3 * second)) == 2


@virtual_time
async def test_a_dry_run_changes_nothing() -> None:
    harness, sent = WorkerHarness(jobs=JOBS), Sent()
    letter = await abandoned(harness)

    await replaying_of(harness, sent).replay_all(
        LetterFilter("checkout"), per_second=5, limit=9, dry_run=True, caller=API_CALLER
    )

    assert await stored(harness, letter) == letter
    assert sent.sent == []


@virtual_time
async def test_many_are_replayed_oldest_first_and_paced() -> None:
    harness, sent = WorkerHarness(jobs=JOBS), Sent()
    letters = [await abandoned(harness, -seconds) for seconds in range(30)]

    replayed = await replaying_of(harness, sent).replay_all(
        LetterFilter("checkout"), per_second=4, limit=25, caller=API_CALLER
    )

    tickets = [ticket for tickets, _ in sent.sent for ticket in tickets]
    due: list[datetime] = [ticket.due_at for ticket in tickets]
    assert [letter.id for letter in replayed.dead_letters] == [letter.id for letter in reversed(letters[5:])]
    assert replayed.remaining == 5
    assert due == [START + timedelta(seconds=number / 4) for number in range(25)]
    assert len(await harness.runs.list_unfinished()) == 25


@virtual_time
async def test_what_is_replayed_already_does_not_fit_and_what_was_broken_off_does() -> None:
    harness, sent = WorkerHarness(jobs=JOBS), Sent()
    done, broken_off = await abandoned(harness), await abandoned(harness, 1)
    await replaying_of(harness).replay(done.id, caller=API_CALLER)
    ticket = harness.ticket(5)
    await harness.dead_letters.start_replay(broken_off.id, ticket, START)

    replayed = await replaying_of(harness, sent).replay_all(
        LetterFilter("checkout"), per_second=5, limit=9, caller=API_CALLER
    )

    assert [letter.id for letter in replayed.dead_letters] == [broken_off.id]
    assert sent.sent == [((ticket,), None)]


@virtual_time
async def test_letters_of_jobs_that_are_gone_stay() -> None:
    harness = WorkerHarness(jobs=JOBS)
    await abandoned(harness)
    gone = await abandoned(harness, 1, "other")
    without = WorkerHarness(jobs=JOBS[:1], data=harness.store.data)

    replayed = await replaying_of(without).replay_all(
        LetterFilter(reason="broke"), per_second=5, limit=9, caller=API_CALLER
    )

    assert [letter.job for letter in replayed.dead_letters] == ["checkout"]
    assert (replayed.unknown_jobs, replayed.remaining) == (["other"], 0)
    assert (await stored(without, gone)).replay is None


@pytest.mark.parametrize(
    ("expected", "per_second", "limit", "field"),
    [
        (LetterFilter(), 5, 9, "job"),
        (LetterFilter("checkout"), 0, 9, "per_second"),
        (LetterFilter("checkout"), 101, 9, "per_second"),
        (LetterFilter("checkout"), 5, 0, "limit"),
        (LetterFilter("checkout"), 5, 1001, "limit"),
    ],
)
@virtual_time
async def test_what_cannot_be_asked_for_is_refused(
    expected: LetterFilter, per_second: float, limit: int, field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await replaying_of(WorkerHarness(jobs=JOBS)).replay_all(
            expected, per_second=per_second, limit=limit, caller=API_CALLER
        )

    assert refused.value.field == field


@virtual_time
async def test_an_unknown_job_is_reported() -> None:
    with pytest.raises(UnknownJob):
        await replaying_of(WorkerHarness(jobs=JOBS)).replay_all(
            LetterFilter("nobody"), per_second=5, limit=9, caller=API_CALLER
        )


@virtual_time
async def test_a_letter_is_discarded_and_every_change_is_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    harness = WorkerHarness(jobs=JOBS)
    letter = await abandoned(harness)
    replaying = replaying_of(harness)

    with caplog.at_level(logging.INFO, "scheduler.audit"):
        replayed = await replaying.replay(letter.id, caller=API_CALLER)
        await replaying.discard(letter.id, caller=COMMAND_CALLER)
    with pytest.raises(NotFound):
        await replaying.discard(letter.id, caller=API_CALLER)

    assert await harness.dead_letters.find(letter.id) is None
    assert caplog.messages == [
        f"dead letter {letter.id} is replayed by run {replayed.id}, requested over the API",
        f"dead letter {letter.id} was discarded, requested on the command line",
    ]
    assert replayed.state is RunState.QUEUED
