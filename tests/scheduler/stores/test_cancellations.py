"""Notes that a run is to be cancelled, on every store."""

from __future__ import annotations

from datetime import timedelta

from scheduler.stores.gates import CANCELLATION_LIFETIME, Cancellations
from scheduler.stores.port import Store
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.samples import NOON, ticket

RUN = ticket().id


async def test_what_one_process_requests_another_one_sees(open_store: OpenStore) -> None:
    await Cancellations(await open_store()).request(RUN, "over the API", NOON)

    assert await Cancellations(await open_store()).list_requested(NOON) == {RUN: "over the API"}


async def test_a_note_that_is_removed_is_gone(store: Store) -> None:
    cancellations = Cancellations(store)
    await cancellations.request(RUN, "over the API", NOON)
    await cancellations.remove(RUN)
    await cancellations.remove(RUN)

    assert await cancellations.list_requested(NOON) == {}


async def test_a_note_that_no_one_took_is_removed_after_a_while(store: Store) -> None:
    cancellations = Cancellations(store)
    await cancellations.request(RUN, "over the API", NOON)
    later = NOON + CANCELLATION_LIFETIME

    assert RUN in await cancellations.list_requested(later)
    assert await cancellations.list_requested(later + timedelta(seconds=1)) == {}
    assert await cancellations.list_requested(NOON) == {}
