"""A run that nothing holds up takes a short way through the worker; on the long way it would be the same run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.runs import ErrorClass, Run, Ticket
from scheduler.gates.gates import DefinitionGate, Gates
from scheduler.stores.gates import Pause
from scheduler.worker.claims import TicketClaim
from scheduler.worker.places import FifoSemaphore, HeldPlace, Shares
from tests.jobs.running.run_parts import Hang, Step, answer, broken
from tests.jobs.running.virtual_time import VirtualTimeLoop
from tests.scheduler.fakes import WorkerHarness, entry

NAMES = ("a", "b", "c")
STEPS: Mapping[str, Step] = {
    "quick": answer(),
    "slow": Hang("body", 3.3),
    "refused": broken(ErrorClass.CONNECTION_REFUSED, "one.internal:80 refused the connection."),
}

definitions = st.fixed_dictionaries(
    {
        "retry": st.just({"attempts": 1}),  # the pause before another attempt is random
        "overlap": st.sampled_from(["skip", "allow", "buffer_one", "buffer_all", "cancel_previous"]),
    },
    optional={
        "effect": st.just("once"),
        "concurrency_group": st.just("shared"),
        "enabled": st.just(False),
        "dead_letter": st.just(True),
    },
)
requests = st.tuples(
    st.sampled_from([0.0, 0.001, 0.5, 2.0, 4.0]),
    st.sampled_from(NAMES),
    st.sampled_from(["scheduled", "scheduled", "scheduled", "manual", "replay", "other-definition"]),
)
scenarios = st.fixed_dictionaries(
    {
        "jobs": st.tuples(definitions, definitions, definitions),
        "depends": st.booleans(),
        "paused": st.sampled_from([None, *NAMES]),
        "cancelled": st.sampled_from([None, 0.7, 2.6]),
        "places": st.integers(1, 4),
        "steps": st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6),
        "requests": st.lists(requests, min_size=1, max_size=8),
    }
)


@contextmanager
def long_way() -> Iterator[None]:
    """Every run waits for its place, renews its lease, and asks every gate, at the end too."""
    acquire, wait = FifoSemaphore.try_acquire, FifoSemaphore.wait

    async def acquire_or_wait(places: FifoSemaphore, job: str, host: str) -> HeldPlace:
        return acquire(places, job, host) or await wait(places, job, host)

    built = Gates.__init__

    def build(gates: Gates, *arguments: Any, **more: Any) -> None:
        built(gates, *arguments, **more)
        gates._holding_gates = [*reversed(gates._gates)]

    with (
        patch.object(FifoSemaphore, "try_acquire", lambda *_: None),
        patch.object(FifoSemaphore, "wait", acquire_or_wait),
        patch.object(TicketClaim, "covers_run", lambda *_: False),
        patch.object(DefinitionGate, "applies_to", lambda _, ticket, entry: not ticket.trigger.is_rerun),
        patch.object(Gates, "__init__", build),
    ):
        yield


def ticket_of(harness: WorkerHarness, number: int, at: float, job: str, kind: str) -> Ticket:
    ticket = harness.ticket(at, job)
    if kind == "scheduled":
        return ticket
    if kind == "other-definition":
        return Ticket.scheduled(job, ticket.due_at, "of-another-definition")
    with patch("secrets.token_hex", lambda _: f"{number:08}"):
        if kind == "manual":
            return Ticket.requested(job, ticket.due_at, ticket.generation)
        return Ticket.replayed(harness.ticket(-100, job), ticket.due_at, ticket.generation)


async def executed(scenario: Mapping[str, Any]) -> list[object]:
    """All runs as they are stored, no two of one instant, what was published of them, and the dead letters."""
    jobs = [entry(name, **definition) for name, definition in zip(NAMES, scenario["jobs"], strict=True)]
    if scenario["depends"]:
        jobs[1] = entry("b", depends_on=[{"job": "a", "wait": "2.2s"}], **scenario["jobs"][1])
    harness = WorkerHarness(
        *(STEPS[step] for step in scenario["steps"]), jobs=jobs, places=scenario["places"], shares=Shares(0.5, 0.9)
    )
    now = harness.clock.now()
    if scenario["paused"] is not None:
        await harness.pauses.set_pause(Pause(scenario["paused"], now, now + timedelta(seconds=3)))
    tickets = {
        ticket.id: ticket
        for number, (at, job, kind) in enumerate(scenario["requests"])
        for ticket in [ticket_of(harness, number, 2 + at + number * 0.013, job, kind)]
    }
    scheduled = [ticket for ticket in tickets.values() if ticket.trigger == "schedule"]
    harness.worker.submit_batch(scheduled)
    for ticket in tickets.values():
        if ticket not in scheduled:
            await harness.runs.enqueue(ticket)
            harness.worker.submit(ticket)
    if scenario["cancelled"] is not None:
        asyncio.get_running_loop().call_later(
            2 + scenario["cancelled"], lambda: [harness.worker.cancel(each, "by a test") for each in tickets]
        )
    await harness.worker.wait_until_idle()
    stored: list[Run | None] = []
    for run_id in tickets:
        record = await harness.runs.find(run_id)
        stored.append(None if record is None else record.run)
    letters = sorted(row.body for (table, *_), row in harness.store.data.rows.items() if table == "deadletters")
    published = sorted((event.run for event in harness.heard.finished), key=lambda run: run.id)
    return [*stored, published, letters]


@pytest.mark.property
@settings(deadline=None, max_examples=40)
@given(scenarios)
def test_runs_are_the_same_whichever_way_they_take(scenario: Mapping[str, Any]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        short = runner.run(executed(scenario))
    with long_way(), asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        long = runner.run(executed(scenario))

    assert short == long
