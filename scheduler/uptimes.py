"""How much of the time a job was up, from its runs and what is left of older ones. Used by the API and the CLI."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from jobs.ports import Clock
from jobs.uptime import Look, Month, Stretch, Uptime, months_of, uptime_of
from scheduler.catalog import Catalog
from scheduler.stores.runs import Runs

MOST = 20_000
"""Runs that are read, the newest ones. More are kept only where the settings say so."""
MONTHS = 3
_WINDOWS = {"24h": timedelta(days=1), **{f"{days}d": timedelta(days=days) for days in (7, 30, 90, 365)}}


@dataclass(frozen=True, slots=True)
class Window:
    """The time before now. `whole`: nothing that the job has said in it was missed."""

    name: str
    uptime: Uptime
    whole: bool


@dataclass(frozen=True, slots=True)
class JobUptime:
    """`since`: the first run that something is known of; None if there is none. `runs`: how many say something."""

    job: str
    since: datetime | None
    runs: int
    windows: Sequence[Window]
    months: Sequence[Month]


class Uptimes:
    """`age`: seconds for which runs are kept."""

    def __init__(self, catalog: Catalog, runs: Runs, clock: Clock, age: float) -> None:
        self._catalog = catalog
        self._runs = runs
        self._clock = clock
        self._age = age

    async def of(self, job: str, *, is_defined: bool = True) -> JobUptime:
        """Runs that were skipped or cancelled, and backfills, say nothing. Months are those of UTC.

        `is_defined`: whether there must be a job of that name.

        Raises:
            UnknownJob: no job has that name.
            StoreError: history cannot be read.
        """
        if is_defined:
            self._catalog.get(job)
        now = self._clock.now()
        hours, (looks, is_all) = await self._runs.hours(job), await self._runs.looks(job, MOST)
        if not is_all:
            hours = []  # between them and what was read is a gap
        known = self._known_since(now, looks, is_all)
        windows = []
        for name, span in _WINDOWS.items():
            windows.append(_window(name, now - span, hours, looks, known))
            await asyncio.sleep(0)
        stretches = sorted([*hours, *await _by_the_hour(looks)], key=lambda one: one.first)
        since = stretches[0].first if stretches else None
        months = months_of(stretches, now, MONTHS, UTC, since=since or now)
        return JobUptime(job, since, sum(one.uptime.looks for one in stretches), windows, months)

    def _known_since(self, now: datetime, looks: Sequence[tuple[datetime, Look]], is_all: bool) -> datetime:
        """From this instant on nothing was missed."""
        if not is_all:
            return looks[0][0] if looks else now
        return now - timedelta(seconds=min(self._age, _WINDOWS["365d"].total_seconds()))


async def _by_the_hour(looks: Sequence[tuple[datetime, Look]]) -> list[Stretch]:
    """Summed up one hour after the other: thousands at once would keep others waiting."""
    found: list[Stretch] = []
    for _, some in groupby(looks, lambda look: (look[0].date(), look[0].hour)):
        found.append(Stretch.of(list(some)))
        await asyncio.sleep(0)
    return found


def _window(
    name: str,
    begin: datetime,
    hours: Sequence[Stretch],
    looks: Sequence[tuple[datetime, Look]],
    known: datetime,
) -> Window:
    """The hour in which it begins counts as a whole."""
    kept = uptime_of(look for at, look in looks if at >= begin)
    older = (hour.uptime for hour in hours if hour.last >= begin)
    return Window(name, sum(older, kept), known <= begin)
