"""A process that takes the lead over plans, whatever hinders the recovery of the former leader's runs."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler.hosts.embedded import leading
from scheduler.stores.port import StoreUnavailable
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import VirtualClock
from tests.scheduler.stores.memory import MemoryData, MemoryStore

TICKER: Any = object()


class Recovery:
    """`failure`: what the recovery at a takeover raises; None: it never ends."""

    def __init__(self, failure: Exception | None) -> None:
        self._failure = failure

    async def sweep_at_takeover(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        await asyncio.sleep(3600)


async def take_over(monkeypatch: pytest.MonkeyPatch, failure: Exception | None) -> leading.LeadingWork:
    async def create_ticker(program: object, is_leading: object) -> Any:
        return TICKER

    program: Any = SimpleNamespace(has_replicas=True, store=MemoryStore(MemoryData()), owner="b", clock=VirtualClock())
    monkeypatch.setattr(leading, "_create_recovery", lambda program, leadership: Recovery(failure))
    monkeypatch.setattr(leading, "create_ticker", create_ticker)
    work = leading.LeadingWork(program)
    monkeypatch.setattr(work, "_work", lambda ticker: ())
    await work.leadership.tick()
    running = asyncio.create_task(work.run())
    await asyncio.sleep(3)
    await work.leadership.tick()
    await asyncio.sleep(3)
    running.cancel()
    return work


@virtual_time
@pytest.mark.parametrize("failure", [StoreUnavailable("no answer"), RuntimeError("a bug"), None])
async def test_a_process_that_takes_over_plans_although_the_recovery_fails(
    monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    work = await take_over(monkeypatch, failure)
    assert work.ticker is TICKER
