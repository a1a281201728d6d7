"""Answers requests that are made at the same time with one request, as for the claims of thousands of waiting runs.

Used by scheduler.worker.claims.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class GroupedRequests(Generic[Item, Answer]):
    """`request` answers a group, in the same order, at most `size` items; others gather meanwhile."""

    def __init__(self, request: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], size: int) -> None:
        self._request = request
        self._size = size
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> Answer:
        """Return the answer to this item. Raises what `request` raises."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answered))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._answer_all())
        return await answered

    async def _answer_all(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            for start in range(0, len(waiting), self._size):
                await self._answer(waiting[start : start + self._size])

    async def _answer(self, group: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        answers: Sequence[Answer] = ()
        failure: BaseException | None = None
        try:
            answers = await self._request([item for item, _ in group])
        except BaseException as error:
            # Any error ends the wait: a caller must not wait without end.
            failure = error
        for place, (_, answered) in enumerate(group):
            if answered.done():
                continue  # its task was cancelled
            if failure is None:
                answered.set_result(answers[place])
            else:
                answered.set_exception(failure)
