"""Steps and dialogues have what they receive judged on the way, by the service that judges whole attempts, too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import pytest

from jobs.checks.clock import PhaseClock
from jobs.checks.kinds.http import HttpCheck
from jobs.checks.kinds.step_values import StepJudgement
from jobs.checks.kinds.steps import JUDGING_SECONDS, StepsCheck
from jobs.checks.kinds.tcp import PatternSearch, TcpCheck
from jobs.checks.net.network import Network
from jobs.checks.net.tls_contexts import TlsContexts
from jobs.checks.port import AttemptContext
from jobs.judging import InlineJudge, Judge, JudgedResult, Judgement, JudgingTask, JudgingUnavailable
from jobs.judging.service import JudgingService
from jobs.redaction import Redact, Redactor
from jobs.runs import ErrorClass, Observation
from jobs.targets.steps import Step, StepsTarget
from jobs.targets.tcp import TcpTarget
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens
from tests.jobs.expectations.helpers import answer, entries
from tests.parts.http_server import Answer, HttpServer, Request

R = TypeVar("R")
TOKEN = "open-sesame-0123456789"


class Large(HttpServer):
    """Answers with a token in a document that is too large to be judged on the event loop."""

    def answer(self, request: Request) -> Answer:
        return Answer(body=json.dumps({"pad": "x" * 100_000, "token": TOKEN, "list": [1, {"a": None}]}).encode())


class Slow(InlineJudge):
    """Says that each judgement took so many seconds of computing."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.jobs: list[str] = []

    async def perform(self, job: str, task: JudgingTask[R], redact: Redact, **more: Any) -> JudgedResult[R]:
        self.jobs.append(job)
        judged = await super().perform(job, task, redact, **more)
        return JudgedResult(judged.result, self.seconds)


class Unavailable:
    async def perform(self, job: str, task: JudgingTask[R], redact: Redact, **more: Any) -> JudgedResult[R]:
        raise JudgingUnavailable("The answer was not judged: others were.")


@pytest.fixture
async def judges() -> AsyncIterator[JudgingService]:
    async with JudgingService() as service:
        yield service


async def run_check(
    judges: Judge, *steps: dict[str, Any], redactor: Redactor | None = None, **more: Any
) -> Observation:
    redactor = redactor or Redactor()
    http = HttpCheck(MemorySecrets(), MemoryTokens(), redactor)
    check = StepsCheck(http, redactor, judges)
    target = StepsTarget.model_validate({"kind": "steps", "steps": steps, **more})
    try:
        return await check.observe(target, AttemptContext("shop@20260101T000000.000Z", 1, PhaseClock()))
    finally:
        await check.aclose()
        await http.aclose()


def step(url: str, number: int = 1, **more: Any) -> dict[str, Any]:
    return {"name": str(number), "url": f"{url}/{number}", **more}


async def test_values_of_a_large_answer_are_saved_and_stay_secret(judges: JudgingService) -> None:
    redactor = Redactor()
    save = {"token": {"json": "$.token"}, "list": {"json": "$.list"}}
    async with Large() as large:
        observations = await run_check(
            judges,
            step(large.url, 1, save=save, expect=[{"json": "$.list[0]", "equals": 1}]),
            step(large.url, 2, method="POST", body={"json": "${list}"}, headers={"x": "${token}"}),
            step(large.url, 3, expect=[{"body": {"equals": "${token}"}}]),
            redactor=redactor,
        )
        requests = large.requests
    assert json.loads(requests[1].body) == [1, {"a": None}]
    assert requests[1].headers["x"] == TOKEN
    assert observations.error is ErrorClass.EXPECTATION_FAILED
    assert TOKEN not in observations.message
    assert "***" in observations.message


async def test_a_value_that_a_large_answer_does_not_have_ends_them(judges: JudgingService) -> None:
    async with Large() as large:
        observations = await run_check(judges, step(large.url, save={"x": {"regex": "nothing (.)"}}))
    assert observations.error is ErrorClass.STEP_FAILED
    assert observations.message.startswith(
        "Step 1 of 1 (1): Nothing to save as x: 'nothing (.)' is not found in the body, '{"
    )


