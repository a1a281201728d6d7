"""Calendars are evaluated in the judging process, whose limits hold for what every other rule accepts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from jobs.incidents.rota_calendar import CALENDAR_BYTES
from jobs.incidents.rotas import RotaDefinition
from jobs.judging import InlineJudge
from jobs.judging.calendar_task import CalendarTask
from jobs.judging.process import JudgingProcess, TaskDone, TaskStopped
from jobs.judging.service import JudgingService
from jobs.redaction import Redactor
from tests.jobs.incidents.routing.calendars import calendar_of
from tests.jobs.incidents.routing.hostile_calendars import COSTLY, PROGRAMS

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
DEFINITION = RotaDefinition.model_validate({"file": "rota.ics", "people": {"Anna": "phone"}, "otherwise": "chat"})


def task_of(content: bytes) -> CalendarTask:
    return CalendarTask.of(DEFINITION, content, NOW, NOW + timedelta(days=70), NOW)


@pytest.fixture(scope="module")
def process() -> Iterator[JudgingProcess]:
    process = JudgingProcess(CALENDAR_BYTES)
    yield process
    process.stop()


@pytest.mark.parametrize(
    "content", [PROGRAMS["Google"], calendar_of(("Zoe", "20260601T000000Z", "P1D")), b"<html>"], ids=["a", "b", "c"]
)
async def test_the_process_gives_the_result_of_this_one(process: JudgingProcess, content: bytes) -> None:
    task = task_of(content)
    here = await InlineJudge().perform("rota", task, Redactor().redact)
    done = process.perform(task, 5)
    assert isinstance(done, TaskDone)
    assert task.unpack(done.packed, str) == here.result
    assert isinstance(here.result, str) == (content == b"<html>")


def test_a_calendar_that_every_rule_accepts_and_that_needs_minutes_is_stopped(process: JudgingProcess) -> None:
    task = task_of(COSTLY)
    stopped = process.perform(task, 0.5)
    assert isinstance(stopped, TaskStopped)
    assert task.undecided(stopped.part, stopped.why) == (
        "the calendar could not be evaluated: stopped after 0.5 s of CPU time; "
        "export fewer events, or simpler recurrences"
    )


def test_a_calendar_that_needs_too_much_memory_is_stopped(process: JudgingProcess) -> None:
    stopped = process.perform(task_of(COSTLY), 30)
    assert isinstance(stopped, TaskStopped)
    assert stopped.why == "it needed too much memory"


async def test_an_evaluation_does_not_hold_up_the_loop_or_the_stop() -> None:
    judges, steps = JudgingService(JudgingProcess(1024 * 1024 * 1024)), 0
    judging = asyncio.create_task(judges.perform("rota", task_of(COSTLY), Redactor().redact, seconds=10))
    begin = time.monotonic()
    while time.monotonic() - begin < 1:
        await asyncio.sleep(0.01)
        steps += 1
    assert not judging.done()
    begin = time.monotonic()
    await judges.aclose()
    assert time.monotonic() - begin < 5
    assert steps > 20
    judging.cancel()
