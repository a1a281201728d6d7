"""The simulated Storage Queue: at least once, in no order, hidden while in work, seen again after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.runs import Ticket
from scheduler.dispatch.batches import TicketBatch, encode_batch, split_into_batches
from scheduler.dispatch.port import DispatchError
from tests.simulation.loop import NOBODY
from tests.simulation.process import Process, World, true_time

MAX_DELIVERIES = 5
"""maxDequeueCount of host.json."""
HIDDEN_AFTER_FAILURE = 30.0
"""Seconds: visibilityTimeout of host.json."""
POLLED_EVERY = 2.0
"""Seconds: maxPollingInterval of host.json."""
NOBODY_FOR = 10.0
"""Seconds after which a message is offered again when nobody could take it."""


@dataclass(slots=True, eq=False)
class Message:
    """Times are the loop's seconds."""

    body: str
    inserted_at: datetime
    visible_at: float = 0.0
    deliveries: int = 0
    holder: Process | None = None
    """Who renews its lease."""
    gone: bool = False


class Queue:
    """`lease`: seconds for which a message stays hidden when who took it says nothing more. `poison`: where messages
    go that were delivered too often; without one they are delivered for ever."""

    def __init__(
        self, world: World, lease: float, some_process: Callable[[], Process | None], poison: Queue | None = None
    ) -> None:
        self._world = world
        self._lease = lease
        self._some_process = some_process
        self._poison = poison
        self.work: Callable[[Process, Message, int], None] = lambda process, message, delivery: None
        """Begins the function in this process."""
        self.waiting = 0
        self.put_in = 0
        self.redelivered = 0

    def put(self, body: str, hidden: float = 0.0) -> None:
        for _ in range(2 if self._world.happens(self._world.troubles.doubled) else 1):
            self.waiting += 1
            self.put_in += 1
            self._hide(Message(body, true_time()), hidden)

    def done(self, message: Message, delivery: int) -> None:
        """Delete it, unless somebody else has it by now: the receipt is another one then."""
        if message.deliveries == delivery and not message.gone:
            self._remove(message)

    def failed(self, message: Message, delivery: int) -> None:
        if message.deliveries != delivery or message.gone:
            return
        message.holder = None
        if self._poison is None:
            return  # the platform leaves it hidden until its lease ends
        if message.deliveries >= MAX_DELIVERIES:
            self._give_up(message, self._poison)
        else:
            self._hide(message, HIDDEN_AFTER_FAILURE)

    def _remove(self, message: Message) -> None:
        message.gone = True
        self.waiting -= 1

    def _give_up(self, message: Message, poison: Queue) -> None:
        self._remove(message)
        poison.put(message.body)

    def _hide(self, message: Message, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        message.visible_at = loop.time() + seconds
        # Pollers come by at any time, so messages are not taken in their order.
        checked_at = message.visible_at + self._world.luck.uniform(0.01, POLLED_EVERY)
        loop.call_at(checked_at, self._offer, message, context=NOBODY)

    def _offer(self, message: Message) -> None:
        if message.gone or message.visible_at > asyncio.get_running_loop().time():
            return
        if message.holder is not None and message.holder.alive:
            self._hide(message, self._lease)  # it is renewed
            return
        if self._world.is_unavailable or (process := self._some_process()) is None:
            self._hide(message, NOBODY_FOR)
            return
        message.deliveries += 1
        self.redelivered += message.deliveries > 1
        if self._poison is not None and message.deliveries > MAX_DELIVERIES:
            self._give_up(message, self._poison)
            return
        if self._world.happens(self._world.troubles.doubled):
            message.holder = None  # a renewal that fails: others see the message while it is in work
            self._hide(message, self._world.luck.uniform(0, 30))
        else:
            message.holder = process
            self._hide(message, self._lease)
        self.work(process, message, message.deliveries)


class DispatchOf:
    """A process's `scheduler.dispatch.port.Dispatch`: real batches, put on the simulated queue as the adapter does."""

    def __init__(self, process: Process, queue: Queue) -> None:
        self._process = process
        self._queue = queue

    async def send(self, tickets: Sequence[Ticket], *, not_before: datetime | None = None) -> None:
        refused: DispatchError | None = None
        for batch in split_into_batches(tickets, self._process.now()):
            try:
                await self._send(batch, not_before)
            except DispatchError as error:
                refused = error
        if refused is not None:
            raise refused

    async def _send(self, batch: TicketBatch, not_before: datetime | None) -> None:
        world = self._process.world
        await self._process.step()
        if world.is_unavailable or world.happens(world.troubles.unavailable):
            raise DispatchError("the queue is away")
        now = self._process.now()
        hidden = (
            batch.visibility_timeout(now) if not_before is None else max(0.0, (not_before - now) / timedelta(seconds=1))
        )
        self._queue.put(encode_batch(batch), hidden)
        await self._process.step()
        if world.happens(world.troubles.lost_answers):
            raise DispatchError("the answer was lost: the message is sent")

    async def aclose(self) -> None:
        """Holds nothing."""
