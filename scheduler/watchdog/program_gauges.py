"""The gauges of alerting, rollups and running, once a minute with those of the watchdog. Called by watchdog.

Those of the store are the same in every process; circuits and the retry budget are those of the process that measures.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from jobs.ports import Clock
from jobs.running.runner import RunnerLoad
from scheduler.catalog.catalog import Catalog
from scheduler.stores.alerting.outbox import OutboxRows
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import Runs

_log = logging.getLogger("scheduler.watchdog")

_READ_TIMEOUT = 5.0
"""Seconds: a tick must not wait much longer."""


class ProgramGaugeListener(Protocol):
    """Telemetry as this module uses it; all methods return at once."""

    def process_gauges(self, *, open_circuits: int, retry_budget_use: float) -> None: ...

    def open_incidents(self, by_severity: Mapping[str, int]) -> None: ...

    def pending_notifications(self, by_channel_kind: Mapping[str, int]) -> None: ...

    def rollup_lag(self, seconds: float) -> None: ...


class ProgramGauges:
    """`open_incidents`: returns the open incidents by severity; None: not known yet."""

    def __init__(
        self,
        listener: ProgramGaugeListener,
        read_load: Callable[[], RunnerLoad],
        open_incidents: Callable[[], Mapping[str, int] | None],
        outbox: OutboxRows,
        runs: Runs,
        catalog: Catalog,
        clock: Clock,
    ) -> None:
        self._listener = listener
        self._read_load = read_load
        self._open_incidents = open_incidents
        self._outbox = outbox
        self._runs = runs
        self._catalog = catalog
        self._clock = clock

    async def publish(self) -> None:
        """Publish what can be read now. Raises nothing of the store: the next minute has another value."""
        load = self._read_load()
        self._listener.process_gauges(open_circuits=load.open_circuits, retry_budget_use=load.retry_budget_use)
        if (incidents := self._open_incidents()) is not None:
            # A severity without incidents has the value 0, so that a chart shows that the last one was resolved.
            known = dict.fromkeys(self._catalog.snapshot.alerting.severities, 0)
            self._listener.open_incidents({**known, **incidents})
        try:
            async with asyncio.timeout(_READ_TIMEOUT):
                self._listener.pending_notifications(await self._count_pending())
                lag = await self._runs.find_rollup_lag(self._clock.now())
                self._listener.rollup_lag(lag.total_seconds())
        except (StoreError, TimeoutError) as error:
            _log.debug("could not read gauges: %s; the next minute repeats it", error)

    async def _count_pending(self) -> Mapping[str, int]:
        channels = self._catalog.snapshot.alerting.channels
        pending = Counter(dict.fromkeys((channel.kind for channel in channels.values()), 0))
        for name, number in (await self._outbox.count_waiting()).items():
            pending[channels[name].kind if name in channels else UNDEFINED_CHANNEL_KIND] += number
        return pending


UNDEFINED_CHANNEL_KIND = "undefined"
"""The kind of a channel that the definitions in force do not have."""
