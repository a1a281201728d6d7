"""Records of requests with an idempotency key, on every store."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from scheduler.stores.idempotency import REQUEST_LEASE, RESPONSE_RETENTION, IdempotencyRecords, StoredResponse
from scheduler.stores.port import Store
from tests.scheduler.fakes import START

RESPONSE = StoredResponse(201, (("etag", '"1"'), ("content-type", "application/json")), '{"name":"grüße"}'.encode())


async def test_a_response_is_found_by_any_process_until_it_expires(store: Store) -> None:
    first, other = IdempotencyRecords(store), IdempotencyRecords(store)
    record, earlier = await first.begin("a", "print", START)
    assert earlier is None
    _, unfinished = await other.begin("a", "print", START)
    assert unfinished is not None
    assert (unfinished.response, unfinished.lease_until) == (None, START + REQUEST_LEASE)
    await first.complete(record, RESPONSE)

    for later in (timedelta(0), timedelta(hours=13), RESPONSE_RETENTION - timedelta(seconds=1)):
        _, found = await other.begin("a", "another", START + later)
        assert found is not None
        assert (found.response, found.fingerprint) == (RESPONSE, "print")
    assert (await other.begin("a", "print", START + RESPONSE_RETENTION))[1] is None


async def test_of_concurrent_requests_one_begins(store: Store) -> None:
    records = [IdempotencyRecords(store) for _ in range(5)]
    found = await asyncio.gather(*(each.begin("a", "print", START) for each in records))

    assert sum(earlier is None for _, earlier in found) == 1


async def test_a_renewal_extends_the_lease_and_never_replaces_the_response(store: Store) -> None:
    records = IdempotencyRecords(store)
    record, _ = await records.begin("a", "print", START)
    renewed = await records.renew(record, START + REQUEST_LEASE / 2)
    assert renewed.lease_until == START + REQUEST_LEASE * 1.5
    await records.complete(record, RESPONSE)
    assert await records.renew(renewed, START + REQUEST_LEASE) == renewed

    _, found = await records.begin("a", "print", START)
    assert found is not None
    assert found.response == RESPONSE


async def test_a_released_key_is_free(store: Store) -> None:
    records = IdempotencyRecords(store)
    record, _ = await records.begin("a", "print", START)
    await records.release(record)

    assert (await records.begin("a", "print", START))[1] is None


async def test_whole_days_are_deleted(store: Store) -> None:
    records = IdempotencyRecords(store)
    for number in range(120):
        await records.begin(f"old-{number}", "print", START)
    await records.begin("new", "print", START + timedelta(days=2))

    assert await IdempotencyRecords(store).prune(START + timedelta(days=2)) == 120
    assert await records.prune(START + timedelta(days=2)) == 0
    assert (await records.begin("new", "print", START + timedelta(days=2)))[1] is not None
