"""Gathers what many rows would say, for some minutes. Used by application_insights.

Application Insights bills each row of a metric, and a metric by job has one for each job and export. Five minutes are
what its charts show as one point.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final

from observability import names

METRIC_WINDOW_S: Final = 300.0

Tags = tuple[tuple[str, str], ...]


class MetricWindow:
    """Values by metric and tags, until the window ends: at the full five minutes of the clock."""

    def __init__(self, seconds: float = METRIC_WINDOW_S, now: Callable[[], float] = time.time) -> None:
        self._seconds = seconds
        self._now = now
        self._values: dict[tuple[names.Metric, Tags], list[float]] = defaultdict(list)
        self._ends_at = 0.0

    def add(self, metric: names.Metric, value: float, tags: dict[str, str]) -> None:
        if not self._values:
            self._ends_at = (self._now() // self._seconds + 1) * self._seconds
        self._values[metric, tuple(sorted(tags.items()))].append(value)

    def ends_in(self) -> float | None:
        """Return the seconds until it ends, never below zero; None while it is empty."""
        return max(0.0, self._ends_at - self._now()) if self._values else None

    def drain(self) -> Iterator[tuple[names.Metric, float, dict[str, str]]]:
        """Give everything that was added, one by one, and begin anew."""
        values, self._values = self._values, defaultdict(list)
        for (metric, tags), numbers in values.items():
            for number in numbers:
                yield metric, number, dict(tags)
