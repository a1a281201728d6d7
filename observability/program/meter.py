"""Adds up measurements of the program, and sends them together every ten seconds. Used by telemetry, on the loop.

A measurement costs a few additions on the path of its caller; an event for the exporters is made once an interval,
so that frequent measurements neither fill their queues nor wake their threads.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from observability import names
from observability.measured_values import Measurement, Measurements

FLUSH_INTERVAL: Final = 10.0
"""Seconds between two events while there is something to send."""
MAX_VALUES: Final = 1000
"""Values of distributions that wait at most: then they are sent at once."""

NO_TAGS: Final[Mapping[str, str]] = {}
_Key = tuple[names.Metric, tuple[tuple[str, str], ...]]


class Meter:
    """`send`: gives an event to the exporters. `read_more`: returns counts since its last call, at each flush."""

    def __init__(
        self,
        send: Callable[[Measurements], None],
        read_more: Callable[[], list[Measurement]] = list,
        interval: float = FLUSH_INTERVAL,
    ) -> None:
        self._send = send
        self._read_more = read_more
        self._interval = interval
        self._counts: dict[_Key, float] = defaultdict(float)
        self._values: dict[_Key, list[float]] = defaultdict(list)
        self._gauges: dict[_Key, float] = {}
        self._waiting_values = 0
        self._timer: asyncio.TimerHandle | None = None

    def count(self, metric: names.Metric, number: float = 1.0, tags: Mapping[str, str] = NO_TAGS) -> None:
        """Add to a count."""
        self._counts[_make_key(metric, tags)] += number
        self.wake()

    def record(self, metric: names.Metric, value: float, tags: Mapping[str, str] = NO_TAGS) -> None:
        """Add a value to a distribution."""
        self._values[_make_key(metric, tags)].append(value)
        self._waiting_values += 1
        if self._waiting_values >= MAX_VALUES:
            self.flush()
        else:
            self.wake()

    def set_gauge(self, metric: names.Metric, value: float, tags: Mapping[str, str] = NO_TAGS) -> None:
        """Replace the value of a gauge, which is sent once."""
        self._gauges[_make_key(metric, tags)] = value
        self.wake()

    def wake(self) -> None:
        """Flush within the interval; without a running loop at once."""
        if self._timer is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            if self._counts or self._values or self._gauges:
                self.flush()
        else:
            self._timer = loop.call_later(self._interval, self.flush)

    def flush(self) -> None:
        """Send what was measured since the last time, if anything was."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counts, self._counts = self._counts, defaultdict(float)
        values, self._values = self._values, defaultdict(list)
        gauges, self._gauges = self._gauges, {}
        self._waiting_values = 0
        found = [Measurement(metric, (number,), dict(tags)) for (metric, tags), number in counts.items()]
        found += [Measurement(metric, tuple(numbers), dict(tags)) for (metric, tags), numbers in values.items()]
        found += [Measurement(metric, (value,), dict(tags)) for (metric, tags), value in gauges.items()]
        found += self._read_more()
        if found:
            self._send(Measurements(tuple(found)))


def _make_key(metric: names.Metric, tags: Mapping[str, str]) -> _Key:
    return metric, tuple(sorted(tags.items()))
