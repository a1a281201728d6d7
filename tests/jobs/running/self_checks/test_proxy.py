"""Whether the proxy of the settings forwards anything: runs that fail meanwhile do not describe their targets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from jobs.checks.outbound import Outbound, parse_no_proxy
from jobs.running.clocks import SystemClock
from jobs.running.self_checks import ProxyChecks
from jobs.runs import ErrorClass
from jobs.targets import HttpTarget, Target
from tests.parts.proc import free_port
from tests.parts.proxy import Proxy

ENDPOINT = "https://shop.example/health"


def through(port: int, password: str = "", no_proxy: Sequence[str] = ()) -> Outbound:
    return Outbound("127.0.0.1", port, "probe" if password else "", password, parse_no_proxy(no_proxy), ())


async def explain(outbound: Outbound, error: ErrorClass = ErrorClass.CONNECTION_FAILED, proxy: str = "") -> str | None:
    clock = SystemClock()
    target: Target = HttpTarget.model_validate({"kind": "http", "url": ENDPOINT} | ({"proxy": proxy} if proxy else {}))
    checks = ProxyChecks(outbound, lambda: [target], clock)
    try:
        return await checks.explain(error, clock.now() - timedelta(seconds=1), ENDPOINT)
    finally:
        checks.close()


async def test_a_proxy_that_is_down_explains_a_failed_run() -> None:
    port = free_port()
    assert await explain(through(port)) == f"the proxy 127.0.0.1:{port} cannot be reached: connection refused"


async def test_a_proxy_that_refuses_the_credentials_explains_a_failed_run() -> None:
    async with Proxy(credentials="probe:right") as proxy:
        found = await explain(through(proxy.port, "wrong"))
        assert found == f"the proxy 127.0.0.1:{proxy.port} refuses its credentials (407)"


async def test_a_proxy_that_answers_explains_nothing() -> None:
    async with Proxy(answer=502) as proxy:
        assert await explain(through(proxy.port)) is None


async def test_an_error_of_the_answer_is_not_about_the_proxy() -> None:
    assert await explain(through(free_port()), ErrorClass.UNEXPECTED_STATUS) is None


async def test_a_job_that_does_not_use_the_proxy_is_not_explained_by_it() -> None:
    assert await explain(through(free_port(), no_proxy=["shop.example"])) is None
    assert await explain(through(free_port()), proxy="none") is None
