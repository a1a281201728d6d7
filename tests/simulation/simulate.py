"""Runs one seed. Called by the tests and by `python -m bench.simulation`."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from jobs.definition import JobDefinition
from jobs.runs import ErrorClass, Outcome
from scheduler.catalog import Catalog, Entry
from tests.jobs.running.virtual_time import VirtualTimeLoop
from tests.simulation.embedded import Embedded
from tests.simulation.functions import Instances
from tests.simulation.oracle import Oracle
from tests.simulation.process import START, Killed, Troubles, World, true_time
from tests.simulation.storage import Tables
from tests.simulation.targets import Outside

CALM_WITH_TICKS = 600.0
"""Seconds at the end without kills and faults, in which ticks make up for what was missed."""
CALM_WITHOUT_TICKS = 1500.0
"""Seconds after them: no message and no lease is hidden for longer."""

LONGEST_RUN = timedelta(seconds=60)
"""What fell due so long ago is over."""
FIGURES = ("runs", "kills", "ticks", "redelivered", "executed_again", "left_out", "dead_lettered")
"""The counts of a result."""

_SCHEDULES = (
    "*/30 * * * * *",
    "0 * * * * *",
    "15 */2 * * * *",
    "every 3m",
    "0 */5 * * * *",
    "every 7m",
    "every 10m",
    "30 */15 * * * *",
    "every 20m",
    "0 0 * * * *",
)
_WEIGHTS = (1, 2, 2, 4, 12, 12, 24, 24, 24, 12)


@dataclass(frozen=True, slots=True)
class Result:
    """`violations`: one sentence each; none if all is well. `doubled`: those of them that say of two owners at a time,
    of a run recorded twice, or of a part that broke."""

    seed: int
    runs: int
    kills: int
    executed_again: int
    dead_lettered: int
    left_out: int
    redelivered: int
    ticks: int
    doubled: tuple[str, ...]
    violations: tuple[str, ...]


def simulate(seed: int, jobs: int = 20, hours: float = 2.0, *, embedded: bool = False) -> Result:
    """So many jobs for so many hours of virtual time. The same seed gives the same result."""
    with _silent("scheduler"), _silent("jobs"), asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run((_embedded if embedded else _functions)(seed, jobs, hours))


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


async def _functions(seed: int, jobs: int, hours: float) -> Result:
    world = World(seed, _troubles(seed))
    _listen_for_mistakes(world)
    catalog, tables, outside = _catalog(world, jobs), Tables(world), Outside(world)
    instances = Instances(world, seed, catalog, tables, outside)
    for _ in range(world.luck.choice((2, 3))):
        instances.start()
    end = hours * 3600
    timer = asyncio.create_task(instances.timer(end + CALM_WITH_TICKS))
    reached = await _bad_time(world, instances.kill_some, end)
    await asyncio.sleep(CALM_WITH_TICKS + CALM_WITHOUT_TICKS)
    await timer
    oracle = Oracle(catalog, tables, outside)
    planned = oracle.planned_until() or START
    violations = oracle.problems(planned)
    if planned < reached:
        violations.append("planning has come to a halt")
    if instances.queue.waiting or instances.poison.waiting:
        violations.append("there are messages that are delivered for ever")
    redelivered = instances.queue.redelivered + instances.poison.redelivered
    instances.stop()
    return _result(seed, world, outside, oracle, violations, redelivered=redelivered, ticks=instances.ticks)


async def _embedded(seed: int, jobs: int, hours: float) -> Result:
    world = World(seed, replace(_troubles(seed), lost_answers=0.0, unavailable=0.0, skew_s=0.0))
    _listen_for_mistakes(world)
    catalog, tables, outside = _catalog(world, jobs), Tables(world), Outside(world)
    process = Embedded(world, seed, catalog, tables, outside)
    process.start()
    await _bad_time(world, process.kill, hours * 3600)
    await asyncio.sleep(CALM_WITHOUT_TICKS)
    oracle = Oracle(catalog, tables, outside)
    violations = oracle.problems(true_time() - LONGEST_RUN)
    process.stop()
    return _result(seed, world, outside, oracle, violations)


async def _bad_time(world: World, kill: Callable[[], None], seconds: float) -> datetime:
    """Until it is over, which it is at the instant returned."""
    bad_luck = asyncio.create_task(_bad_luck(world, kill))
    await asyncio.sleep(seconds)
    bad_luck.cancel()
    world.calm_down()
    return true_time()


def _result(
    seed: int,
    world: World,
    outside: Outside,
    oracle: Oracle,
    violations: list[str],
    *,
    redelivered: int = 0,
    ticks: int = 0,
) -> Result:
    runs = list(oracle.runs)
    return Result(
        seed=seed,
        runs=len(runs),
        kills=world.kills,
        executed_again=sum(number - 1 for number in outside.executions.values()),
        dead_lettered=sum(run.error is ErrorClass.DEAD_LETTERED for run in runs),
        left_out=sum(run.outcome is Outcome.SKIPPED for run in runs),
        redelivered=redelivered,
        ticks=ticks,
        doubled=tuple(world.violations),
        violations=(*world.violations, *violations),
    )


async def _bad_luck(world: World, kill: Callable[[], None]) -> None:
    """Kills that hit whatever a process is at, and times when store and queue are away."""
    while True:
        await asyncio.sleep(world.luck.expovariate(1 / 600))
        if world.troubles.unavailable and world.happens(0.3):
            world.away_until = asyncio.get_running_loop().time() + world.luck.choice((1, 5, 20, 90, 400))
        else:
            kill()


def _troubles(seed: int) -> Troubles:
    """Some seeds have many kills and hardly any faults, others the reverse."""
    return Troubles(
        calls_between_kills=(100, 400, 2000)[seed % 3],
        lost_answers=(0.0, 0.003, 0.02)[seed // 3 % 3],
        unavailable=(0.0, 0.003, 0.02)[seed // 9 % 3],
        slow=(0.05, 0.5)[seed % 2],
        doubled=(0.01, 0.05)[seed // 2 % 2],
    )


def _catalog(world: World, jobs: int) -> Catalog:
    return Catalog(Entry(_job(world, f"job-{number:02d}"), "jobs.yaml:1") for number in range(jobs))


def _job(world: World, name: str) -> JobDefinition:
    luck = world.luck
    (schedule,) = luck.choices(_SCHEDULES, _WEIGHTS)
    definition: dict[str, Any] = {
        "name": name,
        "schedule": schedule,
        "check": {"kind": "http", "url": "http://127.0.0.1:9/"},
        "expect": [{"status": 200}],
        "catch_up": {
            "policy": luck.choice(("none", "last", "all")),
            "within": luck.choice(("5m", "1h")),
        },
        "overlap": luck.choice(("skip", "allow")),
        "dead_letter": luck.random() < 0.3,
        "retry": {"attempts": luck.choice((1, 3))},
    }
    if luck.random() < 0.2:
        definition["circuit"] = {"consecutive_failures": 2, "open_for": "2m"}
    return JobDefinition.model_validate(definition)


def _listen_for_mistakes(world: World) -> None:
    """Nothing of the program may break in the background, unless its process was killed."""

    def heard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), Killed):
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
