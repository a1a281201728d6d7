"""Circuits, cursors and dead letters, on every store."""

from __future__ import annotations

import asyncio
from datetime import timedelta, timezone

import pytest

from jobs.policies import CircuitPolicy
from jobs.ports import CircuitStateStore
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.circuit_state import CircuitAdmission
from scheduler.stores.dead_letters import MAX_LETTER_MESSAGE, DeadLetter, DeadLetters
from scheduler.stores.gates import StoredCircuits
from scheduler.stores.port import Store
from scheduler.stores.schedules import Cursors
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.samples import NOON, at, ticket


async def test_a_circuits_state_is_retained_for_the_next_read(store: Store) -> None:
    circuits: CircuitStateStore = StoredCircuits(store)
    assert await circuits.load("checkout") == (None, None)
    assert await circuits.replace("checkout", '{"state":"open"}', None)
    state, etag = await circuits.load("checkout")
    assert state == '{"state":"open"}'
    assert await circuits.replace("checkout", '{"state":"closed"}', etag)
    assert (await circuits.load("checkout"))[0] == '{"state":"closed"}'
    assert await circuits.load("https://other/health") == (None, None)


async def test_a_circuit_that_changed_since_it_was_read_is_not_replaced(store: Store) -> None:
    circuits = StoredCircuits(store)
    assert await circuits.replace("checkout", "1", None)
    assert not await circuits.replace("checkout", "2", None)
    _, etag = await circuits.load("checkout")
    assert await circuits.replace("checkout", "3", etag)
    assert not await circuits.replace("checkout", "4", etag)
    assert (await circuits.load("checkout"))[0] == "3"


async def test_of_many_runs_at_half_open_as_many_are_let_through_as_there_are_probes(open_store: OpenStore) -> None:
    policy = CircuitPolicy(consecutive_failures=1, open_for=60.0, probes=2)
    # However slow a machine is: a store that is away lets everybody through.
    processes = [CircuitBreakers(StoredCircuits(await open_store()), timeout_s=60.0) for _ in range(3)]
    admission = await processes[0].admit("checkout", policy, NOON, 30.0)
    await processes[0].record("checkout", policy, NOON, admission, True)

    async def let_through(second: float) -> list[CircuitAdmission]:
        requested = [process.admit("checkout", policy, at(second), 30.0) for process in processes for _ in range(4)]
        return [admission for admission in await asyncio.gather(*requested) if admission.is_allowed]

    assert await let_through(59) == []
    first, _ = await let_through(61)
    assert await let_through(90) == []
    await processes[1].record("checkout", policy, at(90), first, False)
    assert len(await let_through(91)) == 1


async def test_a_cursor_moves_forward_only(store: Store) -> None:
    cursors = Cursors(store)
    assert await cursors.read("planned-until") is None
    assert await cursors.advance("planned-until", at(10)) == at(10)
    assert await cursors.advance("planned-until", at(5)) == at(10)
    assert await cursors.advance("planned-until", at(20)) == at(20)
    assert await cursors.read("planned-until") == at(20)
    assert await cursors.read("other") is None


async def test_a_cursor_that_a_wrong_clock_moved_is_put_back(store: Store) -> None:
    cursors = Cursors(store)
    await cursors.advance("planned-until", at(900))

    assert await cursors.rewind("planned-until", at(10)) == at(10)
    assert await cursors.rewind("planned-until", at(20)) == at(10)
    assert await cursors.read("planned-until") == at(10)


async def test_a_cursor_ends_at_the_furthest_of_many_who_move_it_at_once(open_store: OpenStore) -> None:
    both = [Cursors(await open_store()), Cursors(await open_store())]
    await asyncio.gather(*(both[second % 2].advance("planned-until", at(second)) for second in range(12)))
    assert await both[0].read("planned-until") == at(11)


async def test_a_cursor_is_utc_whatever_it_was_given_in(store: Store) -> None:
    cursors = Cursors(store)
    await cursors.advance("planned-until", NOON.astimezone(timezone(timedelta(hours=2))))
    found = await cursors.read("planned-until")
    assert found == NOON
    assert found is not None
    assert found.utcoffset() == timedelta(0)


async def test_dead_letters_come_newest_first(store: Store) -> None:
    letters = DeadLetters(store)
    old = DeadLetter.from_ticket(ticket(), "delivered five times", at(1), attempts=5)
    new = DeadLetter.from_message("no batch", "not a batch of tickets", at(2))
    await letters.add(old)
    await letters.add(new)
    await letters.add(old)
    assert list(await letters.list_letters()) == [new, old]
    assert list(await letters.list_letters(limit=1)) == [new]
    assert list(await letters.list_letters(after=new.id)) == [old]
    assert await letters.find(old.id) == old
    assert (old.ticket, old.attempts, new.message) == (ticket(), 5, "no batch")


@pytest.mark.parametrize("letter_id", ["", "x", "20261125T120000.000Z", "20261125T120000.000Z.", "y.1", "a/b?Z.1"])
async def test_what_is_no_id_of_a_dead_letter_finds_none(store: Store, letter_id: str) -> None:
    assert await DeadLetters(store).find(letter_id) is None


async def test_a_page_after_what_is_no_id_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="not a continuation of this list"):
        await DeadLetters(store).list_letters(after="x")


async def test_of_a_huge_message_the_beginning_is_stored(store: Store) -> None:
    letter = DeadLetter.from_message("é" * 10**6, "not a batch of tickets", at(0))
    await DeadLetters(store).add(letter)
    found = await DeadLetters(store).find(letter.id)
    assert found is not None
    assert found.message == "é" * MAX_LETTER_MESSAGE


async def test_old_dead_letters_are_deleted(store: Store) -> None:
    letters = DeadLetters(store)
    for second in range(4):
        await letters.add(DeadLetter.from_message(str(second), "bad", at(second)))
    assert await letters.prune(at(101.5), 100) == 2
    assert [letter.message for letter in await letters.list_letters()] == ["3", "2"]
