"""Runs one seed. Called by the tests and by `python -m bench.simulation`."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from tests.simulation.definitions import simulated_catalog
from tests.simulation.embedded import Embedded
from tests.simulation.functions import Instances
from tests.simulation.loop import SimulatedLoop
from tests.simulation.oracle import Oracle
from tests.simulation.outside import Outside
from tests.simulation.process import START, Killed, Troubles, World, true_time
from tests.simulation.storage import Tables

CALM_WITH_TICKS = 600.0
"""Seconds at the end without kills and faults, in which ticks make up for what was missed."""
CALM_WITHOUT_TICKS = 1500.0
"""Seconds after them: no message and no lease is hidden for longer."""

MAX_RUN = timedelta(seconds=60)
"""What fell due so long ago is over."""
MANY_JOBS = 1000
"""From so many on what is long over is judged meanwhile, and forgotten."""
JUDGED_AFTER = timedelta(hours=3)
"""With many jobs no message, lease or outage lasts so long. With few of them a seed of many kills may stand still."""
JOBS_AN_INSTANCE = 2500
_NEVER_DONE = "Task was destroyed but it is pending!"
FIGURES = (
    "runs",
    "kills",
    "freezes",
    "refused",
    "lost",
    "ticks",
    "redelivered",
    "executed_again",
    "left_out",
    "dead_lettered",
    "letters",
)
"""The counts of a result."""


@dataclass(frozen=True, slots=True)
class Result:
    """`violations`: one sentence each; none if all is well. `doubled`: those of them that say of two owners at a time,
    of a run recorded twice, or of a part that broke. `refused`: requests that were not sent because the lease had
    ended. `lost`: runs whose attempts another process made, which has ended."""

    seed: int
    runs: int
    kills: int
    freezes: int
    refused: int
    lost: int
    executed_again: int
    dead_lettered: int
    letters: int
    left_out: int
    redelivered: int
    ticks: int
    doubled: tuple[str, ...]
    violations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a simulation is."""

    hours: float
    runs: int
    """Those that are judged."""
    violations: int


