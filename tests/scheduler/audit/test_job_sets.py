"""Each set of job files is recorded once, by whichever process loads it first."""

from __future__ import annotations

import pytest

from scheduler.audit.stored_trail import JobSetRecorder
from scheduler.audit.trail import AuditedChange
from scheduler.identity.principal import JOB_FILES_CALLER
from scheduler.stores.audit import RecordedJobSet
from scheduler.stores.port import Store, StoreUnavailable
from tests.scheduler.audit.memory_trail import MemoryAuditTrail
from tests.scheduler.stores.memory import MemoryData, MemoryStore


def change(digest: str, action: str = "jobs.reload") -> AuditedChange:
    return AuditedChange(action, digest, f"job set {digest}", after={"digest": digest})


async def record(store: Store, trail: MemoryAuditTrail, *digests: str) -> None:
    """As another process each time."""
    for digest in digests:
        await JobSetRecorder(trail, RecordedJobSet(store)).record(JOB_FILES_CALLER, change(digest))


async def test_a_set_is_recorded_once_for_all_processes() -> None:
    store, trail = MemoryStore(), MemoryAuditTrail()

    await record(store, trail, "one", "one", "two", "two", "one")

    assert [(each.before, each.object_id) for _, each in trail.changes] == [
        ({"digest": None}, "one"),
        ({"digest": "one"}, "two"),
        ({"digest": "two"}, "one"),
    ]


async def test_a_set_that_could_not_be_recorded_is_recorded_later() -> None:
    store, trail = MemoryStore(), MemoryAuditTrail()
    trail.is_unavailable = True
    with pytest.raises(StoreUnavailable):
        await record(store, trail, "one")
    trail.is_unavailable = False

    await record(store, trail, "one")

    assert trail.actions == [("jobs.reload", "one")]


async def test_a_process_that_dies_before_the_mark_leaves_the_entry() -> None:
    data, trail = MemoryData(), MemoryAuditTrail()
    with pytest.raises(StoreUnavailable):
        await record(MemoryStore(data, breaks_after=0), trail, "one")

    await record(MemoryStore(data), trail, "one")

    assert ("jobs.reload", "one") in trail.actions
