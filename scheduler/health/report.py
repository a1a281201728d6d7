"""Health of the scheduler itself, by part, for the health routes, the dashboard and the container's probe."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from scheduler.health.own_reports import NO_REPORTS

PROBE_TIMEOUT = 2.0
"""Seconds for a part to answer; a health page that hangs is worse than one that reports it."""


class HealthStatus(StrEnum):
    """From best to worst. Only `down` makes the app not ready."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class PartHealth:
    """A part, how it is, and, unless it is ok, what to check."""

    name: str
    status: HealthStatus
    message: str = ""


@dataclass(frozen=True, slots=True)
class HealthReport:
    status: HealthStatus
    parts: tuple[PartHealth, ...]

    @property
    def is_ready(self) -> bool:
        return self.status is not HealthStatus.DOWN


HealthProbe = Callable[[], Awaitable[Sequence[PartHealth]]]


class Health:
    """Queries every part at the same time. Parts are added by scheduler.app as it opens them.

    `own_reports`: what the program knows about its exporters and settings, set by scheduler.app.
    """

    def __init__(self) -> None:
        self.own_reports = NO_REPORTS
        self._probes: list[tuple[str, HealthProbe]] = []

    def add_probe(self, name: str, probe: HealthProbe) -> None:
        """Add a probe. `name`: of the part that is reported when the probe fails or does not return in time."""
        self._probes.append((name, probe))

    async def report(self) -> HealthReport:
        answers = await asyncio.gather(*(_run_probe(name, probe) for name, probe in self._probes))
        parts = tuple(part for answer in answers for part in answer)
        order = list(HealthStatus)
        worst = max((part.status for part in parts), key=order.index, default=HealthStatus.OK)
        return HealthReport(worst, parts)


async def _run_probe(name: str, probe: HealthProbe) -> Sequence[PartHealth]:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            return await probe()
    except TimeoutError:
        return (
            PartHealth(
                name,
                HealthStatus.DOWN,
                f"no answer within {PROBE_TIMEOUT:g} s: check the log, and the disk or network that it needs",
            ),
        )
    except Exception as error:
        # Whatever a probe raises is the result of its part.
        return (PartHealth(name, HealthStatus.DOWN, f"{type(error).__name__}: {error}"),)
