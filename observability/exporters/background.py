"""Everything exporters have in common: a bounded queue, one thread, honest numbers.

`BackgroundExporter` takes events on the loop and hands them in lists to a `Delivery`, which may block as it likes:
the SDKs behind it are synchronous, slow to import and wait for the network. The thread sleeps while there is nothing.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from observability.events import TelemetryEvent
from observability.exporters.port import ExporterHealth, State

if TYPE_CHECKING:
    from jobs.redaction import Redactor

_log = logging.getLogger("observability.exporters")

CAPACITY = 10_000
"""Events that wait at most while the other end is slow or away."""


class Closing:
    """Tells a delivery that the program ends, and by when it has to be done."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._deadline = 0.0

    def begin(self, timeout: float) -> None:
        self._deadline = time.monotonic() + timeout
        self._begun.set()

    @property
    def begun(self) -> bool:
        return self._begun.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait, but no longer than until closing begins. True: it has begun."""
        return self._begun.wait(seconds)

    def remaining(self, otherwise: float) -> float:
        """Seconds left to finish, never below zero; `otherwise` as long as nothing closes, and at most."""
        if not self.begun:
            return otherwise
        return min(otherwise, max(0.0, self._deadline - time.monotonic()))


class Tally:
    """What became of the events. Written by the exporter and its delivery, from any thread.

    `part`: what can fail on its own (an intake of several); the exporter is degraded while one of them fails.
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

    def succeeded(self, items: int, part: str = "") -> None:
        """The other end accepted this many items."""
        with self._lock:
            recovered = part in self._failing
            self._failing.discard(part)
            self._dropping = False
            self._sent += items
        if recovered:
            _log.info("%s takes telemetry again %s", self._name, part)

    def failed(self, reason: str, part: str = "") -> None:
        """A delivery did not succeed; it may still be repeated. The first of a row is logged."""
        reason = self._redactor.redact(reason)
        with self._lock:
            first = part not in self._failing
            self._failing.add(part)
            self._last_error = reason
        if first:
            _log.warning("%s does not take telemetry (runs are not affected): %s", self._name, reason)

    def dropped(self, events: int) -> None:
        """So many events, or items made of them, will not arrive."""
        if events:
            with self._lock:
                self._dropped += events
                self._dropping = True

    def health(self) -> ExporterHealth:
        with self._lock:
            state: State = "degraded" if self._failing or self._dropping else "on"
            return ExporterHealth(self._name, state, self._last_error, self._sent, self._dropped)


class Delivery(Protocol):
    """The blocking half of an exporter. All calls come from the one thread."""

    def open(self, tally: Tally, closing: Closing) -> None:
        """Import and set up the SDK. May raise anything: the exporter is then degraded and drops what it is offered."""
        ...

    def deliver(self, events: list[TelemetryEvent]) -> None:
        """Send the events, and what was kept back. Tells the tally. May raise anything: the events are then dropped."""
        ...

    def again_in(self) -> float | None:
        """Seconds after which `deliver` is wanted though nothing is offered; None when nothing is kept back."""
        ...

    def close(self) -> None:
        """Flush and end, within `closing.remaining`."""
        ...


class BackgroundExporter:
    """An exporter around a delivery.

    `gather_s`: how long events are gathered before they are delivered; `hurry_at`: so many of them do not wait.
    """

    def __init__(
        self,
        name: str,
        delivery: Delivery,
        redactor: Redactor,
        *,
        gather_s: float,
        hurry_at: int,
        capacity: int = CAPACITY,
    ) -> None:
        self._name = name
        self._delivery = delivery
        self._gather_s = gather_s
        self._hurry_at = hurry_at
        self._capacity = capacity
        self._queue: deque[TelemetryEvent] = deque()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._refusing = False
        self._tally = Tally(name, redactor)
        self._closing = Closing()
        self._thread = threading.Thread(target=self._work, name=f"export-{name}", daemon=True)

    @property
    def name(self) -> str:
        return self._name

    def start(self) -> None:
        self._thread.start()

    def offer(self, event: TelemetryEvent) -> None:
        waiting = len(self._queue)
        if self._refusing or waiting >= self._capacity:
            self._tally.dropped(1)
            return
        self._queue.append(event)
        if not self._wake.is_set():
            self._wake.set()
        if waiting >= self._hurry_at and not self._hurry.is_set():
            self._hurry.set()

    def health(self) -> ExporterHealth:
        return self._tally.health()

    async def aclose(self, timeout: float) -> None:  # noqa: ASYNC109  # bounds a thread, not a coroutine
        if not self._thread.is_alive():
            return
        self._closing.begin(timeout)
        self._hurry.set()
        self._wake.set()
        await asyncio.to_thread(self._thread.join, timeout)
        self._refusing = True
        self._give_up_queued()

    def _work(self) -> None:
        try:
            self._delivery.open(self._tally, self._closing)
        except Exception as error:
            self._refusing = True
            self._tally.failed(f"cannot be set up: {_sentence(error)}")
            self._give_up_queued()
            return
        while not self._closing.begun:
            if self._wake.wait(self._delivery.again_in()):
                self._hurry.wait(self._gather_s)
            self._hurry.clear()
            self._wake.clear()
            self._deliver_queued()
        self._deliver_queued()
        try:
            self._delivery.close()
        except Exception as error:
            self._tally.failed(_sentence(error))

    def _deliver_queued(self) -> None:
        events = [self._queue.popleft() for _ in range(len(self._queue))]
        try:
            self._delivery.deliver(events)
        except Exception as error:
            # Never the end of the thread: one batch that its SDK cannot take must not cost all the later ones.
            self._tally.failed(_sentence(error))
            self._tally.dropped(len(events))

    def _give_up_queued(self) -> None:
        lost = len(self._queue)
        self._queue.clear()
        self._tally.dropped(lost)


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
