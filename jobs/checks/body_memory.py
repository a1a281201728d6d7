"""Limit the memory that response bodies use, over all attempts of a process.

Built by scheduler.app. The runner opens a BodyReservation for each attempt and closes it once the attempt is judged and
recorded. jobs.checks.http.exchange reserves bytes before it reads more than UNCOUNTED_BYTES of a body.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from jobs.checks.errors import BodyMemoryExhausted

MAX_BODY_BYTES = 64 * 1024 * 1024
UNCOUNTED_BYTES = 64 * 1024
"""Of each body: not counted, so that usual responses never wait. The concurrency limit bounds their number."""
BODY_MEMORY_TIMEOUT = 5.0
"""Seconds for which a body waits until others are released."""
_JOB_SHARE, _HOST_SHARE = 4, 2
"""One job gets at most a quarter of the bytes, one host half of them."""


@dataclass(eq=False, slots=True)
class _PendingReservation:
    reservation: BodyReservation
    number: int
    granted: asyncio.Future[None]


class BodyMemory:
    """The bytes that bodies hold, for one event loop. A body that is larger than a share is read alone."""

    def __init__(self, most: int = MAX_BODY_BYTES) -> None:
        self.most = most
        self.held = 0
        self._held: Counter[tuple[str, str]] = Counter()
        self._waiting: list[_PendingReservation] = []

    def open_reservation(self, job: str, host: str) -> BodyReservation:
        """Return the reservation of one attempt, which holds nothing yet."""
        return BodyReservation(self, job, host)

    async def reserve(self, room: BodyReservation, number: int) -> None:
        """Wait until the reservation may hold so many more bytes.

        Raises BodyMemoryExhausted after BODY_MEMORY_TIMEOUT.
        """
        if not self._waiting and self._fits(room, number):
            self._add(room, number)
            return
        waiter = _PendingReservation(room, number, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._wake_waiters()  # earlier ones may wait for their own share
        try:
            async with asyncio.timeout(BODY_MEMORY_TIMEOUT):
                await waiter.granted
        except BaseException as error:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                self._wake_waiters()
            else:
                self.release(room, number)
            if isinstance(error, TimeoutError):
                raise BodyMemoryExhausted(self.describe_exhaustion(room, number)) from None
            raise

    def release(self, room: BodyReservation, number: int) -> None:
        """Release so many bytes of a reservation."""
        if number:
            self._add(room, -number)
            self._wake_waiters()

    def describe_exhaustion(self, room: BodyReservation, number: int) -> str:
        """Return why a reservation cannot hold so many more bytes, as a sentence."""
        from jobs.expectations.entry import format_size  # the settings import this module only for a constant

        whose, held, most = "of all jobs", self.held, self.most
        for (kind, name), limit in self._limits(room):
            if self._held[kind, name] and self._held[kind, name] + number > limit:
                whose, held, most = f"of {kind} {name}", self._held[kind, name], limit
                break
        return (
            f"No memory for a body of {format_size(number)}: the bodies {whose} use {format_size(held)} of "
            f"{format_size(most)}, the limit at a time; this is not the target's fault. Lower the "
            "read_limit of jobs, or raise the setting targets.body_memory."
        )

    def _add(self, room: BodyReservation, number: int) -> None:
        self.held += number
        for key in room.keys:
            self._held[key] += number
            if not self._held[key]:
                del self._held[key]
        room.held += number

    def _fits(self, room: BodyReservation, number: int) -> bool:
        return self._fits_share(room, number) and (not self.held or self.held + number <= self.most)

    def _fits_share(self, room: BodyReservation, number: int) -> bool:
        limits = self._limits(room)
        return all(not self._held[key] or self._held[key] + number <= limit for key, limit in limits)

    def _limits(self, room: BodyReservation) -> Iterator[tuple[tuple[str, str], int]]:
        return zip(room.keys, (self.most // _JOB_SHARE, self.most // _HOST_SHARE), strict=True)

    def _wake_waiters(self) -> None:
        """Grant waiting reservations in the order of arrival, past those whose job or host has used its share."""
        for waiter in tuple(self._waiting):
            if waiter.granted.done() or not self._fits_share(waiter.reservation, waiter.number):
                continue
            if not self._fits(waiter.reservation, waiter.number):
                return
            self._waiting.remove(waiter)
            self._add(waiter.reservation, waiter.number)
            waiter.granted.set_result(None)


class BodyReservation:
    """The bytes that one attempt holds."""

    __slots__ = ("_closed", "_memory", "held", "keys")

    def __init__(self, memory: BodyMemory, job: str, host: str) -> None:
        self._memory = memory
        self._closed = False
        self.keys = (("job", job), ("host", host))
        self.held = 0

    def open_sibling(self) -> BodyReservation:
        """Return a reservation of the same job, for work that continues after the attempt."""
        return self._memory.open_reservation(self.keys[0][1], self.keys[1][1])

    async def reserve(self, number: int) -> None:
        """Wait until it may hold so many bytes in total. Raises BodyMemoryExhausted."""
        if self._closed:
            raise BodyMemoryExhausted("The attempt is over.")
        if number > self.held:
            await self._memory.reserve(self, number - self.held)

    def describe_exhaustion(self, number: int) -> str:
        """Return why it cannot hold so many bytes now, as a sentence."""
        return self._memory.describe_exhaustion(self, number)

    def close(self) -> None:
        """Release everything: the attempt is over."""
        self._closed = True
        self.shrink(0)

    def shrink(self, number: int) -> None:
        """Hold no more than so many bytes."""
        if number < self.held:
            self._memory.release(self, self.held - number)
