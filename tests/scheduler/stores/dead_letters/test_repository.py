"""Dead letters that are paged, replayed and discarded, on every store. How they are kept: test_small_stores."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from jobs.runs import Outcome, Ticket
from scheduler.stores import dead_letters
from scheduler.stores.dead_letters import DeadLetter, DeadLetters
from scheduler.stores.port import Store
from tests.scheduler.fakes import entry
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.samples import at, run_of, ticket

JOB = entry(dead_letter=True).job


def letter_of(seconds: float, job: str = "checkout") -> DeadLetter:
    abandoned = ticket(job, seconds)
    return DeadLetter.from_run(run_of(abandoned, Outcome.FAILED), abandoned, JOB)


async def test_a_run_that_was_abandoned_is_stored_with_all_that_is_known(store: Store) -> None:
    abandoned = ticket()
    run = run_of(abandoned, Outcome.FAILED)
    letter = DeadLetter.from_run(run, abandoned, JOB, "Traceback: it broke")
    await DeadLetters(store).add(letter)

    found = await DeadLetters(store).find(letter.id)

    assert found == letter
    assert found is not None
    assert (found.ticket, found.tried, found.attempts, found.reason) == (abandoned, run.attempts, 1, run.message)
    assert found.definition is not None
    assert found.definition["check"]["url"] == "http://127.0.0.1:9/"
    assert (found.error, found.traceback, found.at) == (run.error, "Traceback: it broke", run.finished_at)


async def test_what_no_store_takes_of_a_text_is_replaced(store: Store) -> None:
    letter = replace(letter_of(0), reason="half of a pair: \ud83d")
    await DeadLetters(store).add(letter)

    found = await DeadLetters(store).find(letter.id)

    assert found is not None
    assert found.reason == "half of a pair: ?"


async def test_a_huge_definition_and_a_huge_traceback_do_not_keep_a_letter_from_being_stored(store: Store) -> None:
    abandoned = ticket()
    huge = JOB.model_copy(update={"tags": {"team": "x" * 10**6}})
    letter = DeadLetter.from_run(run_of(abandoned, Outcome.FAILED), abandoned, huge, "x" * 10**6 + "end")
    await DeadLetters(store).add(letter)

    found = await DeadLetters(store).find(letter.id)

    assert found is not None
    assert found.definition is None
    assert found.traceback.endswith("end")


async def test_pages_follow_each_other(store: Store) -> None:
    letters = DeadLetters(store)
    for second in range(5):
        await letters.add(letter_of(second, "checkout" if second % 2 == 0 else "other"))

    first = await letters.read_page(limit=2)
    middle = await letters.read_page(limit=2, after=first.continuation or "")
    last = await letters.read_page(limit=2, after=middle.continuation or "")
    of_job = await letters.read_page(job="other", limit=2)

    found = [letter.at for page in (first, middle, last) for letter in page.letters]
    assert found == sorted(found, reverse=True)
    assert (len(found), last.continuation) == (5, None)
    assert ([letter.job for letter in of_job.letters], of_job.continuation) == (["other", "other"], None)


async def test_a_page_checks_a_bounded_number_of_letters(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "LETTER_PAGE_SCAN_LIMIT", 2)
    monkeypatch.setattr(dead_letters, "_SCAN_BATCH", 2)
    letters = DeadLetters(store)
    for second in range(3):
        await letters.add(letter_of(second, "other" if second == 0 else "checkout"))

    page = await letters.read_page(job="other", limit=1)
    assert (page.letters, page.continuation is None) == ((), False)
    page = await letters.read_page(job="other", limit=1, after=page.continuation or "")

    assert [letter.job for letter in page.letters] == ["other"]


async def test_of_all_who_begin_a_replay_at_once_one_decides_on_its_ticket(open_store: OpenStore) -> None:
    stores = [DeadLetters(await open_store()) for _ in range(3)]
    letter = letter_of(0)
    await stores[0].add(letter)
    tickets = [Ticket.replayed(ticket(), at(number), "g") for number in range(6)]

    started = await asyncio.gather(
        *(stores[number % 3].start_replay(letter.id, tickets[number], at(10)) for number in range(6))
    )

    chosen = {found.replay.ticket.id for found in started if found is not None and found.replay is not None}
    assert len(chosen) == 1
    assert chosen <= {each.id for each in tickets}
    done = await stores[0].finish_replay(letter.id)
    assert done is not None
    assert done.replay is not None
    assert (done.replay.ticket.id, done.replay.done) == (chosen.pop(), True)


async def test_adding_a_letter_again_leaves_its_replay(store: Store) -> None:
    letters = DeadLetters(store)
    letter = letter_of(0)
    await letters.add(letter)
    await letters.start_replay(letter.id, ticket(seconds=9), at(10))
    await letters.add(letter)

    found = await letters.find(letter.id)

    assert found is not None
    assert found.replay is not None


async def test_a_discarded_letter_is_gone(store: Store) -> None:
    letters = DeadLetters(store)
    letter = letter_of(0)
    await letters.add(letter)

    assert await letters.discard(letter.id)
    assert not await letters.discard(letter.id)
    assert await letters.start_replay(letter.id, ticket(), at(0)) is None
    assert await letters.finish_replay(letter.id) is None


async def test_a_letter_whose_replay_did_not_begin_has_none_to_end(store: Store) -> None:
    letters = DeadLetters(store)
    letter = letter_of(0)
    await letters.add(letter)

    assert await letters.finish_replay(letter.id) == letter
