"""How many bytes the bodies of answers may take in memory, of all attempts of a process together.

Made by scheduler.app; the runner takes a `BodyRoom` for each attempt and releases it once the attempt is judged and
recorded as text; http.py reserves bytes in it before it reads more than FREE_BYTES of a body.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from jobs.checks.errors import BodyMemoryExhausted

MOST_BYTES = 64 * 1024 * 1024
FREE_BYTES = 64 * 1024
"""Of each body: these are not counted, so that usual answers never wait. The places bound how many there are."""
PATIENCE = 5.0
"""Seconds for which a body waits for others to be released."""
_JOB_SHARE, _HOST_SHARE = 4, 2
"""One job has at most a quarter of the bytes, one host half of them."""


@dataclass(eq=False, slots=True)
class _Waiter:
    room: BodyRoom
    number: int
    called: asyncio.Future[None]


class BodyMemory:
    """For one event loop. A body that is larger than a share is read alone."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most = most
        self.held = 0
        self._held: Counter[tuple[str, str]] = Counter()
        self._waiting: list[_Waiter] = []

    def room(self, job: str, host: str) -> BodyRoom:
        """Return the room of one attempt, which holds nothing yet."""
        return BodyRoom(self, job, host)

    async def reserve(self, room: BodyRoom, number: int) -> None:
        """Wait until the room may hold so many bytes. Raises BodyMemoryExhausted after PATIENCE seconds."""
        if not self._waiting and self._fits(room, number):
            self._add(room, number)
            return
        waiter = _Waiter(room, number, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._hand_on()  # those before it may wait for their share alone
        try:
            async with asyncio.timeout(PATIENCE):
                await waiter.called
        except BaseException as error:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                self._hand_on()
            else:
                self.give_back(room, number)
            if isinstance(error, TimeoutError):
                raise BodyMemoryExhausted(self.exhausted(room, number)) from None
            raise

    def give_back(self, room: BodyRoom, number: int) -> None:
        """Let others have so many bytes of this room."""
        if number:
            self._add(room, -number)
            self._hand_on()

    def exhausted(self, room: BodyRoom, number: int) -> str:
        """Return why a room may not hold so many bytes more, a sentence."""
        from jobs.expectations.answer import size_text  # the settings import this module for MOST_BYTES alone

        whose, held, most = "of all jobs", self.held, self.most
        for (kind, name), limit in self._limits(room):
            if self._held[kind, name] and self._held[kind, name] + number > limit:
                whose, held, most = f"of {kind} {name}", self._held[kind, name], limit
                break
        return (
            f"No memory for a body of {size_text(number)}: the bodies {whose} take {size_text(held)} of "
            f"{size_text(most)}, and no more may be held at a time; this is not the target's fault. Lower the "
            "read_limit of jobs, or raise the setting targets.body_memory."
        )

    def _add(self, room: BodyRoom, number: int) -> None:
        self.held += number
        for key in room.keys:
            self._held[key] += number
            if not self._held[key]:
                del self._held[key]
        room.held += number

    def _fits(self, room: BodyRoom, number: int) -> bool:
        return self._fits_share(room, number) and (not self.held or self.held + number <= self.most)

    def _fits_share(self, room: BodyRoom, number: int) -> bool:
        limits = self._limits(room)
        return all(not self._held[key] or self._held[key] + number <= limit for key, limit in limits)

    def _limits(self, room: BodyRoom) -> Iterator[tuple[tuple[str, str], int]]:
        return zip(room.keys, (self.most // _JOB_SHARE, self.most // _HOST_SHARE), strict=True)

    def _hand_on(self) -> None:
        """In the order in which they came, past those whose job or host has its share."""
        for waiter in tuple(self._waiting):
            if waiter.called.done() or not self._fits_share(waiter.room, waiter.number):
                continue
            if not self._fits(waiter.room, waiter.number):
                return
            self._waiting.remove(waiter)
            self._add(waiter.room, waiter.number)
            waiter.called.set_result(None)


class BodyRoom:
    """The bytes that one attempt holds."""

    __slots__ = ("_closed", "_memory", "held", "keys")

    def __init__(self, memory: BodyMemory, job: str, host: str) -> None:
        self._memory = memory
        self._closed = False
        self.keys = (("job", job), ("host", host))
        self.held = 0

    def another(self) -> BodyRoom:
        """Return a room of the same job, for what goes on when the attempt is over."""
        return self._memory.room(self.keys[0][1], self.keys[1][1])

    async def reserve(self, number: int) -> None:
        """Wait until it may hold so many bytes in all. Raises BodyMemoryExhausted."""
        if self._closed:
            raise BodyMemoryExhausted("The attempt is over.")
        if number > self.held:
            await self._memory.reserve(self, number - self.held)

    def exhausted(self, number: int) -> str:
        """Return why it may not hold so many bytes now, a sentence."""
        return self._memory.exhausted(self, number)

    def close(self) -> None:
        """Release everything: the attempt is over."""
        self._closed = True
        self.shrink(0)

    def shrink(self, number: int) -> None:
        """Hold no more than so many bytes."""
        if number < self.held:
            self._memory.give_back(self, self.held - number)
