"""The rows of the audit trail: without gaps, whoever appends, whatever breaks."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.features.audit.verification import ChainVerifier, Damage, Verification
from scheduler.stores.audit import AUDIT_TABLE, MAX_PRUNED, RETENTION_ACTION, AuditLog, ChainHead
from scheduler.stores.port import Delete, Store, StoreUnavailable, Upsert
from tests.scheduler.stores.conftest import OpenStore
from tests.scheduler.stores.memory import MemoryData, MemoryStore

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = 86400.0


def content(number: int, at: datetime = AT) -> dict[str, object]:
    return {"at": at.isoformat(), "action": "job.pause", "object": f"job-{number}"}


async def verify(log: AuditLog, anchors: dict[int, str] | None = None) -> Verification:
    head = await log.read_head()
    verifier = ChainVerifier(anchors, head.sequence)
    async for row in log.stream_rows():
        verifier.add(row.body, int(row.key))
    return verifier.finish()


async def test_an_entry_is_appended_behind_the_head(store: Store) -> None:
    log = AuditLog(store)
    assert await log.read_head() == ChainHead()
    assert await log.read_first_sequence() == 0

    first, second = await log.append(content(1)), await log.append(content(2))

    assert (first.sequence, second.sequence, second.previous_hash) == (1, 2, first.hash)
    assert await AuditLog(store).read_head() == ChainHead(2, second.hash)
    assert [json.loads(row.body)["object"] for row in await log.read_rows(1, 9)] == ["job-1", "job-2"]


async def test_fifty_concurrent_writers_of_several_processes_leave_one_chain(open_store: OpenStore) -> None:
    logs = [AuditLog(await open_store()) for _ in range(5)]

    entries = await asyncio.gather(*(logs[number % 5].append(content(number)) for number in range(50)))
    again = await asyncio.gather(*(logs[number % 5].append(content(number)) for number in range(50)))

    assert sorted(entry.sequence for entry in (*entries, *again)) == list(range(1, 101))
    verified = await verify(logs[0])
    assert not verified.findings
    assert verified.count == 100


async def test_concurrent_appends_share_a_transaction() -> None:
    store = MemoryStore()
    log = AuditLog(store)
    await log.append(content(0))
    steps = len(store.changes)

    await asyncio.gather(*(log.append(content(number)) for number in range(98)))

    assert len(store.changes) - steps == 99  # one head row for all of them
    assert store.largest_apply == 99


async def test_large_entries_do_not_share_a_transaction() -> None:
    store = MemoryStore()
    log = AuditLog(store)

    await asyncio.gather(*(log.append({**content(number), "after": "x" * 400_000}) for number in range(5)))

    assert store.largest_apply == 3


@pytest.mark.parametrize("seed", range(20))
async def test_a_process_that_dies_at_any_step_leaves_a_valid_chain(seed: int) -> None:
    data, pick = MemoryData(), random.Random(seed)
    stored = 0
    for number in range(30):
        log = AuditLog(MemoryStore(data, breaks_after=pick.randrange(3)))
        with suppress(StoreUnavailable):
            stored = max(stored, (await log.append(content(number))).sequence)

    verified = await verify(AuditLog(MemoryStore(data)))
    assert not verified.findings
    assert verified.head.sequence >= stored


async def test_an_append_continues_after_a_store_that_was_unavailable() -> None:
    store = MemoryStore(breaks_after=0)
    log = AuditLog(store)
    with pytest.raises(StoreUnavailable):
        await log.append(content(1))

    store.breaks_after = None

    assert (await log.append(content(1))).sequence == 1


# --- a head row that is damaged, or older than its entries ---


@pytest.mark.parametrize("body", ["{", '{"seq":"2"}', '{"seq":1,"hash":"00"}'])
async def test_a_wrong_head_row_does_not_prevent_appends(body: str) -> None:
    store = MemoryStore()
    log = AuditLog(store)
    for number in range(3):
        await log.append(content(number))
    await store.apply(Upsert(AUDIT_TABLE, "chain", "head", body))

    entry = await AuditLog(store).append(content(4))

    assert entry.sequence == 4
    assert not (await verify(log)).findings


async def test_a_missing_head_row_does_not_start_another_chain() -> None:
    store = MemoryStore()
    log = AuditLog(store)
    for number in range(3):
        await log.append(content(number))
    await store.apply(Delete(AUDIT_TABLE, "chain", "head"), Delete(AUDIT_TABLE, "chain", f"{1:012d}"))

    assert (await AuditLog(store).append(content(4))).sequence == 4


async def test_entries_that_were_cut_off_leave_a_gap() -> None:
    store = MemoryStore()
    log = AuditLog(store)
    for number in range(4):
        await log.append(content(number))
    await store.apply(*(Delete(AUDIT_TABLE, "chain", f"{number:012d}") for number in (3, 4)))
    assert [finding.damage for finding in (await verify(log)).findings] == [Damage.CUT]

    await AuditLog(store).append(content(5))

    assert [(each.damage, each.sequence) for each in (await verify(log)).findings] == [(Damage.MISSING, 3)]


async def test_appends_continue_after_a_damaged_last_entry() -> None:
    store = MemoryStore()
    await AuditLog(store).append(content(1))
    await store.apply(Upsert(AUDIT_TABLE, "chain", f"{1:012d}", "damaged"), Delete(AUDIT_TABLE, "chain", "head"))

    await AuditLog(store).append(content(2))

    assert [each.damage for each in (await verify(AuditLog(store))).findings] == [Damage.CHANGED]


# --- retention ---


async def _old_and_new(store: Store, old: int, new: int) -> AuditLog:
    log = AuditLog(store)
    for number in range(old):
        await log.append(content(number, AT - timedelta(days=402)))
    for number in range(new):
        await log.append(content(number))
    return log


async def test_old_entries_are_deleted_and_the_rest_remains_verifiable(store: Store) -> None:
    log = await _old_and_new(store, 5, 2)

    assert await log.prune({"at": AT.isoformat()}, AT, 400 * DAY) == 5

    rows = await log.read_rows(1, 100)
    assert [int(row.key) for row in rows] == [6, 7, 8]
    last = json.loads(rows[-1].body)
    assert (last["action"], last["after"]["through"]) == (RETENTION_ACTION, 5)
    verified = await verify(log)
    assert not verified.findings
    assert (verified.first, verified.count) == (6, 3)


async def test_nothing_is_deleted_twice_a_day() -> None:
    store = MemoryStore()
    log = AuditLog(store)
    await log.append(content(1, AT - timedelta(days=400, hours=23)))

    assert await log.prune({"at": AT.isoformat()}, AT, 400 * DAY) == 0
    assert (await log.read_head()).sequence == 1


async def test_a_retention_that_dies_half_way_is_continued() -> None:
    data = MemoryData()
    log = await _old_and_new(MemoryStore(data), 250, 1)
    with pytest.raises(StoreUnavailable):
        await AuditLog(MemoryStore(data, breaks_after=2)).prune({"at": AT.isoformat()}, AT, 400 * DAY)
    assert not (await verify(log)).findings

    assert await AuditLog(MemoryStore(data)).prune({"at": AT.isoformat()}, AT, 400 * DAY) == 150

    verified = await verify(log)
    assert not verified.findings
    assert verified.first == 251


async def test_a_call_deletes_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.stores.audit.MAX_PRUNED", 3)
    assert MAX_PRUNED == 5000
    log = await _old_and_new(MemoryStore(), 5, 1)

    assert await log.prune({"at": AT.isoformat()}, AT, 400 * DAY) == 3
    assert not (await verify(log)).findings
