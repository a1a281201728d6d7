"""Random histories over processes that crash between any two writes: nothing is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.incidents.engine.facts import AlertPolicy, FlappingLimit
from scheduler.alerting.engine_runner import EngineRunner
from scheduler.stores.port import StoreError
from tests.jobs.incidents.test_passing import SILENCE
from tests.jobs.incidents.world import HOUR, World
from tests.scheduler.alerting.engine_world import EngineWorld

JOBS = ["router", "a", "b", "c", "scheduler"]
PARENTS = {"a": ["router"], "b": ["a"]}
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["fail", "recover"]), st.sampled_from(JOBS), *[st.integers(0, 5)] * 3),
        st.tuples(st.sampled_from(["silence", "end", "redeliver"]), st.sampled_from(JOBS)),
        st.tuples(st.sampled_from(["crash"]), st.integers(0, 4)),
        st.tuples(st.sampled_from(["wait"]), st.sampled_from([1, 11, 95, 700])),
        st.tuples(st.sampled_from(["race", "deliver", "skew"]), st.integers(0, 1)),
    ),
    min_size=5,
    max_size=40,
)
SKEW = 30.0
"""Seconds by which the clock is set back."""
POLICY = AlertPolicy(remind_every=HOUR, flapping=FlappingLimit(changes=4, within=HOUR))


Event = tuple[Any, ...]


async def run_later(runner: EngineRunner, delay: int) -> None:
    """`delay`: requests of others that come before."""
    for _ in range(delay):
        await asyncio.sleep(0)
    await runner.run_pass()


async def play(engine: EngineWorld, events: list[Event]) -> None:
    verdicts: dict[str, bool] = {}
    for kind, value, *delays in events:
        if kind in ("fail", "recover"):
            verdicts[str(value)] = kind == "fail"
            await asyncio.gather(
                engine.judge(str(value), kind == "fail", delays[0]),
                *map(run_later, engine.runners, delays[1:]),
            )
        elif kind == "redeliver" and value in verdicts:
            await engine.judge(str(value), verdicts[str(value)])
        elif kind == "silence":
            engine.world.suppressions[str(value)] = SILENCE
        elif kind == "end":
            engine.world.suppressions.pop(str(value), None)
        elif kind == "crash":
            with suppress(StoreError):
                await engine.start(int(value)).run_pass()
        elif kind == "wait":
            await engine.wait(timedelta(seconds=int(value)), max(1.0, int(value) / 5))
        elif kind == "race":
            await asyncio.gather(*map(run_later, engine.runners, [0, int(value)]))
        elif kind == "skew":
            engine.clock.move(-SKEW)
        else:
            await engine.deliver()


async def check(engine: EngineWorld, events: list[Event]) -> None:
    await play(engine, events)
    set_back = sum(kind == "skew" for kind, *_ in events)
    await engine.wait(timedelta(seconds=100 + SKEW * set_back))
    held = [member.key for each in await engine.incidents() if each.is_open for member in each.open_members]
    assert len(held) == len(set(held)), "an alert is in one open incident"
    assert not set(await engine.firing()) - set(held), "an alert that fires is in an incident"

    engine.world.suppressions.clear()
    for job in JOBS:
        await engine.judge(job, False)
    await engine.wait(2 * HOUR, 600)
    await engine.deliver()
    incidents = await engine.incidents()
    for incident in incidents:
        assert not incident.is_open
        transitions = await engine.transitions(incident)
        assert [each.number for each in transitions] == [*range(1, incident.number + 1)]
        ends = [str(each.kind) for each in transitions if each.kind in ("opened", "reopened", "resolved")]
        assert ends == ["opened", *["resolved", "reopened"] * (len(ends) // 2)][: len(ends)]
        assert ends[-1] == "resolved"
    assert {incident for incident, _ in engine.sent} <= {each.id for each in incidents}
    for sent in engine.sent.values():
        assert sent == sorted(set(sent)), "each transition once, and in order"
        kinds = [kind for _, kind in sent if kind in ("opened", "reopened", "resolved")]
        assert kinds.count("resolved") >= 1
        assert kinds[-1] == "resolved"
    assert not await engine.firing()


@pytest.mark.parametrize("parents", [{}, PARENTS])
def test_each_history_is_complete_whatever_crashes(parents: dict[str, list[str]]) -> None:
    @settings(max_examples=40)
    @given(EVENTS)
    def run(events: list[Event]) -> None:
        world = World(parents=parents, policy=POLICY)
        world.policies["scheduler"] = AlertPolicy(severity="blind", rank=30)
        world.causes = {"a": ["host x"], "c": ["host x"], "b": ["host y", "host x"]}
        asyncio.run(check(EngineWorld(world), events))

    run()