async def test_all_steps_of_an_attempt_have_one_budget_and_clean_up_has_its_own() -> None:
    async with Large() as large:
        steps = [step(large.url, number, expect=[{"min_body": 1}]) for number in range(1, 5)]
        slow = Slow(JUDGING_SECONDS / 2)
        observations = await run_check(slow, *steps, cleanup=[step(large.url, 9, expect=[{"min_body": 1}])])
    assert observations.error is ErrorClass.EXPECTATION_FAILED
    assert "Step 3 of 4 (3): Not as expected: judgement: expected a decision on 1 entry" in observations.message
    assert "all steps of an attempt have 3 s of computing" in observations.message
    assert observations.failures == ()
    assert slow.jobs == ["shop"] * 3


async def test_a_step_that_no_one_could_judge_is_not_the_fault_of_its_target() -> None:
    async with Large() as large:
        observations = await run_check(Unavailable(), step(large.url, expect=[{"min_body": 1}]))
    assert observations.error is ErrorClass.INTERNAL_ERROR
    assert observations.message == "Step 1 of 1 (1): The answer was not judged: others were."


async def test_the_response_time_does_not_hold_what_judging_took() -> None:
    class Waits(InlineJudge):
        async def perform(self, job: str, task: JudgingTask[R], redact: Redact, **more: Any) -> JudgedResult[R]:
            # Three seconds on the clock of the attempt.
            clock._started -= 3
            return await super().perform(job, task, redact, **more)

    clock = PhaseClock()
    redactor = Redactor()
    http = HttpCheck(MemorySecrets(), MemoryTokens(), redactor)
    async with Large() as large:
        target = {"kind": "steps", "steps": [step(large.url, expect=[{"min_body": 1}])]}
        check = StepsCheck(http, redactor, Waits())
        observations = await check.observe(StepsTarget.model_validate(target), AttemptContext("shop@1", 1, clock))
        await http.aclose()
    assert observations.phases.total_ms < 2_900
    assert observations.facts["steps"][0]["ms"] < 2_900


def test_the_place_at_which_a_judgement_was_stopped_is_an_entry_or_a_value() -> None:
    sources = Step.model_validate(step("http://a.test", save={"a": {"regex": "x"}, "b": {"json": "$.b"}})).save
    task = StepJudgement(Judgement(answer("x"), entries({"body_contains": "x"})), tuple(sources.items()))
    (failure,) = task.undecided(0, "it was stopped").failures
    assert failure.observed.startswith("none on entry 1 (body_contains): it was stopped")
    missing = task.undecided(2, "it was stopped").missing
    assert missing is not None
    assert (missing.name, missing.reason) == (
        "b",
        "it was not decided: it was stopped; simplify its path or pattern, or read less of the answer (read_limit)",
    )


# --- dialogues ---


async def hear(judges: Judge, pattern: str, *output: bytes) -> Observation:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in output:
            writer.write(piece)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        check = TcpCheck(MemorySecrets(), Redactor(), Network(), TlsContexts(), judges=judges)
        target = {"kind": "tcp", "host": "127.0.0.1", "port": port, "dialogue": [{"receive": pattern}]}
        return await check.observe(TcpTarget.model_validate(target), AttemptContext("mail@1", 1, PhaseClock()))


async def test_a_long_text_is_searched_elsewhere(judges: JudgingService) -> None:
    observations = await hear(judges, "ready$", b"x" * 40_000 + b"ready")
    assert observations.error is None, observations.message


async def test_all_patterns_of_a_dialogue_have_one_budget() -> None:
    observations = await hear(Slow(1.1), "never", *[b"x" * 60_000] * 20)
    assert observations.error is ErrorClass.EXPECTATION_FAILED
    assert "sent its text in so many pieces that 'never' took more than 250 ms in all: make the" in observations.message


@pytest.mark.parametrize(
    ("pattern", "heard", "found", "hopeless"),
    [
        ("^220", b"220 a", True, False),
        ("^220", b"500", False, True),
        ("^220", b"22", False, False),
        ("a", b"", False, False),
    ],
)
def test_what_is_heard_is_found_or_may_come_or_never_will(
    pattern: str, heard: bytes, found: bool, hopeless: bool
) -> None:
    task = PatternSearch(pattern, heard)
    result = task.perform(lambda text, *, cut=False: text, lambda _: None)
    assert (result.found, result.cannot_match, result.undecided) == (found, hopeless, "")
    assert task.unpack(task.pack(result), str) == result
