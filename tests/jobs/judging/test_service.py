"""The service judges at once what is short, and elsewhere what is not."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jobs.judging import ExpectationVerdict, Judgement, JudgingTask, JudgingUnavailable
from jobs.judging.process import ProcessStartError, TaskDone, TaskFailed, TaskOutcome, TaskStopped
from jobs.judging.service import JudgingFailed, JudgingService
from jobs.redaction import Redactor
from tests.jobs.expectations.helpers import answer, entries
from tests.jobs.judging.tasks import Sample

REDACT = Redactor().redact


class FakeProcess:
    """Gives these outcomes; without one it waits until it is closed."""

    def __init__(self, *outcomes: TaskOutcome | ProcessStartError) -> None:
        self._outcomes = list(outcomes)
        self._closed = threading.Event()
        self.started = threading.Event()
        self.performed: list[JudgingTask[Any]] = []

    def perform(self, task: JudgingTask[Any], seconds: float) -> TaskOutcome:
        self.performed.append(task)
        self.started.set()
        if not self._outcomes:
            self._closed.wait(30)
            return TaskFailed("closed")
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, ProcessStartError):
            raise outcome
        return outcome

    def stop(self) -> None:
        pass

    def close(self) -> None:
        self._closed.set()


async def judged(process: FakeProcess, task: JudgingTask[Any], **more: float) -> Any:
    async with JudgingService(process) as service:
        return (await service.perform("a", task, REDACT, **more)).result


@pytest.fixture
async def service() -> AsyncIterator[JudgingService]:
    async with JudgingService() as service:
        yield service


async def test_a_short_judgement_needs_no_process() -> None:
    process = FakeProcess()
    (failure,) = (await judged(process, Judgement(answer("down"), entries({"body_contains": "up"})))).failures
    assert failure.observed == "'down'"
    assert process.performed == []


async def test_a_judgement_of_a_large_body_reaches_the_process() -> None:
    process = FakeProcess(TaskDone([[], None], "", [], 0.1))
    task = Judgement(answer(b"x" * 300_000), entries({"body_contains": "x"}))
    assert await judged(process, task) == ExpectationVerdict(())
    assert process.performed == [task]


async def test_a_large_body_at_which_no_entry_reads_is_judged_at_once() -> None:
    process = FakeProcess()
    assert await judged(process, Judgement(answer(b"x" * 300_000), entries({"status": 200}))) == ExpectationVerdict(())
    assert process.performed == []


async def test_a_judgement_that_takes_longer_than_a_try_reaches_the_process_and_the_next_one_at_once() -> None:
    process = FakeProcess(TaskDone("done", "", [], 0.1), TaskDone("done", "", [], 0.1))
    tries = 0

    class Counted(Sample):
        def perform(self, redact: Any, begins: Any) -> str:
            nonlocal tries
            tries += 1
            for _ in range(2_000_000):
                pass
            return super().perform(redact, begins)

    async with JudgingService(process) as service:
        task = Counted("exceeds", brief=True)
        for _ in range(2):
            await service.perform("a", task, REDACT)
    assert tries == 1
    assert process.performed == [task, task]


async def test_what_was_stopped_is_not_decided() -> None:
    process = FakeProcess(TaskStopped(1, "stopped after 1 s of CPU time", 1.5))
    task = Judgement(answer(b"x" * 300_000), entries(*[{"body_contains": "x"}] * 2))
    (failure,) = (await judged(process, task)).failures
    assert failure.expectation == "judgement"
    assert failure.observed.startswith("none on entry 2 (body_contains): stopped after 1 s of CPU time")


async def test_an_error_of_the_program_is_one_of_the_program() -> None:
    with pytest.raises(JudgingFailed, match="ValueError"):
        await judged(FakeProcess(TaskFailed("ValueError")), Sample("pid"))


async def test_who_waits_too_long_for_others_is_reported_so() -> None:
    with pytest.raises(
        JudgingUnavailable, match=r"was not judged within 0\.05 s, because judgements of other jobs took too long"
    ):
        await judged(FakeProcess(), Sample("pid"), queue_timeout=0.05)


async def test_what_no_one_waits_for_any_more_is_not_performed() -> None:
    process = FakeProcess()
    async with JudgingService(process) as service:
        first = asyncio.create_task(service.perform("a", Sample("pid"), REDACT))
        second = asyncio.create_task(service.perform("a", Sample("pid"), REDACT))
        await asyncio.to_thread(process.started.wait, 30)
        second.cancel()
        await asyncio.wait([second])
    with pytest.raises(JudgingFailed):
        await first
    assert len(process.performed) == 1


async def test_a_job_with_too_many_judgements_that_wait_is_reported_so() -> None:
    async with JudgingService(FakeProcess()) as service:
        tasks = [asyncio.create_task(service.perform("a", Sample("pid"), REDACT)) for _ in range(9)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
    assert {task.result().result for task in done} == {"undecided at 0: 4 earlier answers of the job are still queued"}


async def test_without_a_process_it_is_done_in_a_thread_and_that_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    process = FakeProcess(ProcessStartError("no such program"))
    with caplog.at_level(logging.WARNING, "jobs.judging"):
        async with JudgingService(process) as service:
            for _ in range(2):
                task = Judgement(answer(b"x" * 300_000), entries({"body_contains": "y"}))
                judged = await service.perform("a", task, REDACT)
                assert len(judged.result.failures) == 1
    (record,) = caplog.records
    assert "could not start the judging process: no such program; long judgements run in a thread" in record.message


async def test_nothing_starts_before_it_is_needed_and_nothing_is_left(service: JudgingService) -> None:
    before = threading.active_count()
    await service.perform("a", Judgement(answer("ok"), entries({"body_contains": "ok"})), REDACT)
    assert threading.active_count() == before


async def test_hostile_jobs_do_not_keep_others_from_being_judged(service: JudgingService) -> None:
    hostile = Judgement(answer(b"a" * 100_000), entries(*[{"body_matches": "(a|aa)+$b"}] * 50))
    honest = Judgement(answer(b"a" * 100_000), entries({"body_matches": "a$"}))
    tasks = [asyncio.create_task(service.perform(f"hostile-{n}", hostile, REDACT, seconds=0.1)) for n in range(4)]
    await asyncio.sleep(0)
    one = await service.perform("honest", honest, REDACT, queue_timeout=60)
    assert one.result == ExpectationVerdict(())
    for task in tasks:
        (*_, last) = (await task).result.failures
        assert last.expectation == "judgement"
