"""What a source of series returns. Implemented in scheduler.metrics, called by scheduler.metrics.page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from observability.names.catalogue import MetricSeries
from scheduler.catalog.catalog import Catalog

STEP_PAUSE: Final = 0.003
"""Seconds between two steps of a page of many jobs, see convert_each: due runs start in between without delay."""


@dataclass(frozen=True, slots=True)
class Family:
    """The samples of a series, each a line with its line break, as scheduler.metrics.text writes them."""

    series: MetricSeries
    lines: str


class SeriesSource(Protocol):
    """A part of the page."""

    async def read(self, catalog: Catalog, now: datetime, *, is_limited: bool) -> Sequence[Family]:
        """Return one family for each series that has samples.

        `catalog`: the jobs that the caller sees. `is_limited`: whether there may be others, so that nothing may be
        returned that concerns the whole program. Calls do not overlap. Raises StoreError.
        """
        ...
