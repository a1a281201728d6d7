"""The page GET /api/metrics. Built by scheduler.app.watch_setup; scheduler.services has it for the API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from jobs.ports import Clock
from observability.names.catalogue import MetricSeries
from observability.names.series import SERIES, watchdog_series
from scheduler.catalog.catalog import Catalog
from scheduler.metrics.families import Family, SeriesSource
from scheduler.metrics.text import END, ExpositionFormat, write_comments
from scheduler.watchdog import WATCHDOG_GAUGES


class UndeclaredSeries(LookupError):
    """A source has returned a series that observability.names.series does not declare."""


class MetricsPage:
    """`write` raises StoreError."""

    def __init__(self, sources: Sequence[SeriesSource], clock: Clock) -> None:
        self._sources = sources
        self._clock = clock
        self._lock = asyncio.Lock()
        self._reads: set[asyncio.Task[list[Family]]] = set()
        declared = (*SERIES, *map(watchdog_series, WATCHDOG_GAUGES))
        self._places: Mapping[MetricSeries, int] = {each: place for place, each in enumerate(declared)}

    async def write(self, catalog: Catalog, text_format: ExpositionFormat, *, is_limited: bool) -> bytes:
        """Return the page with the jobs of this catalog. `is_limited`: whether there may be others.

        The first read of a large store takes longer than a client may wait. It continues without the client, so that a
        later request finds its result.
        """
        task = asyncio.ensure_future(self._read(catalog, is_limited))
        self._reads.add(task)
        task.add_done_callback(self._finish)
        parts = []
        for text in self._join(await asyncio.shield(task), text_format):
            parts.append(text.encode())
            await asyncio.sleep(0)
        return b"".join(parts)

    async def aclose(self) -> None:
        """Stop what clients no longer wait for."""
        for task in self._reads:
            task.cancel()
        await asyncio.gather(*self._reads, return_exceptions=True)

    async def _read(self, catalog: Catalog, is_limited: bool) -> list[Family]:
        async with self._lock:
            families: list[Family] = []
            for source in self._sources:
                families += await source.read(catalog, self._clock.now(), is_limited=is_limited)
        return families

    def _finish(self, task: asyncio.Task[list[Family]]) -> None:
        self._reads.discard(task)
        if not task.cancelled():
            task.exception()  # a request that waits raises it; without one it is not an error

    def _join(self, families: Iterable[Family], text_format: ExpositionFormat) -> Iterable[str]:
        for family in families:
            if family.series not in self._places:
                raise UndeclaredSeries(family.series.name)
        for family in sorted(families, key=lambda each: self._places[each.series]):
            if family.lines:
                yield write_comments(family.series, text_format)
                yield family.lines
        if text_format is ExpositionFormat.OPEN_METRICS:
            yield END