def simulate(
    seed: int,
    jobs: int = 50,
    hours: float = 6.0,
    *,
    embedded: bool = False,
    frozen: float = 0.0,
    lost: float = 0.0,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Result:
    """So many jobs for so many hours of virtual time. The same seed gives the same result.

    `frozen` and `lost`, which is for the embedded host: see Troubles. `progress` is called each virtual minute.
    """
    host = partial(_embedded, lost=lost) if embedded else _functions
    with _silent("scheduler"), _silent("jobs"), asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(host(seed, jobs, hours, frozen, progress))


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """What goes wrong here is made to."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


async def _functions(seed: int, jobs: int, hours: float, frozen: float, progress: Callable[[Progress], None]) -> Result:
    world = World(seed, replace(_troubles(seed, jobs), frozen=frozen))
    _listen_for_mistakes(world)
    catalog, tables = simulated_catalog(world.luck, jobs), Tables(world)
    outside = Outside(world, catalog)
    oracle = Oracle(catalog, tables, outside)
    instances = Instances(world, seed, catalog, tables, outside)
    for _ in range(world.luck.choice((2, 3)) + jobs // JOBS_AN_INSTANCE):
        instances.start()
    timer = asyncio.create_task(instances.timer(hours * 3600 + CALM_WITH_TICKS))
    reached = await _bad_time(world, instances.kill_some, hours, oracle, progress)
    await asyncio.sleep(CALM_WITH_TICKS + CALM_WITHOUT_TICKS)
    await timer
    planned = oracle.planned_until() or START
    oracle.judge(planned)
    if planned < reached:
        oracle.problems.append("planning has come to a halt")
    if instances.queue.waiting or instances.poison.waiting:
        oracle.problems.append("there are messages that are delivered for ever")
    redelivered = instances.queue.redelivered + instances.poison.redelivered
    instances.stop()
    return _result(seed, world, oracle, redelivered=redelivered, ticks=instances.ticks)


async def _embedded(
    seed: int, jobs: int, hours: float, frozen: float, progress: Callable[[Progress], None], *, lost: float
) -> Result:
    troubles = replace(_troubles(seed, jobs), lost_answers=0.0, unavailable=0.0, skew_s=0.0, frozen=frozen, lost=lost)
    world = World(seed, troubles)
    _listen_for_mistakes(world)
    catalog, tables = simulated_catalog(world.luck, jobs), Tables(world)
    outside = Outside(world, catalog, alone=True)
    oracle = Oracle(catalog, tables, outside)
    process = Embedded(world, seed, catalog, tables, outside)
    process.start()
    await _bad_time(world, process.kill, hours, oracle, progress)
    await asyncio.sleep(CALM_WITHOUT_TICKS)
    oracle.judge(true_time() - MAX_RUN)
    process.stop()
    return _result(seed, world, oracle)


async def _bad_time(
    world: World,
    kill: Callable[[], None],
    hours: float,
    oracle: Oracle,
    progress: Callable[[Progress], None],
) -> datetime:
    """Until it is over, which it is at the instant returned."""
    bad_luck = asyncio.create_task(_bad_luck(world, kill))
    for minute in range(1, round(hours * 60) + 1):
        await asyncio.sleep(60)
        if minute % 60 == 0 and len(oracle.catalog) >= MANY_JOBS:
            oracle.judge(max(START, min(true_time(), oracle.planned_until() or START) - JUDGED_AFTER))
        violations = len(world.violations) + len(oracle.problems)
        progress(Progress(minute / 60, oracle.counted["runs"], violations))
    bad_luck.cancel()
    world.calm_down()
    return true_time()


def _result(seed: int, world: World, oracle: Oracle, *, redelivered: int = 0, ticks: int = 0) -> Result:
    counted = oracle.counted
    return Result(
        seed=seed,
        runs=counted["runs"],
        kills=world.kills,
        freezes=world.freezes,
        refused=world.refused,
        lost=world.lost,
        executed_again=counted["executed_again"],
        dead_lettered=counted["dead_lettered"],
        letters=counted["letters"],
        left_out=counted["left_out"],
        redelivered=redelivered,
        ticks=ticks,
        doubled=tuple(world.violations),
        violations=(*world.violations, *oracle.problems),
    )


async def _bad_luck(world: World, kill: Callable[[], None]) -> None:
    """Kills that hit whatever a process is at, and times when store and queue are away."""
    while True:
        await asyncio.sleep(world.luck.expovariate(1 / 600))
        if world.troubles.unavailable and world.happens(0.3):
            world.unavailable_until = asyncio.get_running_loop().time() + world.luck.choice((1, 5, 20, 90, 400))
        else:
            kill()


def _troubles(seed: int, jobs: int) -> Troubles:
    """Some seeds have many kills and hardly any faults, others the reverse. More jobs make more calls."""
    return Troubles(
        calls_between_kills=(100, 400, 2000)[seed % 3] * max(1.0, jobs / 50),
        lost_answers=(0.0, 0.003, 0.02)[seed // 3 % 3],
        unavailable=(0.0, 0.003, 0.02)[seed // 9 % 3],
        slow=(0.05, 0.5)[seed % 2],
        doubled=(0.01, 0.05)[seed // 2 % 2],
    )


def _listen_for_mistakes(world: World) -> None:
    """Nothing of the program may break in the background, unless its process was killed: then its tasks wait for ever,
    until the garbage collector finds them."""

    def heard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), Killed) and context["message"] != _NEVER_DONE:
            world.violations.append(f"in the background: {context['message']}: {context.get('exception')!r}")

    asyncio.get_running_loop().set_exception_handler(heard)


def summary(results: list[Result]) -> Counter[str]:
    """Totals by name."""
    total: Counter[str] = Counter(seeds=len(results))
    for result in results:
        for name in FIGURES:
            total[name] += getattr(result, name)
        total["violations"] += len(result.violations)
    return total
