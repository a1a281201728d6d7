"""What steps may save: how much of it, and how long a saved secret is looked for in texts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.checks.clock import PhaseClock
from jobs.checks.kinds.http import HttpCheck
from jobs.checks.kinds.steps import StepsCheck
from jobs.checks.port import AttemptContext
from jobs.definition import JobDefinition
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.clocks import SystemClock
from jobs.running.runner import Runner
from jobs.runs import ErrorClass, Observation, Run
from jobs.targets.steps import StepsTarget
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens
from tests.jobs.running.memory_states import MemoryStates
from tests.jobs.running.run_parts import TICKET, Heard
from tests.parts.http_server import Answer, HttpServer, Request


class Issuer(HttpServer):
    """Answers each sign-in with another token; any other path repeats what the request sent."""

    def __init__(self, token: Any = None) -> None:
        super().__init__()
        self._token = token
        self.issued = 0

    def answer(self, request: Request) -> Answer:
        if request.path != "/sign-in":
            return Answer(status=500, body=request.headers.get("authorization", "").encode())
        self.issued += 1
        token = f"fresh-token-{self.issued:05}" if self._token is None else self._token
        return Answer(body=json.dumps({"token": token, "id": "shown-id"}).encode())


@asynccontextmanager
async def checking(redactor: Redactor) -> AsyncIterator[StepsCheck]:
    http = HttpCheck(MemorySecrets(), MemoryTokens(), redactor)
    check = StepsCheck(http, redactor)
    try:
        yield check
    finally:
        await check.aclose()
        await http.aclose()


def sign_in(url: str, **save: Any) -> dict[str, Any]:
    return {"name": "sign in", "url": f"{url}/sign-in", "save": save or {"token": {"json": "$.token"}}}


def look() -> dict[str, Any]:
    return {"name": "look", "url": "/look", "headers": {"Authorization": "Bearer ${token}"}}


async def run_check(server: Issuer, *steps: dict[str, Any]) -> Observation:
    async with server, checking(Redactor()) as check:
        target = StepsTarget.model_validate({"kind": "steps", "steps": [sign_in(server.url), *steps]})
        return await check.observe(target, AttemptContext("j@1", 1, PhaseClock()))


@asynccontextmanager
async def running(redactor: Redactor) -> AsyncIterator[Runner]:
    async with checking(redactor) as check:
        yield Runner({"steps": check}, CircuitBreakers(MemoryStates()), Heard(), SystemClock(), redactor)


def job(url: str, **more: Any) -> JobDefinition:
    check = {"kind": "steps", "steps": [sign_in(url), look()], **more}
    expect = [{"body_contains": "never"}]
    check["steps"][1]["expect"] = [{"status": 500}, *expect]
    return JobDefinition.model_validate({"name": "checkout", "check": check, "retry": {"attempts": 1}})


async def test_a_saved_secret_is_released_when_its_run_is_over() -> None:
    redactor = Redactor()
    redactor.add_permanent("of-the-settings")
    async with Issuer() as issuer, running(redactor) as runner:
        runs: list[Run] = [await runner.run(job(issuer.url), TICKET) for _ in range(20)]
    assert {run.error for run in runs} == {ErrorClass.EXPECTATION_FAILED}
    assert not any("fresh-token" in repr(run) for run in runs)
    assert redactor.held_count == 1


async def test_a_saved_secret_is_held_while_its_run_cleans_up() -> None:
    held: list[int] = []
    redactor = Redactor()

    class Slow(Issuer):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
            if connection == 3:
                await asyncio.sleep(0)
                held.append(redactor.held_count)
            await super().serve(reader, writer, connection)

    async with Slow() as issuer, running(redactor) as runner:
        cleanup = [{"name": "sign out", "url": f"{issuer.url}/out?of=${{token}}", "allow_plain_http": True}]
        run = await runner.run(job(issuer.url, cleanup=cleanup), TICKET)
    assert run.attempts
    assert held == [1]
    assert redactor.held_count == 0


async def test_saved_secrets_of_a_run_that_is_cancelled_are_released() -> None:
    redactor, arrived = Redactor(), asyncio.Event()

    class Stuck(Issuer):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
            if connection == 2:
                arrived.set()
                await reader.read()
            await super().serve(reader, writer, connection)

    async with Stuck() as issuer, running(redactor) as runner:
        task = asyncio.create_task(runner.run(job(issuer.url), TICKET))
        await arrived.wait()
        assert redactor.held_count == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert redactor.held_count == 0


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("x" * 16_385, "with it the saved secrets would have 16385 characters; the limit is 16384"),
        ("\n".join(["line"] * 201), "with it the saved secrets would have 201 lines; the limit is 200"),
        ("x" * 65_537, "the value has more than 65536 characters"),
        ([["x" * 100]] * 700, "the value has more than 65536 characters"),
    ],
)
async def test_a_value_that_is_too_large_to_save_ends_the_steps(token: Any, words: str) -> None:
    observed = await run_check(Issuer(token))
    assert observed.error is ErrorClass.STEP_FAILED
    assert words in observed.message


async def test_secrets_of_several_steps_count_together() -> None:
    server = Issuer("x" * 9000)
    again = {"name": "again", "url": "/sign-in", "save": {"token2": {"json": "$.token"}}}
    observed = await run_check(server, again)
    assert observed.message == (
        "Step 2 of 2 (again): Nothing to save as token2: with it the saved secrets would have 18000 characters; "
        "the limit is 16384: save less of the response (by a narrower JSONPath or a regex), "
        "or write `secret: false` if it may be shown."
    )


async def test_what_is_no_secret_may_be_longer() -> None:
    server = Issuer("x" * 60_000)
    async with server, checking(Redactor()) as check:
        step = sign_in(server.url, token={"json": "$.token", "secret": False})
        target = StepsTarget.model_validate({"kind": "steps", "steps": [step]})
        observed = await check.observe(target, AttemptContext("j@1", 1, PhaseClock()))
    assert observed.error is None


async def test_a_long_secret_is_not_shown() -> None:
    server = Issuer("abcdefgh" * 1000)
    observed = await run_check(server, {**look(), "expect": [{"status": 500}, {"body_contains": "never"}]})
    assert "***" in observed.message
    assert "abcdefgh" not in observed.message


@pytest.mark.parametrize(
    ("count", "secret", "words"),
    [
        (51, True, "the steps save 51 secret values; at most 50 are allowed: write `secret: false`"),
        (201, False, "the steps save 201 values; at most 200 are allowed"),
    ],
)
def test_a_job_that_saves_too_many_values_is_refused(count: int, secret: bool, words: str) -> None:
    save = {f"v{number}": {"cookie": "c", "secret": secret} for number in range(count)}
    with pytest.raises(ValidationError, match=words):
        StepsTarget.model_validate({"kind": "steps", "steps": [{"name": "a", "url": "http://h/", "save": save}]})
