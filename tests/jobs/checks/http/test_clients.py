"""The check above other httpx clients than its own: respx, and httpx's own ways to fake a server."""

from __future__ import annotations

import gzip

import httpx
import pytest
import respx

from jobs.checks.clock import PhaseClock
from jobs.checks.port import AttemptContext
from jobs.runs import ErrorClass
from jobs.targets import HttpTarget
from tests.jobs.checks.http_check import HttpCheckDriver, open_http_check

URL = "http://checkout.internal/health"


async def test_respx_answers_in_the_targets_place(run_check: HttpCheckDriver) -> None:
    with respx.mock(using="httpx") as router:
        route = router.get(URL).respond(503, json={"status": "down"}, headers={"Retry-After": "5"})
        observed = await run_check(URL, headers={"X-Note": "hi"})
    assert (observed.status, observed.body, observed.retry_after_s) == (503, b'{"status":"down"}', 5)
    assert route.calls.last.request.headers["x-note"] == "hi"


async def test_redirects_work_over_respx(run_check: HttpCheckDriver) -> None:
    with respx.mock(using="httpx") as router:
        router.get(URL).respond(302, headers={"Location": "https://elsewhere.example/x"})
        router.get("https://elsewhere.example/x").respond(200, text="here")
        assert (await run_check(URL)).body == b"here"


@pytest.mark.parametrize(
    ("error", "error_class"),
    [
        (httpx.ConnectError("refused"), ErrorClass.CONNECTION_FAILED),
        (httpx.ReadError("reset"), ErrorClass.CONNECTION_RESET),
        (httpx.RemoteProtocolError("nonsense"), ErrorClass.PROTOCOL_ERROR),
    ],
)
async def test_errors_of_httpx_itself_are_understood(
    run_check: HttpCheckDriver, error: Exception, error_class: ErrorClass
) -> None:
    with respx.mock(using="httpx") as router:
        router.get(URL).mock(side_effect=error)
        observed = await run_check(URL)
    assert observed.error is error_class
    assert "checkout.internal:80" in observed.message


async def test_another_client_may_be_handed_over() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-encoding": "gzip"}, content=gzip.compress(request.url.raw_path))

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    async with open_http_check(client=client) as run_check:
        assert (await run_check(URL)).body == b"/health"
    assert client.is_closed


async def test_respx_sees_a_prepared_request_as_any_other(run_check: HttpCheckDriver) -> None:
    target = HttpTarget.model_validate({"url": URL, "method": "POST", "body": {"json": {"a": 1}}})
    with respx.mock(using="httpx") as router:
        route = router.post(URL, json={"a": 1}, headers={"host": "checkout.internal"}).respond(200)
        for run in ("job@1", "job@2"):
            assert (await run_check.check.observe(target, AttemptContext(run, 1, PhaseClock()))).status == 200
    assert [call.request.headers["idempotency-key"] for call in route.calls] == ["job@1", "job@2"]
    assert route.calls.last.request.headers["content-length"] == "7"
