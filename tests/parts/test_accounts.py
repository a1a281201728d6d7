"""The account of due instants finds what is wrong."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from jobs.runs import ErrorClass, Outcome, Run, Ticket
from scheduler.stores.dead_letters import DeadLetter, DeadLetters
from scheduler.stores.runs.repository import Claim, Runs
from tests.parts.accounts import Account, read_stored_runs
from tests.scheduler.stores.memory import MemoryStore

AT = datetime(2026, 11, 25, 1, 50, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ACCOUNT = Account(("a",), AT, AT + SECOND)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def ticket(at: datetime) -> Ticket:
    return Ticket.scheduled("a", at, "")


async def ran(store: MemoryStore, at: datetime, outcome: Outcome = Outcome.SUCCEEDED, **more: ErrorClass | str) -> None:
    of = ticket(at)
    claim = await Runs(store).claim(of, "me", at + SECOND, at)
    assert isinstance(claim, Claim)
    await Runs(store).finish(claim, Run(of.id, "a", of.trigger, outcome, at, at, at, **more))  # type: ignore[arg-type]


async def problems(store: MemoryStore, account: Account = ACCOUNT, **hits: int) -> list[str]:
    """`hits`: of the first and the second instant; one each by default."""
    names = {"first": ticket(AT).id, "second": ticket(AT + SECOND).id, "third": ticket(AT + 2 * SECOND).id}
    counted = {"first": 1, "second": 1} | hits
    return account.problems(
        await read_stored_runs(store, account.jobs), Counter({names[which]: n for which, n in counted.items()})
    )


async def test_a_run_for_each_instant_is_no_problem(store: MemoryStore) -> None:
    await ran(store, AT)
    await ran(store, AT + SECOND)
    await ACCOUNT.complete(store, within=60)
    assert await problems(store) == []


async def test_a_missing_instant_and_a_run_that_was_not_stored_are_reported(store: MemoryStore) -> None:
    await ran(store, AT)
    with pytest.raises(TimeoutError, match="a at 01:50:31: no record"):
        await ACCOUNT.complete(store, within=0.01)
    assert await problems(store) == [
        "a has 0 records of what was due at 01:50:31",
        "a@20261125T015031.000Z was run, but is not stored",
    ]


async def test_a_success_without_a_request_is_reported(store: MemoryStore) -> None:
    await ran(store, AT)
    await ran(store, AT + SECOND)
    assert await problems(store, second=0) == ["a@20261125T015031.000Z succeeded, but its target received no request"]


async def test_a_second_request_for_a_run_of_one_effect_is_reported(store: MemoryStore) -> None:
    await ran(store, AT)
    await ran(store, AT + SECOND)
    once = Account(("a",), AT, AT + SECOND, once=frozenset({"a"}))
    assert await problems(store, second=2) == []
    assert await problems(store, once, second=2) == [
        "a@20261125T015031.000Z may have one effect, and its target received 2 requests"
    ]


async def test_it_is_complete_once_what_failed_is_a_dead_letter(store: MemoryStore) -> None:
    await ran(store, AT)
    await ran(store, AT + SECOND, Outcome.FAILED, error=ErrorClass.INTERRUPTED, message="given up")
    lettered = Account(("a",), AT, AT + SECOND, lettered=frozenset({"a"}))
    with pytest.raises(TimeoutError, match="no dead letter"):
        await lettered.complete(store, within=0.01)
    await DeadLetters(store).add(DeadLetter.from_ticket(ticket(AT + SECOND), "given up", AT + SECOND))
    await lettered.complete(store, within=60)


async def test_a_run_that_was_abandoned_has_to_be_a_dead_letter(store: MemoryStore) -> None:
    await ran(store, AT)
    await ran(store, AT + SECOND, Outcome.FAILED, error=ErrorClass.DEAD_LETTERED, message="given up")
    assert await problems(store) == ["a@20261125T015031.000Z was given up, but is not a dead letter"]
    await DeadLetters(store).add(DeadLetter.from_ticket(ticket(AT + SECOND), "given up", AT))
    assert await problems(store) == []


async def test_a_failed_run_of_a_job_with_dead_letters_has_to_be_one(store: MemoryStore) -> None:
    await ran(store, AT)
    await ran(store, AT + SECOND, Outcome.FAILED, error=ErrorClass.INTERRUPTED, message="interrupted")
    lettered = Account(("a",), AT, AT + SECOND, lettered=frozenset({"a"}))
    assert await problems(store) == []
    assert await problems(store, lettered) == ["a@20261125T015031.000Z was given up, but is not a dead letter"]


async def test_a_run_that_nothing_or_too_much_follows_from_is_reported(store: MemoryStore) -> None:
    await ran(store, AT)
    await ran(store, AT + SECOND)
    account = Account(("a",), AT, AT + SECOND, followers={"b": "a"})
    for suffix in ("one", "two"):
        of = Ticket.following("b", AT, "", suffix, ticket(AT).id)
        run = Run(of.id, "b", of.trigger, Outcome.SKIPPED, AT, AT, AT, message="?", correlation_id=of.correlation_id)
        await Runs(store).insert_finished(of, run)
    found = account.problems(
        await read_stored_runs(store, account.all_jobs), Counter({ticket(AT).id: 1, ticket(AT + SECOND).id: 1})
    )
    assert sorted(found) == [
        "b has 0 records of what follows from a@20261125T015031.000Z",
        "b has 2 records of what follows from a@20261125T015030.000Z",
    ]
