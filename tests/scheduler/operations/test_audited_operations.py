"""Every operation is recorded before its effect; without an entry nothing changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from jobs.runs import Ticket
from scheduler.dispatch.port import DispatchError
from scheduler.features.dead_letters.service import LetterFilter
from scheduler.identity.principal import PING_CALLER
from scheduler.operations import Operations
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.port import StoreUnavailable
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.audit.memory_trail import API_CALLER, COMMAND_CALLER
from tests.scheduler.fakes import START, Sent, WorkerHarness, entry

HOUR = timedelta(hours=1)
TOKEN = {"url": "http://127.0.0.1:9/", "auth": {"kind": "bearer", "token": {"secret": "checkout-token"}}}

Operate = Callable[[Operations, WorkerHarness], Awaitable[object]]

OPERATIONS: dict[str, Operate] = {
    "job.run": lambda do, harness: do.runs.run_now("checkout", caller=API_CALLER),
    "job.pause": lambda do, harness: do.pauses.pause("other", reason="deployment", caller=API_CALLER),
    "job.resume": lambda do, harness: do.pauses.resume("checkout", caller=API_CALLER),
    "job.backfill": lambda do, harness: do.backfills.backfill(
        "checkout", START - 2 * timedelta(seconds=10), limit=10, caller=API_CALLER
    ),
    "run.cancel": lambda do, harness: do.cancellations.cancel(harness.ticket().id, caller=API_CALLER, wait=0),
    "circuit.open": lambda do, harness: do.circuits.open("checkout", until=START + HOUR, caller=API_CALLER),
    "circuit.close": lambda do, harness: do.circuits.close("checkout", caller=API_CALLER),
    "circuit.reset": lambda do, harness: do.circuits.reset("checkout", caller=API_CALLER),
    "marker.create": lambda do, harness: do.markers.create("4ebecbce", tags={"team": "payments"}, caller=API_CALLER),
    "secret.refresh": lambda do, harness: do.secrets.refresh("checkout-token", caller=API_CALLER),
    "dead_letter.replay": lambda do, harness: do.dead_letters.replay_all(
        LetterFilter(job="checkout"), per_second=5, limit=10, caller=API_CALLER
    ),
    "dead_letter.discard": lambda do, harness: do.dead_letters.discard(_letter(harness).id, caller=API_CALLER),
}
operations = pytest.mark.parametrize("action", OPERATIONS)


def _letter(harness: WorkerHarness) -> DeadLetter:
    ticket: Ticket = harness.ticket(-HOUR.total_seconds())
    return DeadLetter.from_ticket(ticket, "it broke", ticket.due_at, job=harness.catalog.get_job("checkout").job)


async def _shop() -> WorkerHarness:
    """A paused job with a queued run and a dead letter; and the entries of none of it."""
    harness = WorkerHarness(
        jobs=[entry(check=TOKEN, circuit={"consecutive_failures": 5}, tags={"team": "payments"}), entry("other")]
    ).in_force(START - timedelta(days=9))
    await harness.operations(Sent()).pauses.pause("checkout", caller=API_CALLER)
    await harness.runs.enqueue(harness.ticket())
    await harness.dead_letters.add(_letter(harness))
    harness.audit.changes.clear()
    return harness


@operations
@virtual_time
async def test_every_operation_is_recorded_with_its_caller_and_its_job(action: str) -> None:
    harness = await _shop()

    await OPERATIONS[action](harness.operations(Sent()), harness)

    ((caller, change),) = harness.audit.changes
    assert (caller, change.action) == (API_CALLER, action)
    assert change.jobs == (("other",) if action == "job.pause" else ("checkout",))
    assert change.summary
    assert not harness.audit.failures


@operations
@virtual_time
async def test_an_operation_that_cannot_be_recorded_changes_nothing(action: str) -> None:
    harness, sent = await _shop(), Sent()
    before = dict(harness.store.data.rows)
    harness.audit.is_unavailable = True

    with pytest.raises(StoreUnavailable):
        await OPERATIONS[action](harness.operations(sent), harness)

    assert harness.store.data.rows == before
    assert not sent.sent


@virtual_time
async def test_an_operation_that_fails_after_its_entry_is_recorded_as_failed() -> None:
    harness = await _shop()
    sent = Sent()
    sent.fails = DispatchError("the queue does not answer")

    with pytest.raises(DispatchError):
        await harness.operations(sent).runs.run_now("checkout", caller=COMMAND_CALLER)

    ((change, error),) = harness.audit.failures
    assert (change, str(error)) == (harness.audit.changes[0][1], "the queue does not answer")


@virtual_time
async def test_an_entry_has_the_state_before_and_after() -> None:
    harness = await _shop()

    await harness.operations(Sent()).pauses.pause("checkout", until=START + HOUR, reason="move", caller=API_CALLER)

    ((_, change),) = harness.audit.changes
    assert change.before == {"since": "2026-03-01T12:00:00Z", "until": None, "reason": ""}
    assert change.after == {"since": "2026-03-01T12:00:00Z", "until": "2026-03-01T13:00:00Z", "reason": "move"}


@virtual_time
async def test_what_changes_nothing_is_not_recorded() -> None:
    harness = await _shop()
    do = harness.operations(Sent())

    assert not await do.pauses.resume("other", caller=API_CALLER)
    await do.backfills.backfill("checkout", START - HOUR, limit=1000, dry_run=True, caller=API_CALLER)
    await do.dead_letters.replay_all(
        LetterFilter(job="checkout"), per_second=5, limit=10, dry_run=True, caller=API_CALLER
    )

    assert not harness.audit.changes


@virtual_time
async def test_runs_that_pings_start_do_not_fill_the_trail() -> None:
    harness = await _shop()

    await harness.operations(Sent()).runs.run_now("checkout", caller=PING_CALLER)

    assert not harness.audit.changes
