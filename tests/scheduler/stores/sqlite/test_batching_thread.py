"""The thread that takes blocking calls off the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from scheduler.stores.sqlite.store import MAX_BATCH, BatchingThread, BatchingThreadClosed


async def test_what_waits_while_the_thread_is_busy_is_one_group() -> None:
    groups: list[Sequence[int]] = []
    free, busy = threading.Event(), threading.Event()

    def work(group: Sequence[int]) -> Sequence[int]:
        groups.append(group)
        busy.set()
        free.wait(5)
        return [item * 10 for item in group]

    lane: BatchingThread[int, int] = BatchingThread("test", work)
    first = asyncio.ensure_future(lane.submit(1))
    await asyncio.to_thread(busy.wait, 5)
    later = []
    for item in (2, 3, 4):
        later.append(lane.submit(item))
        await asyncio.sleep(0)
    free.set()
    assert await asyncio.gather(first, *later) == [10, 20, 30, 40]
    assert groups == [[1], [2, 3, 4]]
    await lane.aclose()


async def test_a_group_has_a_bound() -> None:
    sizes: list[int] = []

    def work(group: Sequence[int]) -> Sequence[int]:
        sizes.append(len(group))
        return group

    lane: BatchingThread[int, int] = BatchingThread("test", work)
    answers = []
    for turn in range(8):
        answers += [lane.submit(turn) for _ in range(MAX_BATCH // 2)]
        await asyncio.sleep(0)
    await asyncio.gather(*answers)
    await lane.aclose()
    assert max(sizes) < MAX_BATCH * 1.5


async def test_an_answer_that_is_an_error_is_raised_for_its_item_alone() -> None:
    lane: BatchingThread[int, int] = BatchingThread(
        "test", lambda group: [ValueError(item) if item % 2 else item for item in group]
    )
    answers = await asyncio.gather(*(lane.submit(item) for item in range(4)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [int, ValueError, int, ValueError]
    await lane.aclose()


async def test_work_that_breaks_is_raised_for_every_item_and_the_thread_continues() -> None:
    def work(group: Sequence[int]) -> Sequence[int]:
        if 0 in group:
            raise ZeroDivisionError
        return group

    lane: BatchingThread[int, int] = BatchingThread("test", work)
    broken = await asyncio.gather(lane.submit(0), lane.submit(1), return_exceptions=True)
    assert [type(answer) for answer in broken] == [ZeroDivisionError, ZeroDivisionError]
    assert await lane.submit(2) == 2
    await lane.aclose()


async def test_closing_works_off_what_was_submitted_and_takes_nothing_more() -> None:
    lane: BatchingThread[int, int] = BatchingThread("test", lambda group: group)
    answers = [lane.submit(item) for item in range(3)]
    await lane.aclose()
    await lane.aclose()
    assert await asyncio.gather(*answers) == [0, 1, 2]
    with pytest.raises(BatchingThreadClosed):
        lane.submit(4)


async def test_closing_waits_for_work_that_hangs_only_as_long_as_it_is_instructed_to() -> None:
    free = threading.Event()

    def work(group: Sequence[int]) -> Sequence[int]:
        free.wait()
        return group

    lane: BatchingThread[int, int] = BatchingThread("test", work)
    answer = lane.submit(1)
    assert not await lane.aclose(0.01)
    free.set()
    assert await answer == 1
    assert await lane.aclose()


async def test_a_cancelled_item_does_not_disturb_the_others() -> None:
    lane: BatchingThread[int, int] = BatchingThread("test", lambda group: group)
    cancelled, other = lane.submit(1), lane.submit(2)
    cancelled.cancel()
    assert await other == 2
    await lane.aclose()


def test_a_loop_that_ends_before_the_answer_leaves_the_thread_in_peace() -> None:
    started, free = threading.Event(), threading.Event()
    lanes: list[BatchingThread[int, int]] = []

    def work(group: Sequence[int]) -> Sequence[int]:
        started.set()
        free.wait(5)
        return group

    async def submit() -> None:
        lane: BatchingThread[int, int] = BatchingThread("test", work)
        lanes.append(lane)
        lane.submit(1)
        await asyncio.to_thread(started.wait, 5)

    asyncio.run(submit())
    free.set()
    lanes[0]._queue.put(None)
    lanes[0]._thread.join(5)
    assert not lanes[0]._thread.is_alive()
