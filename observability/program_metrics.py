"""What the parts of the program measure about themselves, added up and sent together every ten seconds.

The methods of ProgramMetrics are the callbacks and ports of the parts, which know neither names of metrics nor
exporters; they neither wait nor raise. A measurement costs a few additions on the path of its caller; an event for the
exporters is made once an interval, so that frequent measurements neither fill their queues nor wake their threads.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from jobs.runs.outcomes import ReasonCode
from observability import names
from observability.events import Measurement, Measurements

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


UNCHANGED_INTERVAL: Final = 290.0
"""Seconds after which a gauge with the same value is published again: each five minutes, a point of Azure's charts."""

_GATES = {
    ReasonCode.NO_CAPACITY: "place",
    ReasonCode.NO_SLOT: "slot",
    ReasonCode.STORE_UNAVAILABLE: "store",
}
"""The tag of a wait, where the code of its reason is not the name of what the run waits for."""


class ProgramMetrics:
    """`by_circuit`: whether changes of circuits are split by circuit."""

    def __init__(self, meter: Meter, *, by_circuit: bool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._meter = meter
        self._by_circuit = by_circuit
        self._monotonic = monotonic
        self._published: dict[tuple[names.Metric, str], tuple[float, float]] = {}
        """By gauge and tag: the value, and when it was published."""

    def circuit_changed(self, circuit: str, state: str) -> None:
        """A circuit breaker has another state: closed, open or half_open."""
        tags = {names.TAG_STATE: state, **({names.TAG_CIRCUIT: circuit} if self._by_circuit else {})}
        self._meter.count(names.CIRCUIT_CHANGES, tags=tags)

    def retry_denied(self) -> None:
        """The retry budget did not allow a retry."""
        self._meter.count(names.DENIED_RETRIES)

    def run_waited(self, reason: ReasonCode, seconds: float) -> None:
        """A run has waited for this reason and does not wait for it any more."""
        gate = _GATES.get(reason, reason.value)
        self._meter.record(names.GATE_WAITS, round(seconds * 1000, 3), {names.TAG_GATE: gate})

    def alerts_evaluated(self, subjects: int) -> None:
        """The alert rules of so many jobs or groups were judged."""
        self._meter.count(names.ALERT_EVALUATIONS, subjects)

    def notification_sent(self, channel_kind: str) -> None:
        """A channel accepted a message."""
        self._meter.count(names.SENT_NOTIFICATIONS, tags={names.TAG_CHANNEL_KIND: channel_kind})

    def notification_failed(self, channel_kind: str) -> None:
        """An attempt to send a message failed; another one may follow."""
        self._meter.count(names.FAILED_NOTIFICATIONS, tags={names.TAG_CHANNEL_KIND: channel_kind})

    def notifications_given_up(self, channel_kind: str, number: int) -> None:
        """Notifications could not be delivered to any channel."""
        self._meter.count(names.UNDELIVERED_NOTIFICATIONS, number, {names.TAG_CHANNEL_KIND: channel_kind})

    def process_gauges(self, *, open_circuits: int, retry_budget_use: float) -> None:
        """The state of this process."""
        self._set_gauge(names.OPEN_CIRCUITS, open_circuits)
        self._set_gauge(names.RETRY_BUDGET_USE, round(retry_budget_use, 4))

    def open_incidents(self, by_severity: Mapping[str, int]) -> None:
        """How many incidents are open, by severity."""
        for severity, number in by_severity.items():
            self._set_gauge(names.OPEN_INCIDENTS, number, {names.TAG_SEVERITY: severity})

    def pending_notifications(self, by_channel_kind: Mapping[str, int]) -> None:
        """How many notifications wait, by the kind of their channel."""
        for kind, number in by_channel_kind.items():
            self._set_gauge(names.PENDING_NOTIFICATIONS, number, {names.TAG_CHANNEL_KIND: kind})

    def rollup_lag(self, seconds: float) -> None:
        """For how long complete hours of statistics have been waiting."""
        self._set_gauge(names.ROLLUP_LAG, round(seconds, 3))

    def _set_gauge(self, metric: names.Metric, value: float, tags: Mapping[str, str] = NO_TAGS) -> None:
        """Publish a value that has changed. One that has not is published again after some minutes, as each costs."""
        key, now = (metric, next(iter(tags.values()), "")), self._monotonic()
        known = self._published.get(key)
        if known is None or known[0] != value or now - known[1] >= UNCHANGED_INTERVAL:
            self._published[key] = value, now
            self._meter.set_gauge(metric, value, tags)
