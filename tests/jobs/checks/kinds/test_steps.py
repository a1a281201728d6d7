"""Several requests one after the other, each with what earlier answers gave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.checks.body_memory import BodyMemory
from jobs.checks.clock import PhaseClock
from jobs.checks.kinds.http import HttpCheck
from jobs.checks.kinds.steps import StepsCheck
from jobs.checks.port import AttemptContext
from jobs.redaction import Redactor
from jobs.runs import ErrorClass, Observation
from jobs.targets.steps import StepsTarget
from tests.jobs.checks.http_check import HttpCheckDriver, MemorySecrets, MemoryTokens
from tests.parts.http_server import Answer, HttpServer, Request
from tests.parts.http_target import HttpTarget
from tests.parts.tls import ca_file


class WorkerHarness(HttpServer):
    """Signs in by a cookie and a token, makes orders and removes them."""

    def __init__(self) -> None:
        super().__init__()
        self.slow: Callable[[], float] = lambda: 0.0

    def answer(self, request: Request) -> Answer:
        if request.path == "/sign-in":
            body = json.dumps({"token": "open-sesame-1", "user": {"id": 7}}).encode()
            return Answer(body=body, headers={"Set-Cookie": "sid=abc; Path=/"})
        if "sid=abc" not in request.headers.get("cookie", ""):
            return Answer(status=403, body=b"no cookie")
        if request.method == "POST":
            return Answer(status=201, headers={"Location": "/orders/a%2Fb"}, body=request.body)
        if request.method == "DELETE":
            return Answer(status=204)
        return Answer(body=b"order <b>42</b> of " + request.target.encode())


async def run_check(
    target: dict[str, Any], redactor: Redactor | None = None, clock: PhaseClock | None = None
) -> Observation:
    redactor = redactor or Redactor()
    http = HttpCheck(MemorySecrets(), MemoryTokens(), redactor)
    check = StepsCheck(http, redactor)
    try:
        call = AttemptContext("j@1", 1, clock or PhaseClock())
        return await check.observe(StepsTarget.model_validate({"kind": "steps", **target}), call)
    finally:
        await check.aclose()
        await http.aclose()


def sign_in(url: str, **more: Any) -> dict[str, Any]:
    save = {"token": {"json": "$.token"}, "user": {"json": "$.user.id"}}
    return {"name": "sign in", "url": f"{url}/sign-in", "save": save, **more}


async def test_values_of_an_answer_go_into_the_requests_behind_it() -> None:
    async with WorkerHarness() as harness:
        order = {
            "name": "order",
            "method": "POST",
            "url": "/orders",
            "headers": {"Authorization": "Bearer ${token}"},
            "body": {"json": {"user": "${user}", "note": "for ${user}, $$5"}},
            "expect": [{"status": 201}],
            "save": {"order": {"header": "location", "regex": "/orders/(.+)$"}, "place": {"header": "location"}},
        }
        look = {"name": "look", "url": "${place}", "query": {"of": "${user}"}, "save": {"n": {"regex": r"<b>(\d+)"}}}
        last = {"name": "last", "url": "/orders/${order}?n=${n}"}
        observed = await run_check({"steps": [sign_in(harness.url), order, look, last]})
        requests = harness.requests

    assert observed.error is None, observed.message
    assert [step["outcome"] for step in observed.facts["steps"]] == ["succeeded"] * 4
    assert requests[1].headers["authorization"] == "Bearer open-sesame-1"
    assert json.loads(requests[1].body) == {"user": 7, "note": "for 7, $5"}
    assert [request.target for request in requests[2:]] == ["/orders/a%2Fb?of=7", "/orders/a%252Fb?n=42"]


async def test_each_step_has_an_idempotency_key_of_its_own() -> None:
    async with WorkerHarness() as harness:
        await run_check({"steps": [sign_in(harness.url), {"name": "b", "url": "/b"}]})
        keys = [request.headers["idempotency-key"] for request in harness.requests]
    assert keys == ["j@1/1", "j@1/2"]


async def test_the_first_step_that_is_not_as_expected_ends_them_and_is_reported() -> None:
    async with WorkerHarness() as harness:
        steps = [
            sign_in(harness.url),
            {"name": "see", "url": "/x", "expect": [{"status": 404}]},
            {"name": "c", "url": "/c"},
        ]
        observed = await run_check({"steps": steps})
        assert len(harness.requests) == 2
    assert (observed.error, observed.status) == (ErrorClass.UNEXPECTED_STATUS, 200)
    assert observed.message == "Step 2 of 3 (see): Answered 200 OK, expected 404."


async def test_a_value_that_is_missing_ends_them() -> None:
    async with WorkerHarness() as harness:
        observed = await run_check({"steps": [sign_in(harness.url, save={"x": {"json": "$.nothing"}})]})
    assert observed.error is ErrorClass.STEP_FAILED
    assert observed.message == "Step 1 of 1 (sign in): Nothing to save as x: $.nothing selects nothing in the body."


async def test_a_saved_secret_is_not_reported() -> None:
    redactor = Redactor()
    async with WorkerHarness() as harness:
        steps = [sign_in(harness.url), {"name": "b", "url": "/${token}", "expect": [{"body_contains": "nothing"}]}]
        observed = await run_check({"steps": steps}, redactor)
    assert "/***" in observed.message
    assert "open-sesame-1" not in repr(observed.message)


async def test_a_saved_secret_does_not_go_to_another_origin_in_the_url_that_the_target_gives() -> None:
    async with HttpTarget() as harness, HttpTarget() as other:
        harness.on("/in", body='{"token": "open-sesame-1"}')
        harness.on("/see", 302, headers={"location": f"{other.url}/?next=open-sesame-1"})
        steps = [
            {"name": "in", "url": f"{harness.url}/in", "save": {"token": {"json": "$.token"}}},
            {"name": "see", "url": "/see"},
        ]
        observed = await run_check({"steps": steps})
        assert other.requests == []
    assert observed.error is ErrorClass.PROTOCOL_ERROR
    assert "redirects to another origin with a secret of the job in the URL" in observed.message


async def test_what_only_degrades_is_reported_with_its_step() -> None:
    async with WorkerHarness() as harness:
        expect = [{"body_contains": "nothing", "severity": "degraded"}]
        observed = await run_check({"steps": [sign_in(harness.url, expect=expect)]})
    assert observed.error is None
    assert [failure.expectation for failure in observed.failures] == ["sign in: body_contains"]


async def test_cleaning_up_happens_after_a_failure_with_what_is_known() -> None:
    async with WorkerHarness() as harness:
        cleanup = [
            {"name": "remove", "method": "DELETE", "url": "/orders/${user}"},
            {"name": "never", "method": "DELETE", "url": "/orders/${later}"},
        ]
        steps = [
            sign_in(harness.url),
            {"name": "bad", "url": "/x", "expect": [{"status": 404}], "save": {"later": {"cookie": "sid"}}},
        ]
        observed = await run_check({"steps": steps, "cleanup": cleanup})
        assert [request.target for request in harness.requests] == ["/sign-in", "/x", "/orders/7"]
    assert observed.message.startswith("Step 2 of 2")


async def test_a_cleaning_up_that_fails_degrades() -> None:
    async with WorkerHarness() as harness:
        cleanup = [{"name": "remove", "url": "/x", "expect": [{"status": 404}]}]
        observed = await run_check({"steps": [sign_in(harness.url)], "cleanup": cleanup})
    assert observed.error is None
    assert [str(failure) for failure in observed.failures] == [
        "cleanup remove: expected completed cleanup, observed Answered 200 OK, expected 404"
    ]


async def test_cleaning_up_outlives_an_attempt_that_is_abandoned() -> None:
    arrived = asyncio.Event()

    class Stuck(WorkerHarness):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
            if connection == 2:
                arrived.set()
                await reader.read()
            await super().serve(reader, writer, connection)

    async with Stuck() as harness:
        cleanup = [{"name": "remove", "method": "DELETE", "url": "/orders/${user}"}]
        requesting = asyncio.create_task(
            run_check({"steps": [sign_in(harness.url), {"name": "stuck", "url": "/stuck"}], "cleanup": cleanup})
        )
        await arrived.wait()
        requesting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await requesting
        assert [request.target for request in harness.requests] == ["/sign-in", "/orders/7"]


async def test_a_step_has_a_time_of_its_own() -> None:
    class Silent(WorkerHarness):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
            await reader.read()

    async with Silent() as harness:
        observed = await run_check({"steps": [{"name": "a", "url": f"{harness.url}/a", "timeout": "50ms"}]})
    assert observed.error is ErrorClass.RESPONSE_TIMEOUT
    assert f"No response from 127.0.0.1:{harness.port} within 50 ms: it accepted the connection" in observed.message


async def test_a_url_that_an_answer_gives_must_be_one() -> None:
    async with WorkerHarness() as harness:
        observed = await run_check({"steps": [sign_in(harness.url), {"name": "b", "url": "${token}:x"}]})
    assert observed.error is ErrorClass.STEP_FAILED
    assert observed.message.startswith("Step 2 of 2 (b): Its url cannot be requested")


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([{"name": "a", "url": "/a"}], "has no host"),
        (
            [{"name": "a", "url": "http://h/${x}"}],
            "${x} is not saved by an earlier step; add a save to an earlier step",
        ),
        (
            [{"name": "a", "url": "http://h/", "save": {"y": {"cookie": "c"}}}, {"name": "b", "url": "/${x}"}],
            "steps[1]: ${x} is not saved by an earlier step; saved names: y",
        ),
        ([{"name": "a", "url": "http://h/"}, {"name": "a", "url": "/"}], "'a' is the name of two steps"),
        ([], "at least 1"),
    ],
)
def test_steps_that_make_no_sense_are_refused(steps: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ValidationError, match=r"(?s).*") as error:
        StepsTarget.model_validate({"kind": "steps", "steps": steps})
    assert words in str(error.value)


async def test_each_step_is_reported_with_its_status_its_time_and_how_it_ended() -> None:
    async with WorkerHarness() as harness:
        steps = [sign_in(harness.url), {"name": "see", "url": "/x", "expect": [{"status": 404}]}]
        cleanup = [{"name": "remove", "method": "DELETE", "url": "/orders/${user}"}]
        observed = await run_check({"steps": steps, "cleanup": cleanup})
    reported = [{key: value for key, value in step.items() if key != "ms"} for step in observed.facts["steps"]]
    assert reported == [
        {"name": "sign in", "outcome": "succeeded", "status": 200},
        {"name": "see", "outcome": "failed", "status": 200, "error": "unexpected_status"},
        {"name": "remove", "outcome": "succeeded", "status": 204, "cleanup": True},
    ]
    assert all(step["ms"] > 0 for step in observed.facts["steps"])


async def test_the_clock_has_the_steps_of_an_attempt_that_is_abandoned() -> None:
    arrived = asyncio.Event()

    class Stuck(WorkerHarness):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
            if connection == 2:
                arrived.set()
                await reader.read()
            await super().serve(reader, writer, connection)

    clock = PhaseClock()
    async with Stuck() as harness:
        requesting = asyncio.create_task(
            run_check({"steps": [sign_in(harness.url), {"name": "stuck", "url": "/s"}]}, clock=clock)
        )
        await arrived.wait()
        facts = clock.facts()
        requesting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await requesting
    assert [(step["name"], step["outcome"], step["status"]) for step in facts["steps"]] == [
        ("sign in", "succeeded", 200),
        ("stuck", "timed_out", None),
    ]
    assert facts["steps"][1]["error"] == "response_timeout"


@pytest.mark.parametrize("allowed", [False, True])
async def test_a_secret_does_not_go_to_a_plain_http_url_that_an_answer_gave(allowed: bool) -> None:
    """The host is not asked: its name leads nowhere."""
    async with WorkerHarness() as harness:
        first = {"name": "a", "url": f"{harness.url}/sign-in", "save": {"token": {"json": "$.token"}}}
        second = {
            "name": "b",
            "url": "${token}",
            "headers": {"Authorization": "Bearer ${token}"},
            "allow_plain_http": allowed,
        }
        harness.answer = lambda request: Answer(body=b'{"token": "http://shop.invalid/"}')  # type: ignore[method-assign]
        observed = await run_check({"steps": [first, second]})
    if allowed:
        assert observed.error is not ErrorClass.STEP_FAILED
    else:
        assert observed.error is ErrorClass.STEP_FAILED
        assert observed.message == (
            "Step 2 of 2 (b): It would send secrets over plain http; if that is intended, set allow_plain_http: true."
        )


async def test_the_certificate_of_the_last_step_over_tls_is_reported() -> None:
    async with HttpTarget(tls="good") as secure, WorkerHarness() as plain:
        tls = {"ca_file": ca_file()}
        steps = [{"name": "a", "url": f"{secure.url}/health", "tls": tls}, {"name": "b", "url": f"{plain.url}/sign-in"}]
        observed = await run_check({"steps": steps})
        failed = await run_check({"steps": [{**steps[0], "expect": [{"status": 404}]}]})
    assert (observed.error, observed.facts["tls_version"], len(observed.certificates)) == (None, "TLSv1.3", 1)
    assert (failed.error, failed.certificates) == (ErrorClass.UNEXPECTED_STATUS, observed.certificates)


async def test_each_step_reads_its_body_into_the_memory_of_the_one_before_it(
    run_check: HttpCheckDriver, target: HttpTarget
) -> None:
    large = "x" * 1024 * 1024
    for path in ("/a", "/b", "/undo"):
        target.on(path, 200, body=large)
    memory = BodyMemory(8 * 1024 * 1024)
    room = memory.open_reservation("job", "host")
    steps = [{"name": name, "url": target.url + path} for name, path in (("a", "/a"), ("b", "/b"))]
    cleanup = [{"name": "undo", "url": target.url + "/undo"}]
    definition = StepsTarget.model_validate({"kind": "steps", "steps": steps, "cleanup": cleanup})
    check = StepsCheck(run_check.check, run_check.redactor)
    observed = await check.observe(definition, AttemptContext("job@1", 1, PhaseClock(), body_reservation=room))
    await check.aclose()
    assert observed.error is None
    assert room.held == memory.held == 1024 * 1024
