"""Sends the transactions of a partition two at a time; what waits meanwhile shares the next one. Used by azure_store.

A partition that is slow or behind gets no more requests by that, but fuller ones: they wait here, where no time-out
ends them, instead of in front of the service, which would work them off though nobody waits for their answers any more.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence

from scheduler.stores.azure_steps import Step, packed

AT_ONCE = 2
"""Transactions of a partition under way: one whose answer is late must not hold up the partition."""

_Place = tuple[str, str]
"""Table and partition."""
_Pack = tuple[Sequence[Step], asyncio.Future[None]]
"""Steps that may share a transaction, and who waits for them."""


class Lanes:
    """`make` makes steps that may share a transaction, and fills in what became of each."""

    def __init__(self, make: Callable[[Sequence[Step]], Awaitable[None]]) -> None:
        self._make = make
        self._waiting: defaultdict[_Place, deque[_Pack]] = defaultdict(deque)
        self._under_way: Counter[_Place] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def make(self, steps: Sequence[Step]) -> None:
        """Make steps that may share a transaction. A caller that is cancelled does not stop them."""
        place = steps[0].place
        made: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[place].append((steps, made))
        if self._under_way[place] < AT_ONCE:
            self._under_way[place] += 1
            task = asyncio.get_running_loop().create_task(self._work(place))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await made

    async def aclose(self) -> None:
        """Wait for what is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _work(self, place: _Place) -> None:
        try:
            while packs := self._take(place):
                await self._make_together(packs)
        finally:
            self._under_way[place] -= 1
            if not self._under_way[place]:
                del self._under_way[place]
                if not self._waiting[place]:
                    del self._waiting[place]

    async def _make_together(self, packs: Sequence[_Pack]) -> None:
        error: BaseException | None = None
        try:
            await self._make([step for steps, _ in packs for step in steps])
        except BaseException as raised:
            # Whatever it is, nobody must wait for ever.
            error = raised
        for _, made in packs:
            if made.done():
                continue  # its caller was cancelled
            if error is None:
                made.set_result(None)
            else:
                made.set_exception(error)

    def _take(self, place: _Place) -> Sequence[_Pack]:
        """The first packs that wait, as many as fit into one transaction; none if nothing waits."""
        waiting = self._waiting[place]
        taken: list[_Pack] = []
        together: list[Step] = []
        while waiting and (not taken or _fit([*together, *waiting[0][0]])):
            taken.append(waiting.popleft())
            together += taken[-1][0]
        return taken


def _fit(steps: Sequence[Step]) -> bool:
    """Whether they may share a transaction."""
    return len([*packed(steps)]) == 1
