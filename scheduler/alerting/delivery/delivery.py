"""Run the delivery of all channels: a task a channel, so that one that hangs delays no other.

    delivery = OutboxDelivery(tools)
    delivery.start()                     # embedded host
    delivery.wake(["team-teams"])        # after the engine has stored rows; harmless if it is not called
    await delivery.aclose()

    await delivery.run_once(timedelta(seconds=30))     # Functions host, in the tick and after an engine pass

`StartGate` holds back messages that were stored before the scheduler started, until the jobs that they are about have
run again. Otherwise a reminder that a process stored before it was killed would report, hours later, the failure of a
job that is well. If the job recovers in its first run, the resolution is stored meanwhile, and both become one message.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from jobs.incidents.values import Incident, TransitionKind
from jobs.notifications.port import REPEATED_KINDS, ChannelModel, ChannelResources, OutboxRow, Sender
from jobs.ports import Clock
from scheduler.alerting.delivery.channel_pass import DeliveryTools, deliver_channel
from scheduler.stores.port import StoreError
from scheduler.stores.schedules import MAX_PLANNING_GAP


class SenderDirectory:
    """Creates the sender of each channel, and reuses it until the definition of the channel changes.

    `read_channels`: returns the channels of the current definitions by name. Called each time, so that a reload of the
    job files needs nothing else.
    """

    def __init__(self, read_channels: Callable[[], Mapping[str, ChannelModel]], resources: ChannelResources) -> None:
        self._read_channels = read_channels
        self._resources = resources
        self._senders: dict[str, tuple[ChannelModel, Sender]] = {}

    def list_names(self) -> Sequence[str]:
        return list(self._read_channels())

    def find_sender(self, channel: str) -> Sender | None:
        """Return the sender; a new one if the definition of the channel has changed."""
        model = self._read_channels().get(channel)
        if model is None:
            self._senders.pop(channel, None)
            return None
        known = self._senders.get(channel)
        if known is None or known[0] != model:
            known = self._senders[channel] = (model, model.create_sender(self._resources))
        return known[1]

    def find_fallback(self, channel: str) -> str | None:
        model = self._read_channels().get(channel)
        return None if model is None else model.fallback


_OPENINGS = frozenset({TransitionKind.OPENED, TransitionKind.REOPENED, TransitionKind.JOINED, TransitionKind.RAISED})
"""Messages about a new failure. They wait only if a run was due while the scheduler did not run: if none was, the
failure is current."""
_POLL_INTERVAL = timedelta(seconds=10)
"""Between two checks whether the jobs have run."""


class FirstRunFacts(Protocol):
    async def find_first_runs_end(self, incident: Incident, now: datetime, *, is_missed: bool) -> datetime | None:
        """Return until when messages about the incident wait for the first runs since the start; None: no wait."""
        ...


class IncidentReads(Protocol):
    async def find(self, incident: str) -> Incident | None: ...


class StartGate:
    """Holds back the messages of an earlier process (see the module). Implements DeliveryGate."""

    def __init__(self, incidents: IncidentReads, facts: FirstRunFacts, clock: Clock) -> None:
        self._incidents = incidents
        self._facts = facts
        self._clock = clock
        self._began_at = clock.now()

    async def hold(self, rows: Sequence[OutboxRow]) -> Sequence[OutboxRow]:
        now, held = self._clock.now(), dict[str, datetime]()
        for incident in dict.fromkeys(row.notification.incident for row in rows):
            kinds = {row.notification.kind for row in rows if row.notification.incident == incident}
            due_at = max(row.notification.due_at for row in rows if row.notification.incident == incident)
            # Due since the start, and not before a gap in which the process was suspended.
            is_fresh = due_at >= self._began_at and due_at + MAX_PLANNING_GAP >= now
            if is_fresh or not kinds <= REPEATED_KINDS | _OPENINGS:
                continue
            found = await self._incidents.find(incident)
            if found is not None and (end := await self._find_end(found, kinds, now)) is not None:
                held[incident] = end
        return [_postpone(row, held.get(row.notification.incident)) for row in rows]

    async def _find_end(self, incident: Incident, kinds: set[TransitionKind], now: datetime) -> datetime | None:
        if not incident.is_open:
            return None  # the resolution follows, and replaces these messages
        is_missed = bool(kinds & _OPENINGS)
        end = await self._facts.find_first_runs_end(incident, now, is_missed=is_missed)
        return None if end is None else min(end, now + _POLL_INTERVAL)


def _postpone(row: OutboxRow, until: datetime | None) -> OutboxRow:
    return row if until is None else replace(row, next_attempt_at=max(until, row.next_attempt_at or until))


LOG = logging.getLogger(__name__)

_POLL_S = 15.0
"""Seconds between queries for channels with rows, such as those that another process has stored."""
_STORE_RETRY_S = 5.0
_MIN_WAIT_S = 0.05
"""Between two passes of a channel, where two processes change the same rows."""
_CLOSE_GRACE_S = 5.0
"""Seconds for messages that are being sent. One that is cut off is sent again."""


class OutboxDelivery:
    """Runs a task for each channel that has rows, until it has none. Not thread-safe: used in one event loop."""

    def __init__(self, tools: DeliveryTools) -> None:
        self._tools = tools
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._events: dict[str, asyncio.Event] = {}
        self._poller: asyncio.Task[None] | None = None
        self._is_closing = False

    def start(self) -> None:
        """Start to deliver, including what an earlier process has left."""
        if self._poller is None:
            self._poller = asyncio.get_running_loop().create_task(self._poll())

    def wake(self, channels: Iterable[str]) -> None:
        """Deliver the rows of these channels now; those that wait for a retry are not due earlier."""
        for channel in channels:
            self._events.setdefault(channel, asyncio.Event()).set()
            if channel not in self._tasks and not self._is_closing:
                self._tasks[channel] = asyncio.get_running_loop().create_task(self._run_channel(channel))

    async def run_once(self, limit: timedelta) -> None:
        """Deliver for at most this long what is due now or becomes due in this time. Raises nothing."""
        until = self._tools.clock.now() + limit
        try:
            async with asyncio.timeout(limit.total_seconds()):
                channels = await self._tools.store.list_channels()
                await asyncio.gather(*(self._deliver_until(channel, until) for channel in channels))
        except TimeoutError:
            LOG.info("could not finish the delivery within %s s; the next pass continues", limit.total_seconds())
        except StoreError as error:
            LOG.warning("could not list channels with notifications: %s; the next tick retries", error)

    async def aclose(self) -> None:
        """Stop after the messages that are being sent."""
        self._is_closing = True
        tasks = [*self._tasks.values(), *([self._poller] if self._poller else [])]
        if self._poller:
            self._poller.cancel()
        for event in self._events.values():
            event.set()
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=_CLOSE_GRACE_S)
            for task in pending:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self) -> None:
        while True:
            try:
                self.wake(await self._tools.store.list_channels())
            except StoreError as error:
                LOG.warning("could not list channels with notifications: %s; retried in %s s", error, _POLL_S)
            await self._tools.clock.sleep(_POLL_S)

    async def _run_channel(self, channel: str) -> None:
        """Deliver until the channel has no rows."""
        event = self._events[channel]
        try:
            while not self._is_closing:
                event.clear()
                due_at = await self._deliver(channel)
                if due_at is not None:
                    await self._wait(event, due_at)
                elif not event.is_set():
                    return
        finally:
            # Without a wait since the event was checked, so that `wake` starts another task.
            del self._tasks[channel]

    async def _deliver_until(self, channel: str, until: datetime) -> None:
        while (due_at := await self._deliver(channel)) is not None and due_at < until:
            await self._tools.clock.sleep(self._seconds_to(due_at))

    async def _deliver(self, channel: str) -> datetime | None:
        """Deliver what is due. Return when the next row of the channel is due; None if it has no rows."""
        try:
            return await deliver_channel(self._tools, channel)
        except StoreError as error:
            LOG.warning("could not deliver to channel %s: %s; retried in %s s", channel, error, _STORE_RETRY_S)
        except Exception:
            LOG.exception("could not deliver to channel %s; retried in %s s", channel, _STORE_RETRY_S)
        return self._tools.clock.now() + timedelta(seconds=_STORE_RETRY_S)

    async def _wait(self, event: asyncio.Event, due_at: datetime) -> None:
        """Return when `due_at` is reached or the event is set."""
        loop = asyncio.get_running_loop()
        waits = {loop.create_task(self._tools.clock.sleep(self._seconds_to(due_at))), loop.create_task(event.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _seconds_to(self, due_at: datetime) -> float:
        return max(_MIN_WAIT_S, (due_at - self._tools.clock.now()).total_seconds())
