"""The states of a job's runs in an interval, on every store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.runs import Ticket
from scheduler.stores import rows
from scheduler.stores.port import Store
from scheduler.stores.runs.repository import Claim, Runs
from tests.scheduler.stores.samples import LEASE, NOON, at, run_of, ticket


async def finished(runs: Runs, ticket: Ticket) -> str:
    claim = await runs.claim(ticket, "me", NOON + LEASE, NOON)
    assert isinstance(claim, Claim)
    await runs.finish(claim, replace(run_of(ticket), id=ticket.id))
    return ticket.id


async def test_runs_of_an_interval_are_reported_with_its_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_PAGE", 2)
    runs = Runs(store)
    ids = [await finished(runs, ticket(seconds=second)) for second in range(6)]
    await finished(runs, ticket("other", 2))
    requests_made = Ticket.requested("checkout", at(4), "g")
    await runs.enqueue(requests_made)

    states = await runs.list_states_between("checkout", at(1), at(4))

    assert states == dict.fromkeys(ids[1:5], "succeeded") | {requests_made.id: "queued"}


async def test_an_interval_without_runs_has_none(store: Store) -> None:
    runs = Runs(store)
    await finished(runs, ticket(seconds=5))

    assert await runs.list_states_between("checkout", at(0), at(4.999)) == {}
    assert await runs.list_states_between("checkout", at(5.001), at(9)) == {}
    assert await runs.list_states_between("nobody", at(0), at(9)) == {}
