"""The entries of changes, failures and refusals: complete, bounded, without secrets."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import replace
from typing import Any

import pytest

from jobs.redaction import Redactor
from scheduler.audit.stored_trail import StoredAuditTrail
from scheduler.audit.trail import MAX_STATE_CHARACTERS, AuditedChange, Refusal
from scheduler.features.audit.verification import ChainVerifier
from scheduler.stores import audit
from scheduler.stores.audit import AuditEntry, AuditLog, digest_of, seal_entry
from scheduler.stores.port import StoreUnavailable
from scheduler.stores.runs.size_limits import MAX_ROW_BYTES
from tests.scheduler.audit.memory_trail import API_CALLER, COMMAND_CALLER
from tests.scheduler.fakes import VirtualClock
from tests.scheduler.stores.memory import MemoryStore

PAUSE = AuditedChange("job.pause", "checkout", "job checkout was paused", ("checkout",), None, {"reason": "move"})


class Desk:
    def __init__(self) -> None:
        self.store, self.clock, self.redactor = MemoryStore(), VirtualClock(), Redactor()
        self.log = AuditLog(self.store)
        self.trail = StoredAuditTrail(self.log, self.clock, self.redactor)

    async def entries(self) -> list[dict[str, Any]]:
        return [json.loads(row.body) async for row in self.log.stream_rows()]


async def test_a_change_is_stored_with_who_how_and_from_where() -> None:
    desk = Desk()

    assert await desk.trail.record(API_CALLER, PAUSE) == 1

    (entry,) = await desk.entries()
    assert {key: value for key, value in entry.items() if key not in ("hash", "prev")} == {
        "seq": 1,
        "at": desk.clock.now().isoformat(),
        "kind": "change",
        "action": "job.pause",
        "object": "checkout",
        "summary": "job checkout was paused",
        "jobs": ["checkout"],
        "principal": "local:loopback",
        "role": "admin",
        "source": "api",
        "address": "127.0.0.1",
        "request_id": "request-1",
        "before": None,
        "after": {"reason": "move"},
    }


async def test_the_entry_of_many_jobs_is_made_outside_of_the_thread_of_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk, threads = Desk(), list[int]()

    def seal(*arguments: Any) -> AuditEntry:
        threads.append(threading.get_ident())
        return seal_entry(*arguments)

    monkeypatch.setattr(audit, "seal_entry", seal)
    jobs = tuple(f"job-{number}" for number in range(3000))
    for change in (replace(PAUSE, jobs=jobs), PAUSE):
        await desk.trail.record(API_CALLER, change)

    assert [thread == threading.get_ident() for thread in threads] == [False, True]
    assert [entry["jobs"] for entry in await desk.entries()] == [[*jobs], ["checkout"]]


async def test_a_failure_names_the_entry_of_its_change() -> None:
    desk = Desk()
    number = await desk.trail.record(COMMAND_CALLER, PAUSE)

    await desk.trail.record_failure(COMMAND_CALLER, PAUSE, StoreUnavailable("the disk is full"), number)

    _, entry = await desk.entries()
    assert (entry["kind"], entry["outcome"], entry["of"]) == ("failure", "failed", 1)
    assert entry["error"] == "StoreUnavailable: the disk is full"
    assert entry["source"] == "command_line"


async def test_secrets_never_reach_an_entry() -> None:
    desk = Desk()
    desk.redactor.hold("s3cr3t-value-123")
    texts = {"header": "Bearer s3cr3t-value-123", "s3cr3t-value-123": ["s3cr3t-value-123"]}
    change = AuditedChange("job.put", "s3cr3t-value-123", "of s3cr3t-value-123", (), texts, {"deep": texts})

    number = await desk.trail.record(API_CALLER, change)
    await desk.trail.record_failure(API_CALLER, change, ValueError("s3cr3t-value-123"), number)
    await desk.trail.record_refusal(Refusal("api_key", "GET /", "s3cr3t-value-123", "s3cr3t-value-123"))

    rows = [row.body async for row in desk.log.stream_rows()]
    assert len(rows) == 3
    assert not any("s3cr3t" in row for row in rows)


async def test_a_large_state_is_cut_and_its_hash_is_stored() -> None:
    desk, large = Desk(), {"steps": ["é" * 100] * 5000}

    await desk.trail.record(API_CALLER, AuditedChange("job.put", "a", "a", after=large, before={"small": 1}))

    (entry,) = await desk.entries()
    assert entry["before"] == {"small": 1}
    assert (entry["after"]["cut"], entry["after"]["sha256"]) == (True, digest_of(large))
    assert entry["after"]["characters"] > MAX_STATE_CHARACTERS


async def test_an_entry_of_very_many_jobs_fits_a_row() -> None:
    desk, names = Desk(), tuple(f"{number:0>50}" for number in range(20_000))
    change = AuditedChange("jobs.apply", "x" * 9999, "y" * 9999, names, {"a": "z" * 63_000}, {"a": "z" * 63_000})

    await desk.trail.record(API_CALLER, change)

    (row,) = [row async for row in desk.log.stream_rows()]
    assert len(row.body) < MAX_ROW_BYTES
    entry = json.loads(row.body)
    assert len(entry["jobs"]) + entry["jobs_omitted"] == 20_000


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", b"raw", {1: {2, 3}}, object(), [[[[]]]]])
async def test_any_value_can_be_recorded(value: object) -> None:
    desk = Desk()

    await desk.trail.record(API_CALLER, AuditedChange("job.put", "a", "a", after={"value": value}))

    verifier = ChainVerifier()
    async for row in desk.log.stream_rows():
        verifier.add(row.body, int(row.key))
    assert not verifier.finish().findings


async def test_a_change_that_cannot_be_stored_is_refused() -> None:
    desk = Desk()
    desk.store.breaks_after = 0

    with pytest.raises(StoreUnavailable):
        await desk.trail.record(API_CALLER, PAUSE)


# --- refusals ---

REFUSED = Refusal("api_key", "POST /api/jobs/{name}/run", "the key has expired", "api_key:ci", "203.0.113.9", "r-1")


async def test_refusals_of_a_minute_are_one_entry_and_a_count() -> None:
    desk = Desk()
    for _ in range(500):
        await desk.trail.record_refusal(REFUSED)
    (first,) = await desk.entries()
    assert (first["action"], first["object"]) == ("access.refuse", "POST /api/jobs/{name}/run")
    assert (first["principal"], first["address"], first["request_id"]) == ("api_key:ci", "203.0.113.9", "r-1")
    assert first["summary"] == "a request was refused: the key has expired"

    desk.clock.move(61)
    await desk.trail.flush_refusals()

    _, second = await desk.entries()
    assert second["summary"] == "499 requests were refused: the key has expired"
    assert second["after"]["count"] == 499


async def test_an_attacker_with_many_addresses_cannot_fill_the_trail() -> None:
    desk = Desk()
    for hour in range(24):
        for number in range(400):
            address = f"2001:db8::{hour:x}:{number:x}"
            await desk.trail.record_refusal(Refusal("api_key", "GET /", "unknown key", "", address))
            desk.clock.move(9)
    await desk.trail.flush_refusals(all_windows=True)

    entries = await desk.entries()
    assert len(entries) <= 60 + 24 * (60 + 6) + 1
    assert sum(entry["after"]["count"] for entry in entries) == 24 * 400


async def test_a_refusal_that_cannot_be_stored_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.store.breaks_after = 0

    with caplog.at_level(logging.WARNING, "scheduler.audit"):
        await desk.trail.record_refusal(REFUSED)

    assert caplog.messages == [
        "could not record in the audit trail that a request was refused: the key has expired: the store is away"
    ]
