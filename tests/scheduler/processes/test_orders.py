"""Orders to a real process: cancelled, with a lease, with credentials, after its death, and what it knows."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.checks.clock import SendPermission
from jobs.errors import LeaseEnded, ProcessLost
from jobs.redaction import REDACTED
from jobs.running.attempt_series import AttemptSeries
from jobs.runs import ErrorClass
from scheduler.processes import messages, pool, process
from tests.jobs.checks.http_check import wait_until
from tests.parts.http_target import Answer, HttpTarget, Request
from tests.scheduler.processes.pool_parts import PoolDesk, Supervisor, job, open_pool

LONG_RETRY = {"attempts": 2, "backoff": "constant", "initial": "10s", "jitter": "none"}
SHORT_RETRY = {"attempts": 2, "backoff": "constant", "initial": "600ms", "jitter": "none"}


class Lease:
    """A lease that lasts for so many seconds from now on."""

    def __init__(self, seconds: float) -> None:
        self.ends_at: datetime | None = None
        self.renew(seconds)
        self.permission = SendPermission(lambda: True, lambda: self.ends_at)

    def renew(self, seconds: float) -> None:
        self.ends_at = datetime.now(UTC) + timedelta(seconds=seconds)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def with_secret(url: str, name: str = "token") -> dict[str, Any]:
    return {"url": url, "auth": {"kind": "bearer", "token": {"secret": name}}, "allow_plain_http": True}


def echo(request: Request) -> Answer:
    return Answer(404, {}, f"you sent {request.headers.get('authorization')}".encode())


async def test_a_cancelled_run_sends_no_further_request_and_has_the_attempts_so_far() -> None:
    async with open_pool() as desk, HttpTarget() as target:
        target.on("/", 503)
        supervisor = Supervisor()
        execution = desk.pool.start(job(target.url, retry=LONG_RETRY), "checkout@1", SendPermission(), supervisor)
        running = asyncio.create_task(execution.run())
        await wait_until(lambda: supervisor.retried != [])
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

        assert [(attempt.number, attempt.status, attempt.wait_ms) for attempt in execution.attempts] == [
            (1, 503, 10_000.0)
        ]
        assert _in_flight(desk) == 0
        await desk.run(job(f"{target.url}/next"))
        assert [request.path for request in target.requests] == ["/", "/next"]


async def test_a_run_that_is_cancelled_as_soon_as_it_is_ordered_frees_its_place_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "CANCEL_GRACE", 30.0)
    async with open_pool() as desk, HttpTarget() as target:
        execution = desk.pool.start(job(target.url), "checkout@1", SendPermission(), Supervisor())
        running = asyncio.create_task(execution.run())
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 10)

        assert (_in_flight(desk), execution.attempts) == (0, [])
        await desk.run(job(f"{target.url}/next"))
        assert [request.path for request in target.requests] == ["/next"]


async def test_the_budget_of_retries_is_asked_in_the_first_process() -> None:
    async with open_pool() as desk, HttpTarget() as target:
        target.on("/", 503)
        supervisor = Supervisor(denial="The target has had enough retries.")
        result = await desk.run(job(target.url, retry=LONG_RETRY), supervisor=supervisor)

    assert (result.note, supervisor.asked, supervisor.retried) == ("The target has had enough retries.", 1, [])
    assert len(target.requests) == 1


async def test_a_changed_secret_is_sent_with_the_next_request_and_never_comes_back() -> None:
    async with open_pool(secrets={"token": "first value"}) as desk, HttpTarget() as target:
        target.on_call("/", echo)
        definition = job(target.url, check=with_secret(target.url))
        first = await desk.run(definition)
        desk.secrets.values = {"token": "second value"}
        second = await desk.run(definition)

    assert [request.headers["authorization"] for request in target.requests] == [
        "Bearer first value",
        "Bearer second value",
    ]
    assert [result.attempts[0].body for result in (first, second)] == [f"you sent Bearer {REDACTED}"] * 2


async def test_a_secret_that_another_process_uses_is_redacted_in_its_answers_too() -> None:
    async with open_pool() as desk, HttpTarget() as target:
        target.on("/", 503, body="the password is correct horse")
        desk.redactor.add_permanent("correct horse")
        result = await desk.run(job(target.url))

    assert result.attempts[0].body == f"the password is {REDACTED}"


async def test_a_token_of_the_identity_is_that_of_the_first_process() -> None:
    auth = {"kind": "managed_identity", "scope": "api://shop/.default"}
    async with open_pool(tokens={"api://shop/.default": "a token"}) as desk, HttpTarget() as target:
        await desk.run(job(target.url, check={"url": target.url, "auth": auth, "allow_plain_http": True}))

    assert [request.headers["authorization"] for request in target.requests] == ["Bearer a token"]


async def test_a_rejected_secret_is_read_again_and_sent_in_a_second_attempt() -> None:
    async with open_pool(secrets={"token": "old value"}) as desk, HttpTarget() as target:

        def refuse_old(request: Request) -> Answer:
            if "old" not in request.headers["authorization"]:
                return Answer(200)
            desk.secrets.values = {"token": "new value"}
            return Answer(401)

        target.on_call("/", refuse_old)
        supervisor = Supervisor()
        result = await desk.run(job(target.url, check=with_secret(target.url)), supervisor=supervisor)

    assert [attempt.status for attempt in result.attempts] == [401, 200]
    assert [attempt.message for attempt in supervisor.retried] == [result.attempts[0].message]
    assert "token was looked at again" in result.attempts[0].message
    assert desk.secrets.renewed_names == ["token"]


async def test_a_secret_that_cannot_be_read_for_a_fault_fails_the_run_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_pool() as desk, HttpTarget() as target:

        async def fail(name: str) -> str:
            raise ZeroDivisionError("hunter2")

        desk.secrets.get_secret = fail  # type: ignore[method-assign]
        result = await desk.run(job(target.url, check=with_secret(target.url)))

    assert result.attempts[0].error is ErrorClass.INTERNAL_ERROR
    # The child's own record reaches the log of the first process, under the name of its logger.
    assert [record.name for record in caplog.records if "could not finish run checkout@1" in record.message] == [
        "jobs.running"
    ]
    assert "hunter2" not in caplog.text + repr(result)


async def test_a_process_has_no_variable_of_the_first_one_that_can_contain_a_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCHEDULER_HTTP__KEY", "hunter2")
    monkeypatch.setenv("CHECKOUT_PASSWORD", "hunter2")
    async with open_pool() as desk:
        found, command = _read_proc(desk.pool.pids[0])

    names = {entry.partition(b"=")[0].decode() for entry in found.split(b"\0") if entry}
    assert names <= {*process._INHERITED_VARIABLES, "PYTHONPATH"}
    assert b"hunter2" not in found + command


async def test_each_run_has_the_definition_with_which_it_was_ordered() -> None:
    async with open_pool() as desk, HttpTarget() as target:
        runs = [desk.run(job(f"{target.url}/{number}")) for number in range(6)]  # one name, all in one message
        await asyncio.gather(*runs)
        paths = sorted(request.path for request in target.requests)

    assert paths == [f"/{number}" for number in range(6)]


async def test_a_definition_that_was_forgotten_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_DEFINITIONS", 2)
    async with open_pool() as desk, HttpTarget() as target:
        definitions = [job(target.url, name=f"job-{number}") for number in range(4)]
        for definition in (*definitions, *definitions):
            assert (await desk.run(definition)).attempts[0].status == 200
        known = [len(each._known) for each in desk.pool._processes]

    assert known == [2]


async def test_a_run_whose_lease_ends_while_the_process_is_stopped_sends_nothing() -> None:
    async with open_pool() as desk, HttpTarget() as target:
        lease = Lease(0.2)
        with stopped(desk.pool.pids[0]):
            running = asyncio.create_task(desk.run(job(target.url), lease.permission))
            await asyncio.sleep(0.3)
        with pytest.raises(LeaseEnded):
            await running

    assert (target.requests, lease.permission.has_sent) == ([], False)


@pytest.mark.parametrize("renewed", [False, True])
async def test_a_later_attempt_is_sent_only_if_the_lease_was_renewed(
    monkeypatch: pytest.MonkeyPatch, renewed: bool
) -> None:
    monkeypatch.setattr(pool, "CHECK_INTERVAL", 0.02)
    monkeypatch.setattr(process, "SILENT_CHECKS", 1000)
    async with open_pool() as desk, HttpTarget() as target:
        target.sequence("/", 503, 200)
        lease = Lease(0.5)
        running = asyncio.create_task(desk.run(job(target.url, retry=SHORT_RETRY), lease.permission))
        await target.wait_for_requests(1)
        if renewed:
            lease.renew(60)
            assert [attempt.status for attempt in (await running).attempts] == [503, 200]
        else:
            with pytest.raises(LeaseEnded):
                await running
            assert len(target.requests) == 1

    assert lease.permission.has_sent


async def test_a_run_that_lost_its_lease_sends_no_further_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CHECK_INTERVAL", 0.02)
    monkeypatch.setattr(process, "SILENT_CHECKS", 1000)
    async with open_pool() as desk, HttpTarget() as target:
        target.on("/", 503)
        lease = Lease(60)
        running = asyncio.create_task(desk.run(job(target.url, retry=SHORT_RETRY), lease.permission))
        await target.wait_for_requests(1)
        lease.ends_at = None
        with pytest.raises(LeaseEnded):
            await running

    assert len(target.requests) == 1


async def test_a_run_whose_process_is_killed_has_no_result_and_another_process_follows() -> None:
    async with open_pool() as desk, HttpTarget() as target:
        target.hold("/slow")
        permission = SendPermission()
        running = asyncio.create_task(desk.run(job(f"{target.url}/slow"), permission))
        await target.wait_for_requests(1)
        killed = desk.pool.pids[0]
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(ProcessLost):
            await running
        assert permission.has_sent
        await desk.ready(excluded=killed)
        assert (await desk.run(job(target.url))).attempts[0].status == 200


async def test_signals_of_a_terminal_do_not_end_a_run() -> None:
    async with open_pool() as desk, HttpTarget() as target:
        gate = target.hold("/slow")
        running = asyncio.create_task(desk.run(job(f"{target.url}/slow")))
        await target.wait_for_requests(1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(desk.pool.pids[0], number)
        gate.set()
        assert (await running).attempts[0].status == 200


async def test_checks_of_azure_share_the_budget_of_one_process() -> None:
    path = "/subscriptions/00000000-0000-4000-8000-000000000001"
    async with open_pool() as desk:
        definition = job("", check={"kind": "azure_resource", "resource": path, "api_version": "2024-08-01"})
        execution = desk.pool.start(definition, "checkout@1", SendPermission(), Supervisor())

    assert isinstance(execution, AttemptSeries)


async def test_a_heartbeat_is_read_where_its_store_is() -> None:
    async with open_pool() as desk:
        definition = job("", check={"kind": "heartbeat", "token": {"secret": "ping"}, "period": "1h"})
        execution = desk.pool.start(definition, "checkout@1", SendPermission(), Supervisor())

    assert isinstance(execution, AttemptSeries)


def _in_flight(desk: PoolDesk) -> int:
    return sum(each.in_flight for each in desk.pool._processes)


def _read_proc(pid: int) -> tuple[bytes, bytes]:
    """Return the environment and the command line of a process."""
    return Path(f"/proc/{pid}/environ").read_bytes(), Path(f"/proc/{pid}/cmdline").read_bytes()
