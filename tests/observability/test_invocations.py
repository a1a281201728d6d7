"""Log records that the Functions host would drop are logged by the next invocation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from observability.invocations import (
    HELD_RECORDS,
    HeldRecords,
    Invocation,
    InvocationFilter,
    current_invocation,
    run_in_invocation,
)


class Recording(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def worker() -> Iterator[Recording]:
    """The worker's handler, on a logger of its own."""
    handler = Recording()
    handler.addFilter(InvocationFilter(handler))
    logger = logging.getLogger("tests.invocations")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    HELD_RECORDS.clear()


def log(text: str, *args: object) -> None:
    logging.getLogger("tests.invocations").warning(text, *args)


async def test_a_record_of_a_running_invocation_is_passed_on_at_once(worker: Recording) -> None:
    with run_in_invocation(Invocation()):
        log("now")
        assert worker.messages == ["now"]


async def test_a_record_of_a_thread_waits_for_the_next_invocation(worker: Recording) -> None:
    changing = ["before"]
    with run_in_invocation(Invocation()):
        await asyncio.to_thread(log, "thread %s", changing)
    changing[0] = "after"
    assert worker.messages == []

    with run_in_invocation(Invocation()):
        assert worker.messages == ["thread ['before']"]


async def test_a_record_of_a_task_that_outlives_its_invocation_waits(worker: Recording) -> None:
    ended = asyncio.Event()

    async def outlive() -> None:
        log("while it runs")
        await ended.wait()
        log("after it ended")

    with run_in_invocation(Invocation()):
        task = asyncio.create_task(outlive())
        await asyncio.sleep(0)
    ended.set()
    await task
    assert worker.messages == ["while it runs"]

    with run_in_invocation(Invocation()):
        assert worker.messages == ["while it runs", "after it ended"]


async def test_a_record_of_a_callback_without_a_task_waits(worker: Recording) -> None:
    with run_in_invocation(Invocation()):
        asyncio.get_running_loop().call_soon(log, "callback")
        await asyncio.sleep(0)
        assert worker.messages == []


async def test_only_the_newest_records_are_held_and_the_others_counted(worker: Recording) -> None:
    held = HeldRecords(capacity=2)
    for number in range(5):
        held.add(worker, logging.LogRecord("x", logging.INFO, "", 0, f"record {number}", None, None))
    with run_in_invocation(Invocation()):
        held.release()
    assert worker.messages == ["record 3", "record 4"]


async def test_one_invocation_within_another_context_leaves_it_as_it_was(worker: Recording) -> None:
    outer = Invocation("outer")
    with run_in_invocation(outer):
        with run_in_invocation(Invocation("inner")):
            assert current_invocation() is not outer
        assert current_invocation() is outer
        log("outer goes on")
    assert worker.messages == ["outer goes on"]
