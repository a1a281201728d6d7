"""Reports missing ticks: no other part notices that no job starts. Used by program."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from jobs.ports import Clock
from scheduler.health.report import HealthProbe, HealthStatus, PartHealth
from scheduler.hosts.functions.timer import PLANNING_HORIZON

MAX_TICK_GAP = 180.0
"""Seconds without a tick after which health is down: two ticks were missed."""


def last_tick_reader(
    planned_until: Callable[[], Awaitable[datetime | None]],
) -> Callable[[], Awaitable[datetime | None]]:
    """Return a function that reads the instant of the last tick of any instance; None before the first."""

    async def last_tick() -> datetime | None:
        until = await planned_until()
        return None if until is None else until - PLANNING_HORIZON

    return last_tick


def tick_probe(planned_until: Callable[[], Awaitable[datetime | None]], clock: Clock) -> HealthProbe:
    """Return a probe. `planned_until`: the end of the last tick's horizon, of any instance; None before the first."""
    opened_at = clock.now()

    async def probe() -> Sequence[PartHealth]:
        until = await planned_until()
        last_tick = opened_at if until is None else max(opened_at, until - PLANNING_HORIZON)
        gap = (clock.now() - last_tick).total_seconds()
        if gap <= MAX_TICK_GAP:
            return (PartHealth("ticks", HealthStatus.OK),)
        message = f"no tick for {gap:.0f} s, so no job starts: check the function tick and its log"
        return (PartHealth("ticks", HealthStatus.DOWN, message),)

    return probe
