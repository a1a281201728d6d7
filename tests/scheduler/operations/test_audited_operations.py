"""Every operation is recorded before its effect; without an entry nothing changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from jobs.runs import Ticket
from scheduler.dispatch.port import DispatchError
from scheduler.identity.caller import PING_CALLER
from scheduler.operations import Operations
from scheduler.operations.dead_letters import LetterFilter
from scheduler.stores.dead_letters.letter import DeadLetter
from scheduler.stores.port import StoreUnavailable
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.audit.memory_trail import API_CALLER, COMMAND_CALLER
from tests.scheduler.fakes import START, Sent, Shop, entry

HOUR = timedelta(hours=1)
TOKEN = {"url": "http://127.0.0.1:9/", "auth": {"kind": "bearer", "token": {"secret": "checkout-token"}}}

Operate = Callable[[Operations, Shop], Awaitable[object]]

OPERATIONS: dict[str, Operate] = {
    "job.run": lambda do, shop: do.runs.run_now("checkout", caller=API_CALLER),
    "job.pause": lambda do, shop: do.pauses.pause("other", reason="deployment", caller=API_CALLER),
    "job.resume": lambda do, shop: do.pauses.resume("checkout", caller=API_CALLER),
    "job.backfill": lambda do, shop: do.backfills.backfill(
        "checkout", START - 2 * timedelta(seconds=10), limit=10, caller=API_CALLER
    ),
    "run.cancel": lambda do, shop: do.cancellations.cancel(shop.ticket().id, caller=API_CALLER, wait=0),
    "circuit.open": lambda do, shop: do.circuits.open("checkout", until=START + HOUR, caller=API_CALLER),
    "circuit.close": lambda do, shop: do.circuits.close("checkout", caller=API_CALLER),
    "circuit.reset": lambda do, shop: do.circuits.reset("checkout", caller=API_CALLER),
    "secret.refresh": lambda do, shop: do.secrets.refresh("checkout-token", caller=API_CALLER),
    "dead_letter.replay": lambda do, shop: do.dead_letters.replay_all(
        LetterFilter(job="checkout"), per_second=5, limit=10, caller=API_CALLER
    ),
    "dead_letter.discard": lambda do, shop: do.dead_letters.discard(_letter(shop).id, caller=API_CALLER),
}
operations = pytest.mark.parametrize("action", OPERATIONS)


def _letter(shop: Shop) -> DeadLetter:
    ticket: Ticket = shop.ticket(-HOUR.total_seconds())
    return DeadLetter.from_ticket(ticket, "it broke", ticket.due_at, job=shop.catalog.get_job("checkout").job)


async def _shop() -> Shop:
    """A paused job with a queued run and a dead letter; and the entries of none of it."""
    shop = Shop(jobs=[entry(check=TOKEN, circuit={"consecutive_failures": 5}), entry("other")]).in_force(
        START - timedelta(days=9)
    )
    await shop.operations(Sent()).pauses.pause("checkout", caller=API_CALLER)
    await shop.runs.enqueue(shop.ticket())
    await shop.dead_letters.add(_letter(shop))
    shop.audit.changes.clear()
    return shop


@operations
@virtual_time
async def test_every_operation_is_recorded_with_its_caller_and_its_job(action: str) -> None:
    shop = await _shop()

    await OPERATIONS[action](shop.operations(Sent()), shop)

    ((caller, change),) = shop.audit.changes
    assert (caller, change.action) == (API_CALLER, action)
    assert change.jobs == (("other",) if action == "job.pause" else ("checkout",))
    assert change.summary
    assert not shop.audit.failures


@operations
@virtual_time
async def test_an_operation_that_cannot_be_recorded_changes_nothing(action: str) -> None:
    shop, sent = await _shop(), Sent()
    before = dict(shop.store.data.rows)
    shop.audit.is_unavailable = True

    with pytest.raises(StoreUnavailable):
        await OPERATIONS[action](shop.operations(sent), shop)

    assert shop.store.data.rows == before
    assert not sent.sent


@virtual_time
async def test_an_operation_that_fails_after_its_entry_is_recorded_as_failed() -> None:
    shop = await _shop()
    sent = Sent()
    sent.fails = DispatchError("the queue does not answer")

    with pytest.raises(DispatchError):
        await shop.operations(sent).runs.run_now("checkout", caller=COMMAND_CALLER)

    ((change, error),) = shop.audit.failures
    assert (change, str(error)) == (shop.audit.changes[0][1], "the queue does not answer")


@virtual_time
async def test_an_entry_has_the_state_before_and_after() -> None:
    shop = await _shop()

    await shop.operations(Sent()).pauses.pause("checkout", until=START + HOUR, reason="move", caller=API_CALLER)

    ((_, change),) = shop.audit.changes
    assert change.before == {"since": "2026-03-01T12:00:00Z", "until": None, "reason": ""}
    assert change.after == {"since": "2026-03-01T12:00:00Z", "until": "2026-03-01T13:00:00Z", "reason": "move"}


@virtual_time
async def test_what_changes_nothing_is_not_recorded() -> None:
    shop = await _shop()
    do = shop.operations(Sent())

    assert not await do.pauses.resume("other", caller=API_CALLER)
    await do.backfills.backfill("checkout", START - HOUR, limit=1000, dry_run=True, caller=API_CALLER)
    await do.dead_letters.replay_all(
        LetterFilter(job="checkout"), per_second=5, limit=10, dry_run=True, caller=API_CALLER
    )

    assert not shop.audit.changes


@virtual_time
async def test_runs_that_pings_start_do_not_fill_the_trail() -> None:
    shop = await _shop()

    await shop.operations(Sent()).runs.run_now("checkout", caller=PING_CALLER)

    assert not shop.audit.changes
