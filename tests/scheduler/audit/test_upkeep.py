"""The head of the trail is published each hour and at the end; old entries are deleted."""

from __future__ import annotations

import json
import logging
from datetime import timedelta

import pytest

from jobs.redaction import Redactor
from scheduler.audit.stored_trail import AuditUpkeep, StoredAuditTrail
from scheduler.audit.trail import Refusal
from scheduler.stores.audit import AuditLog
from scheduler.stores.schedules import Cursors
from tests.scheduler.audit.memory_trail import API_CALLER
from tests.scheduler.audit.test_stored_trail import PAUSE
from tests.scheduler.fakes import VirtualClock
from tests.scheduler.stores.memory import MemoryData, MemoryStore


class Desk:
    def __init__(self, data: MemoryData | None = None, clock: VirtualClock | None = None) -> None:
        self.store, self.clock = MemoryStore(data), clock or VirtualClock()
        self.log = AuditLog(self.store)
        self.trail = StoredAuditTrail(self.log, self.clock, Redactor())
        self.published: list[tuple[int, str, int]] = []
        cursors, age = Cursors(self.store), 400 * 86400.0
        self.upkeep = AuditUpkeep(
            self.trail, self.log, cursors, self.clock, lambda *head: self.published.append(head), age
        )


async def test_the_head_is_published_once_an_hour_by_one_of_several_processes() -> None:
    data, clock = MemoryData(), VirtualClock()
    one, other = Desk(data, clock), Desk(data, clock)
    await one.trail.record(API_CALLER, PAUSE)
    for _ in range(121):
        await one.upkeep.tick()
        await other.upkeep.tick()
        clock.move(60)

    head = await one.log.read_head()
    assert [*one.published, *other.published] == [(1, head.hash, 1)] * 3


async def test_an_empty_trail_is_published_too() -> None:
    desk = Desk()

    await desk.upkeep.tick()

    assert desk.published == [(0, "0" * 64, 0)]


async def test_old_entries_are_deleted_by_an_entry_of_the_program() -> None:
    desk = Desk()
    await desk.trail.record(API_CALLER, PAUSE)
    desk.clock.move(timedelta(days=402).total_seconds())
    await desk.trail.record(API_CALLER, PAUSE)

    await desk.upkeep.tick()

    rows = [json.loads(row.body) async for row in desk.log.stream_rows()]
    assert [(row["seq"], row["action"]) for row in rows] == [(2, "job.pause"), (3, "trail.prune")]
    assert (rows[1]["principal"], rows[1]["kind"]) == ("program:scheduler", "retention")


async def test_the_end_stores_counted_refusals_and_publishes_the_head() -> None:
    desk = Desk()
    for _ in range(3):
        await desk.trail.record_refusal(Refusal("api_key", "GET /", "unknown key"))

    await desk.upkeep.finish()

    assert [sequence for sequence, _, _ in desk.published] == [2]


async def test_a_store_that_is_unavailable_delays_the_head(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.store.breaks_after = 0
    with caplog.at_level(logging.WARNING):
        await desk.upkeep.tick()
    assert caplog.messages == ["could not publish the head of the audit trail: the store is away; retrying in a minute"]
    desk.store.breaks_after = None

    await desk.upkeep.tick()

    assert len(desk.published) == 1
