"""Passes of two processes that overtake each other between any two requests, and processes that crash between any two
writes. The same histories find the faults that are planted: the property is not tame.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from scheduler.alerting.engine_runner import EngineRunner
from scheduler.stores.alerting.engine import EngineRows
from scheduler.stores.alerting.rows import HEAD_KEY, OUTBOX_PREFIX
from scheduler.stores.port import Change, Delete, Etags, Insert, Replace, Row, StoreError, Upsert
from tests.jobs.incidents.test_passing import SILENCE
from tests.jobs.incidents.world import HOUR, World
from tests.scheduler.alerting.engine_world import EngineWorld, InterleavedStore, WorldFacts
from tests.scheduler.alerting.test_engine_properties import POLICY

JOBS = ["router", "a", "b", "c"]
CAUSES = {"a": ["host x"], "c": ["host x"], "b": ["host y", "host x"], "router": ["host x"]}

VERDICTS = st.lists(st.tuples(st.sampled_from(JOBS), st.booleans(), st.integers(0, 12)), max_size=3)
SPEED = st.lists(st.integers(0, 6), min_size=1, max_size=4)
"""Requests of others before each request of a process, in turn."""
EVENTS = st.lists(
    st.tuples(VERDICTS, st.sampled_from([*JOBS, ""]), SPEED, SPEED, st.sampled_from([0, 5, 11, 95]), st.integers(0, 6)),
    min_size=3,
    max_size=14,
)
Transactions = Iterator[Sequence[Change]]
Fault = Callable[[Sequence[Change]], Transactions]


def no_fault(changes: Sequence[Change]) -> Transactions:
    yield changes


def no_fence(changes: Sequence[Change]) -> Transactions:
    """Replace the head whoever has written it meanwhile."""
    is_head = [isinstance(each, Insert | Replace) and each.key == HEAD_KEY for each in changes]
    yield [
        Upsert(each.table, each.partition, each.key, each.body) if head and not isinstance(each, Delete) else each
        for each, head in zip(changes, is_head, strict=True)
    ]


def outbox_later(changes: Sequence[Change]) -> Transactions:
    """Store the notifications after the transition that they are about."""
    later = [each for each in changes if each.key.startswith(OUTBOX_PREFIX)]
    yield [each for each in changes if each not in later]
    if later:
        yield later


def outbox_first(changes: Sequence[Change]) -> Transactions:
    """Store the notifications before the transition that they are about."""
    first = [each for each in changes if each.key.startswith(OUTBOX_PREFIX)]
    if first:
        yield first
    yield [each for each in changes if each not in first]


class RacingStore(InterleavedStore):
    """`speed`: see SPEED. `fault`: into which transactions it divides one."""

    def __init__(self, *args: Any, fault: Fault, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fault = fault
        self.speed: Sequence[int] = [0]
        self._requests = 0

    async def apply(self, *changes: Change) -> Etags:
        etags: list[str] = []
        for some in self.fault(changes):
            await self._wait()
            etags += await super().apply(*some)
        return tuple(etags)

    async def get_row(self, table: str, partition: str, key: str) -> Row | None:
        await self._wait()
        return await super().get_row(table, partition, key)

    async def list_rows(self, *args: Any, **more: Any) -> Sequence[Row]:
        await self._wait()
        return await super().list_rows(*args, **more)

    async def _wait(self) -> None:
        self._requests += 1
        for _ in range(self.speed[self._requests % len(self.speed)]):
            await asyncio.sleep(0)


class RacingWorld(EngineWorld):
    def __init__(self, world: World, fault: Fault) -> None:
        self.fault = fault
        self.stores: list[RacingStore] = []
        super().__init__(world)

    def start(self, breaks_after: int | None = None) -> EngineRunner:
        store = RacingStore(self.data, breaks_after=breaks_after, fault=self.fault)
        self.stores.append(store)
        return EngineRunner(EngineRows(store), WorldFacts(self.world), self.clock)


async def play(engine: RacingWorld, events: Sequence[Any]) -> None:
    for verdicts, suppressed, *speeds, wait, crash in events:
        for store, speed in zip(engine.stores, speeds, strict=False):
            store.speed = speed
        if suppressed in engine.world.suppressions:
            engine.world.suppressions.pop(suppressed)
        elif suppressed:
            engine.world.suppressions[suppressed] = SILENCE
        if crash < 4:
            # It does what is due by now, and what the last event has left.
            with suppress(StoreError):
                await engine.start(crash).run_pass()
        passes = [runner.run_pass() for runner in engine.runners]
        await asyncio.gather(*(engine.judge(*each) for each in verdicts), *passes)
        await engine.deliver()
        engine.clock.move(wait)


async def check(events: Sequence[Any], fault: Fault) -> None:
    world = World(policy=POLICY, parents={"b": ["router"]})
    world.group_wait = timedelta()
    world.causes = CAUSES
    engine = RacingWorld(world, fault)
    await play(engine, events)
    await engine.wait(timedelta(seconds=200), 50)
    opened = [each for each in await engine.incidents() if each.is_open]
    held = [member.key for each in opened for member in each.open_members]
    assert sorted(held, key=str) == sorted(await engine.firing(), key=str), (
        "each alert that fires is in one open incident"
    )

    world.suppressions.clear()
    for job in JOBS:
        await engine.judge(job, False)
    await engine.wait(2 * HOUR, 1200)
    await engine.deliver()
    for incident in await engine.incidents():
        assert not incident.is_open
        numbers = [each.number for each in await engine.transitions(incident)]
        assert numbers == [*range(1, incident.number + 1)], "each transition is recorded once"
        for each in incident.announced:
            sent = engine.sent[incident.id, each.channel]
            assert sent == sorted(set(sent)), "each notification is sent once, and in order"
            assert sent[-1][1] == "resolved", "a channel that received the opening receives the end"
            assert each.number in [number for number, _ in sent], "the opening itself is sent"
    known = {each.id for each in await engine.incidents()}
    assert {incident for incident, _ in engine.sent} <= known, "no notification is about an unknown incident"


def run(fault: Fault, examples: int) -> None:
    # A planted fault is found by the same histories each time, without shrinking, which takes long.
    is_planted = fault is not no_fault
    phases = [Phase.generate] if is_planted else [Phase.generate, Phase.shrink]

    @settings(max_examples=examples, phases=phases, report_multiple_bugs=False, database=None, derandomize=is_planted)
    @given(EVENTS)
    def check_all(events: Sequence[Any]) -> None:
        asyncio.run(check(events, fault))

    check_all()


def test_no_history_loses_or_repeats_anything() -> None:
    run(no_fault, 60)


@pytest.mark.parametrize("fault", [no_fence, outbox_later, outbox_first])
def test_a_planted_fault_is_found(fault: Fault) -> None:
    with pytest.raises((AssertionError, StoreError, ExceptionGroup)):
        run(fault, 2000)
