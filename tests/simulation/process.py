"""A process that can be killed between any two calls of its ports, and the luck that decides when.

Used by every simulated part: a port's call begins and ends with `Process.step`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from tests.simulation.loop import NOBODY, OWNER, run_late

T = TypeVar("T")

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


MAX_FREEZE = 150.0
"""Seconds: longer than any lease."""


OTHERS_FIRST = 0.5
"""Share of calls of which others come first, as far as they are not slow ones."""


class Killed(BaseException):
    """The process of this task is gone. No program code catches it, as none runs after SIGKILL."""


def true_time() -> datetime:
    """The time that no process knows exactly."""
    return START + timedelta(seconds=asyncio.get_running_loop().time())


@dataclass(frozen=True, slots=True)
class Troubles:
    """How much goes wrong. Shares are of calls."""

    calls_between_kills: float
    lost_answers: float
    unavailable: float
    slow: float
    doubled: float
    skew_s: float = 1.0
    """Clocks are at most so far from the true time: two of them differ by twice as much."""
    frozen: float = 0.0
    """Share of requests to targets right before which the whole process stands still."""
    lost: float = 0.0
    """Share of runs whose attempts are made by another process, which ends before they do."""


CALM = Troubles(calls_between_kills=float("inf"), lost_answers=0.0, unavailable=0.0, slow=0.0, doubled=0.0)


class World:
    """What all processes share beside store and queue: luck, and whether things go wrong at present."""

    def __init__(self, seed: int, troubles: Troubles) -> None:
        self.luck = random.Random(seed)
        self.troubles = troubles
        self.kills = 0
        self.freezes = 0
        self.lost = 0
        """Runs whose other process has ended."""
        self.refused = 0
        """Requests that were not sent because the lease of their run had ended."""
        self.unavailable_until = 0.0
        """Loop time until which store and queue answer nobody."""
        self.violations: list[str] = []
        self.alive: set[str] = set()
        """Names of the living processes."""
        self._time = asyncio.get_running_loop().time

    @property
    def is_unavailable(self) -> bool:
        return self._time() < self.unavailable_until

    def happens(self, share: float) -> bool:
        return share > 0 and self.luck.random() < share

    def calm_down(self) -> None:
        self.troubles = CALM
        self.unavailable_until = 0.0


class Process:
    """One life of a process; a restarted one is another process. It is its own clock, which is not quite right."""

    def __init__(self, world: World, name: str, on_death: Callable[[Process], None]) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.frozen: list[asyncio.Handle] | None = None
        world.alive.add(name)
        self._on_death = on_death
        self._skew = timedelta(seconds=world.luck.uniform(-1, 1) * world.troubles.skew_s)
        self._calls_left = world.luck.expovariate(1) * world.troubles.calls_between_kills

    async def owns(self, work: Awaitable[T]) -> T:
        """Whatever is started by this work dies with the process."""
        OWNER.set(self)
        return await work

    async def step(self) -> None:
        """Between two calls: some time may pass, others may come first, and the process may end here."""
        self.must_live()
        world = self.world
        kind = world.luck.random()
        if kind < world.troubles.slow:
            await asyncio.sleep(kind / world.troubles.slow * 0.05)
        elif kind > OTHERS_FIRST:
            await asyncio.sleep(0)
        self.must_live()
        self._calls_left -= 1
        if self._calls_left < 0 and world.troubles is not CALM:
            self.kill()
            raise Killed

    async def may_freeze(self) -> None:
        """Stand still for a while, perhaps: nothing of the process does anything, and none of its parts knows."""
        if self.frozen is None and self.world.happens(self.world.troubles.frozen):
            self.world.freezes += 1
            self.frozen = []
            seconds = self.world.luck.uniform(0, MAX_FREEZE)
            asyncio.get_running_loop().call_later(seconds, self._go_on, context=NOBODY)
            await asyncio.sleep(0)

    def _go_on(self) -> None:
        late, self.frozen = self.frozen or [], None
        for handle in late:
            asyncio.get_running_loop().call_soon(run_late, handle, context=NOBODY)

    def must_live(self) -> None:
        if not self.alive:
            raise Killed

    def kill(self) -> None:
        if self.alive:
            self.alive = False
            self.world.alive.discard(self.name)
            self.world.kills += 1
            self._on_death(self)

    # --- jobs.ports.Clock ---

    def now(self) -> datetime:
        self.must_live()
        return true_time() + self._skew

    def monotonic(self) -> float:
        self.must_live()
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        self.must_live()
        await asyncio.sleep(seconds)
        self.must_live()
