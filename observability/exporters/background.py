"""The interface of exporters, and what they share: a bounded queue, one thread, exact counts, pauses between slices.

`BackgroundExporter` accepts events on the loop and passes them in lists to a `Delivery`, which may block: its SDK is
synchronous, slow to import and waits for the network. The thread sleeps while there are no events.

A thread that computes holds the interpreter's lock, and the event loop waits for it several times a run. An exporter
works in bursts: after seconds of gathering, hundreds of events are converted. Without pauses, each run within a burst
would wait for each of its turns; with them, it waits for one slice at most.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeVar

from jobs.problems import make_printable
from observability.events import LogLine, ProgramEvent, TelemetryEvent

if TYPE_CHECKING:
    from jobs.redaction import Redactor

APPLICATION_INSIGHTS = "application_insights"
DATADOG = "datadog"
OTLP = "otlp"

ExporterState = Literal["off", "on", "degraded"]


@dataclass(frozen=True, slots=True)
class SpoolState:
    """`requests` and `size` (bytes) wait since `oldest`. `problem`: why they wait in memory, not on disk."""

    requests: int = 0
    size: int = 0
    oldest: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ExporterHealth:
    """`degraded`: the last delivery failed, or events were dropped since the last one that succeeded.

    `last_error` is a redacted message, retained after recovery; `sent` counts what the destination accepted, in its
    items (rows, points, checks, log entries, spans); `dropped` counts lost events. `spool`: the requests that wait.
    """

    exporter: str
    state: ExporterState
    last_error: str = ""
    sent: int = 0
    dropped: int = 0
    spool: SpoolState = SpoolState()


class Exporter(Protocol):
    @property
    def name(self) -> str: ...

    def start(self) -> None:
        """Begin to deliver, in the background. Returns at once."""
        ...

    def offer(self, event: TelemetryEvent) -> None:
        """Take the event, or drop and count it. Returns at once, whatever the other end does."""
        ...

    def health(self) -> ExporterHealth: ...

    async def aclose(self, timeout: float) -> None:  # noqa: ASYNC109  # part of the contract
        """Deliver what is queued and end, within `timeout` seconds. What is left then is dropped."""
        ...


class FilteredExporter:
    """An exporter that gets these events only, and everything that is not an event of the scheduler itself: runs,
    measurements, and the log's warnings. Implements Exporter.
    """

    def __init__(self, exporter: Exporter, events: Collection[str]) -> None:
        self._exporter = exporter
        self._events = frozenset(events)

    @property
    def name(self) -> str:
        return self._exporter.name

    def start(self) -> None:
        self._exporter.start()

    def offer(self, event: TelemetryEvent) -> None:
        """Pass the event on, unless it is one of the scheduler that was not selected."""
        if isinstance(event, (LogLine, ProgramEvent)) and event.name and event.name not in self._events:
            return
        self._exporter.offer(event)

    def health(self) -> ExporterHealth:
        return self._exporter.health()

    async def aclose(self, timeout: float) -> None:  # noqa: ASYNC109  # part of the contract
        await self._exporter.aclose(timeout)


def select_events(exporter: Exporter, events: Literal["all", "none"] | Collection[str]) -> Exporter:
    """Return the exporter with these events of the scheduler itself."""
    if events == "all":
        return exporter
    return FilteredExporter(exporter, () if events == "none" else events)


T = TypeVar("T")

WORK_SLICE_S: Final = 0.0005
"""Processor time of a thread after which it pauses."""
PAUSE_S: Final = 0.002
"""So an exporter uses at most a fifth of a core while nothing is urgent."""


class Pace:
    """`is_urgent`: whether work is not delayed: many events wait, or the program stops. Any thread may pause."""

    def __init__(
        self,
        is_urgent: Callable[[], bool] = lambda: False,
        *,
        worked: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`worked`: the processor time of the current thread, in seconds."""
        self._is_urgent = is_urgent
        self._worked = worked
        self._sleep = sleep
        self._slice = threading.local()

    def pause(self) -> None:
        """Sleep if this thread has worked for a slice."""
        worked = self._worked()
        began = getattr(self._slice, "began", None)
        if began is None:
            self._slice.began = worked
        elif worked - began >= WORK_SLICE_S:
            if not self._is_urgent():
                self._sleep(PAUSE_S)
            self._slice.began = worked

    def spread(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, with pauses between them."""
        for item in items:
            self.pause()
            yield item


def encode_list(items: Iterable[object], pace: Pace) -> bytes:
    """Return the JSON of a list. The encoder of a whole list would not let another thread run meanwhile."""
    return f"[{','.join(json.dumps(item) for item in pace.spread(items))}]".encode()


_log = logging.getLogger("observability.exporters")

EVENT_QUEUE_CAPACITY = 10_000
"""Events that wait at most while the destination is slow or unavailable."""
_MAX_REASON_LENGTH = 500
"""Of a failure: the destination chooses its words."""


_OPENING = threading.Lock()
"""Exporters import their SDKs one after the other. Modules that import each other are incomplete for a thread
that imports them at the same time: Python gives up one of two import locks that would block each other."""


class ShutdownSignal:
    """Signals a delivery that the program stops, with its deadline. `wake`: lets the exporter deliver soon."""

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self.wake = wake
        self._started = threading.Event()
        self._deadline = 0.0

    def start(self, timeout: float) -> None:
        self._deadline = time.monotonic() + timeout
        self._started.set()

    @property
    def is_started(self) -> bool:
        return self._started.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait, at most until the shutdown starts. Return whether it has started."""
        return self._started.wait(seconds)

    def remaining_seconds(self, otherwise: float) -> float:
        """Return the seconds left to finish, never below zero; before the shutdown `otherwise`, the maximum."""
        if not self.is_started:
            return otherwise
        return min(otherwise, max(0.0, self._deadline - time.monotonic()))


class DeliveryCounts:
    """The results of deliveries. Written by the exporter and its delivery, from any thread.

    `part`: an intake that can fail independently of others; the exporter is degraded while one of them fails.
    """

    def __init__(self, name: str, redactor: Redactor) -> None:
        self._name = name
        self._redactor = redactor
        self._lock = threading.Lock()
        self._sent = 0
        self._dropped = 0
        self._dropping = False
        self._failing: set[str] = set()
        self._last_error = ""
        self._spool_state: Callable[[], SpoolState] = SpoolState

    def watch_spool(self, state: Callable[[], SpoolState]) -> None:
        """Include the requests that wait in `health`."""
        self._spool_state = state

    def record_success(self, items: int, part: str = "") -> None:
        """Record that the destination accepted this many items."""
        with self._lock:
            recovered = part in self._failing
            self._failing.discard(part)
            self._dropping = False
            self._sent += items
        if recovered:
            _log.info("%s accepts telemetry again %s", self._name, part)

    def record_failure(self, reason: str, part: str = "") -> None:
        """Record a failed delivery, which can be repeated. The first failure in succession is logged."""
        reason = make_printable(self._redactor.redact(reason), _MAX_REASON_LENGTH)
        with self._lock:
            first = part not in self._failing
            self._failing.add(part)
            self._last_error = reason
        if first:
            _log.warning("could not send telemetry to %s: %s; runs are not affected", self._name, reason)

    def record_drop(self, events: int) -> None:
        """Record events, or items made of them, that will not arrive."""
        if events:
            with self._lock:
                self._dropped += events
                self._dropping = True

    def health(self) -> ExporterHealth:
        spool = self._spool_state()
        with self._lock:
            state: ExporterState = "degraded" if self._failing or self._dropping else "on"
            return ExporterHealth(self._name, state, self._last_error, self._sent, self._dropped, spool)


class Delivery(Protocol):
    """The blocking half of an exporter. Its methods are called from one thread."""

    def open(self, counts: DeliveryCounts, closing: ShutdownSignal, pace: Pace) -> None:
        """Import and set up the SDK. May raise anything: the exporter is then degraded and drops all events.

        `pace`: the delivery pauses between its events, rows and entries.
        """
        ...

    def deliver(self, events: list[TelemetryEvent]) -> None:
        """Send the events and those queued before; update the counts. If it raises, the events are dropped."""
        ...

    def next_delivery_in(self) -> float | None:
        """Return the seconds until `deliver` is due without new events; None while no event is queued."""
        ...

    def close(self) -> None:
        """Flush and end, within `closing.remaining`."""
        ...


class BackgroundExporter:
    """An exporter around a delivery.

    `gather_seconds`: how long events are gathered before they are delivered; `urgent_size`: so many of them do not
    wait.
    """

    def __init__(
        self,
        name: str,
        delivery: Delivery,
        redactor: Redactor,
        *,
        gather_seconds: float,
        urgent_size: int,
        capacity: int = EVENT_QUEUE_CAPACITY,
    ) -> None:
        self._name = name
        self._delivery = delivery
        self._gather_seconds = gather_seconds
        self._urgent_size = urgent_size
        self._capacity = capacity
        self._queue: deque[TelemetryEvent] = deque()
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._rejects_events = False
        self._counts = DeliveryCounts(name, redactor)
        self._closing = ShutdownSignal(self._wake.set)
        self._pace = Pace(self._is_urgent)
        self._thread = threading.Thread(target=self._run, name=f"export-{name}", daemon=True)

    @property
    def name(self) -> str:
        return self._name

    def start(self) -> None:
        self._thread.start()

    def offer(self, event: TelemetryEvent) -> None:
        waiting = len(self._queue)
        if self._rejects_events or waiting >= self._capacity:
            self._counts.record_drop(1)
            return
        self._queue.append(event)
        if not self._wake.is_set():
            self._wake.set()
        if waiting >= self._urgent_size and not self._urgent.is_set():
            self._urgent.set()

    def health(self) -> ExporterHealth:
        return self._counts.health()

    async def aclose(self, timeout: float) -> None:  # noqa: ASYNC109  # bounds a thread, not a coroutine
        if not self._thread.is_alive():
            return
        self._closing.start(timeout)
        self._urgent.set()
        self._wake.set()
        await asyncio.to_thread(self._thread.join, timeout)
        self._rejects_events = True
        self._drop_queued()

    def _is_urgent(self) -> bool:
        return self._closing.is_started or len(self._queue) >= self._urgent_size

    def _run(self) -> None:
        try:
            with _OPENING:
                self._delivery.open(self._counts, self._closing, self._pace)
        except Exception as error:
            self._rejects_events = True
            self._counts.record_failure(f"cannot be set up: {_describe_error(error)}")
            self._drop_queued()
            return
        while not self._closing.is_started:
            due_in = self._delivery.next_delivery_in()
            if self._wake.wait(due_in):
                # Requests that wait are not delayed by events that are gathered.
                self._urgent.wait(self._gather_seconds if due_in is None else min(self._gather_seconds, due_in))
            self._urgent.clear()
            self._wake.clear()
            self._deliver_queued()
        self._deliver_queued()
        try:
            self._delivery.close()
        except Exception as error:
            self._counts.record_failure(_describe_error(error))

    def _deliver_queued(self) -> None:
        events = [self._queue.popleft() for _ in range(len(self._queue))]
        try:
            self._delivery.deliver(events)
        except Exception as error:
            # Never the end of the thread: one batch that its SDK cannot take must not cost all the later ones.
            self._counts.record_failure(_describe_error(error))
            self._counts.record_drop(len(events))

    def _drop_queued(self) -> None:
        lost = len(self._queue)
        self._queue.clear()
        self._counts.record_drop(lost)


def _describe_error(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
