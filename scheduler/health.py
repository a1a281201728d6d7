"""How the scheduler itself is: one line a part, for the health routes, the dashboard and the container's probe."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

PATIENCE = 2.0
"""Seconds for a part to answer; a health page that hangs is worse than one that says so."""


class Status(StrEnum):
    """In rising order of badness. Only `down` makes the app not ready."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class PartHealth:
    """A part, how it is, and, unless it is ok, what to look at."""

    name: str
    status: Status
    message: str = ""


@dataclass(frozen=True, slots=True)
class HealthReport:
    status: Status
    parts: tuple[PartHealth, ...]

    @property
    def ready(self) -> bool:
        return self.status is not Status.DOWN


Probe = Callable[[], Awaitable[Sequence[PartHealth]]]


class Health:
    """Asks every part at the same time. Parts are added by scheduler.app as it opens them."""

    def __init__(self) -> None:
        self._probes: list[tuple[str, Probe]] = []

    def add(self, name: str, probe: Probe) -> None:
        """`name` speaks for the probe when it fails or does not answer."""
        self._probes.append((name, probe))

    async def report(self) -> HealthReport:
        answers = await asyncio.gather(*(_ask(name, probe) for name, probe in self._probes))
        parts = tuple(part for answer in answers for part in answer)
        order = list(Status)
        worst = max((part.status for part in parts), key=order.index, default=Status.OK)
        return HealthReport(worst, parts)


async def _ask(name: str, probe: Probe) -> Sequence[PartHealth]:
    try:
        async with asyncio.timeout(PATIENCE):
            return await probe()
    except TimeoutError:
        return (
            PartHealth(
                name,
                Status.DOWN,
                f"no answer within {PATIENCE:g} s: look at the log, and at the disk or network that it needs",
            ),
        )
    except Exception as error:
        # A probe that breaks is the part's answer, whatever it raised.
        return (PartHealth(name, Status.DOWN, f"{type(error).__name__}: {error}"),)
