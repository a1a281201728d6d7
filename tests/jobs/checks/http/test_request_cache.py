"""What of a request is made once, and for how long."""

from __future__ import annotations

import gc

from jobs.checks.clock import PhaseClock
from jobs.checks.port import AttemptContext
from jobs.targets import HttpTarget
from tests.jobs.checks.http_check import HttpCheckDriver, open_http_check
from tests.parts.http_target import HttpTarget as Server


async def sent(
    run_check: HttpCheckDriver, target: HttpTarget, server: Server, run: str
) -> tuple[str, dict[str, str], bytes]:
    await run_check.check.observe(target, AttemptContext(run, 1, PhaseClock()))
    return server.last.target, dict(server.last.headers), server.last.body


async def test_the_requests_of_two_runs_differ_in_the_id_of_the_run_alone(
    run_check: HttpCheckDriver, target: Server
) -> None:
    job = HttpTarget.model_validate(
        {"url": f"{target.url}/a?b=c", "query": {"d": "e"}, "method": "POST", "body": {"text": "x"}}
    )
    first, second = [await sent(run_check, job, target, run) for run in ("job@1", "job@2")]
    assert (first[1].pop("idempotency-key"), second[1].pop("idempotency-key")) == ("job@1", "job@2")
    assert first == second


async def test_an_idempotency_key_of_the_job_stays(run_check: HttpCheckDriver, target: Server) -> None:
    job = HttpTarget.model_validate({"url": target.url, "headers": {"idempotency-key": "mine"}})
    found = [await sent(run_check, job, target, run) for run in ("job@1", "job@2")]
    assert [headers["idempotency-key"] for _, headers, _ in found] == ["mine", "mine"]


async def test_a_redirect_carries_the_headers_on(run_check: HttpCheckDriver, target: Server) -> None:
    target.on("/0", 302, headers={"location": "/1"})
    job = HttpTarget.model_validate({"url": f"{target.url}/0", "headers": {"Host": "other.internal", "X-A": "b"}})
    for run in ("job@1", "job@2"):
        _, headers, _ = await sent(run_check, job, target, run)
        assert (headers["host"], headers["x-a"], headers["idempotency-key"]) == ("other.internal", "b", run)


async def test_secrets_are_requested_each_time(target: Server) -> None:
    async with open_http_check({"token": "t0ken"}) as run_check:
        job = HttpTarget.model_validate({"url": target.url, "headers": {"X-Token": {"secret": "token"}}})
        for token in ("t0ken", "an0ther"):
            run_check.secrets.values = {"token": token}
            assert (await sent(run_check, job, target, "job@1"))[1]["x-token"] == token


async def test_nothing_is_retained_for_a_target_that_is_gone(run_check: HttpCheckDriver, target: Server) -> None:
    job = HttpTarget.model_validate({"url": target.url})
    await sent(run_check, job, target, "job@1")
    assert len(run_check.check._request_cache._by_id) == 1
    del job
    gc.collect()
    assert run_check.check._request_cache._by_id == {}
