"""A process that takes the lead over plans, whatever hinders the recovery of the former leader's runs."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from scheduler.hosts.embedded import leading
from scheduler.hosts.embedded.leadership import Leadership
from scheduler.stores.leases import LeaderRow
from scheduler.stores.port import StoreUnavailable
from tests.jobs.running.virtual_time import LoopClock, virtual_time
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


@virtual_time
@pytest.mark.parametrize("other_led", [False, True])
async def test_a_leader_that_was_late_goes_on_with_its_plan_unless_another_process_led(
    monkeypatch: pytest.MonkeyPatch, other_led: bool
) -> None:
    created: list[Any] = []

    async def create_ticker(program: object, is_leading: object) -> Any:
        created.append(object())
        return created[-1]

    data, clock = MemoryData(), LoopClock()
    store = MemoryStore(data)
    program: Any = SimpleNamespace(has_replicas=True, store=store, owner="b", clock=clock)
    monkeypatch.setattr(leading, "_create_recovery", lambda program, leadership: Recovery(RuntimeError("none")))
    monkeypatch.setattr(leading, "create_ticker", create_ticker)
    work = leading.LeadingWork(program)
    monkeypatch.setattr(work, "_work", lambda ticker: (asyncio.sleep(3600),))
    tasks = [asyncio.create_task(work.leadership.run()), asyncio.create_task(work.run())]
    await asyncio.sleep(10)
    assert work.ticker is created[0]

    store.breaks_after = 0
    await asyncio.sleep(20)
    assert work.ticker is None
    if other_led:
        other = Leadership(LeaderRow(MemoryStore(data)), "a", clock)
        await other.tick()
        await asyncio.sleep(6)
        await other.tick()
        await other.resign()
    store.breaks_after = None
    await asyncio.sleep(10)
    for task in tasks:
        task.cancel()

    assert (work.ticker is created[-1], len(created)) == (True, 2 if other_led else 1)
