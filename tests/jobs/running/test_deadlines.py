from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from jobs.running.clocks import SelfCancelled, run_with_deadline
from tests.jobs.running.virtual_time import virtual_time


async def done_after(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


def late() -> str:
    return "late"


def elapsed() -> float:
    return asyncio.get_running_loop().time()


class Stubborn:
    """Work that swallows its cancellation as often as told."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.cancellations = 0

    async def work(self) -> str:
        while True:
            try:
                await asyncio.sleep(1000)
                return "done"
            except asyncio.CancelledError:
                self.cancellations += 1
                if self.cancellations > self.times:
                    raise


@virtual_time
async def test_work_that_is_in_time_gives_its_result() -> None:
    assert await run_with_deadline(done_after(4), 5, late) == "done"
    assert elapsed() == pytest.approx(4)


@virtual_time
async def test_work_that_is_not_in_time_is_cancelled_and_late() -> None:
    assert await run_with_deadline(done_after(6), 5, late) == "late"
    assert elapsed() == pytest.approx(5)


@virtual_time
async def test_late_is_queried_before_the_work_is_cancelled() -> None:
    order: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(9)
        finally:
            order.append("cancelled")

    await run_with_deadline(work(), 5, lambda: order.append("late"))
    assert order == ["late", "cancelled"]


@virtual_time
async def test_a_result_given_while_being_cancelled_is_too_late() -> None:
    async def work() -> str:
        try:
            return await done_after(9)
        except asyncio.CancelledError:
            return "quickly done"

    assert await run_with_deadline(work(), 5, late) == "late"


@virtual_time
async def test_work_that_ignores_its_cancellation_is_abandoned_after_the_grace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stubborn = Stubborn(times=1)
    assert await run_with_deadline(stubborn.work(), 5, late, grace=1) == "late"
    assert elapsed() == pytest.approx(6)
    assert caplog.messages == ["could not cancel Stubborn.work within 1 s; it is abandoned"]


@virtual_time
async def test_abandoned_work_may_end_later_without_a_trace_in_asyncio(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError:
            await asyncio.sleep(9)
            raise ValueError("nobody wants to know") from None

    await run_with_deadline(work(), 5, lambda: None, grace=1)
    await asyncio.sleep(20)
    gc.collect()
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == ["jobs.running"]


@virtual_time
async def test_an_error_of_the_work_comes_out() -> None:
    async def work() -> str:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        await run_with_deadline(work(), 5, late)


@virtual_time
async def test_late_may_raise_and_the_work_is_cancelled_all_the_same() -> None:
    def too_late() -> str:
        raise TimeoutError

    stubborn = Stubborn(times=0)
    with pytest.raises(TimeoutError):
        await run_with_deadline(stubborn.work(), 5, too_late)
    assert stubborn.cancellations == 1


@virtual_time
async def test_the_work_ends_with_its_caller() -> None:
    stubborn = Stubborn(times=0)
    caller = asyncio.create_task(run_with_deadline(stubborn.work(), 5, late))
    await asyncio.sleep(1)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert (stubborn.cancellations, elapsed()) == (1, pytest.approx(1))


@virtual_time
async def test_stubborn_work_holds_a_cancelled_caller_for_the_grace_only() -> None:
    caller = asyncio.create_task(run_with_deadline(Stubborn(times=1).work(), 5, late, grace=1))
    await asyncio.sleep(1)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert elapsed() == pytest.approx(2)


@virtual_time
async def test_a_caller_cancelled_twice_does_not_wait_for_the_grace() -> None:
    caller = asyncio.create_task(run_with_deadline(Stubborn(times=1).work(), 5, late, grace=1))
    await asyncio.sleep(1)
    caller.cancel()
    await asyncio.sleep(0.25)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert elapsed() == pytest.approx(1.25)


@virtual_time
async def test_work_that_cancels_itself_is_not_counted_as_a_cancelled_caller() -> None:
    async def work() -> str:
        raise asyncio.CancelledError

    with pytest.raises(SelfCancelled, match="work was cancelled from within"):
        await run_with_deadline(work(), 5, late)
