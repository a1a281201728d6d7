"""References are checked when a run fails, and once for a storm of failures."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from jobs.checks import Checks
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.guard import LOCAL_GUARD
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.clocks import SystemClock
from jobs.running.network_self_check import MAX_RESULT_AGE, REFERENCE_TIMEOUT, ReferenceChecks, parse_references
from jobs.running.runner import Runner
from jobs.runs import ErrorClass, Outcome, Run, Ticket
from jobs.runs.outcomes import ReasonCode
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens
from tests.jobs.running.memory_states import MemoryStates
from tests.jobs.running.run_parts import REFUSED, Hang, Heard, ScriptedCheck, Step, answer, broken, job
from tests.jobs.running.virtual_time import START, LoopClock, virtual_time
from tests.parts import bad_servers

REFERENCES = parse_references(["https://a.example/", "https://b.example/"])
NO_NAME = broken(ErrorClass.DNS_TIMEOUT)
SECOND = timedelta(seconds=1)


TICKET = Ticket.scheduled("checkout", START, "g1")


def references(*steps: Step) -> tuple[ReferenceChecks, ScriptedCheck]:
    check = ScriptedCheck(list(steps))
    return ReferenceChecks(REFERENCES, {"http": check}, LoopClock()), check


async def run_beside(checks: ReferenceChecks, states: MemoryStates | None = None, **more: object) -> Run:
    circuits = CircuitBreakers(states or MemoryStates())
    runner = Runner({"http": ScriptedCheck([REFUSED])}, circuits, Heard(), LoopClock(), Redactor(), self_checks=checks)
    return await runner.run(job(retry={"attempts": 1}, **more), TICKET)


@virtual_time
async def test_a_storm_of_failures_checks_each_reference_once() -> None:
    checks, check = references(NO_NAME)

    found = await asyncio.gather(*(checks.explain(ErrorClass.DNS_TIMEOUT, START) for _ in range(500)))

    assert set(found) == {
        "the scheduler cannot resolve names: https://a.example/: dns_timeout; https://b.example/: dns_timeout"
    }
    assert len(check.calls) == 2


@virtual_time
async def test_results_from_before_the_run_are_not_used() -> None:
    checks, check = references(NO_NAME, NO_NAME, answer(503))
    assert await checks.explain(ErrorClass.DNS_TIMEOUT, START) is not None
    assert await checks.explain(ErrorClass.DNS_TIMEOUT, START + SECOND) is None
    assert len(check.calls) == 4


@virtual_time
async def test_old_results_are_not_used() -> None:
    checks, check = references(NO_NAME)
    await checks.explain(ErrorClass.DNS_TIMEOUT, START)
    await asyncio.sleep(MAX_RESULT_AGE.total_seconds() + 1)
    await checks.explain(ErrorClass.DNS_TIMEOUT, START)
    assert len(check.calls) == 4


@virtual_time
async def test_a_reference_that_hangs_is_unreachable_after_its_limit() -> None:
    checks, _ = references(Hang(None))
    assert await checks.explain(ErrorClass.CONNECT_TIMEOUT, START) is not None
    assert LoopClock().now() - START < timedelta(seconds=REFERENCE_TIMEOUT + 1)


@virtual_time
async def test_a_defect_of_the_check_does_not_excuse_a_target() -> None:
    checks, _ = references(RuntimeError("defect"))
    assert await checks.explain(ErrorClass.CONNECT_TIMEOUT, START) is None


@virtual_time
async def test_without_references_nothing_is_checked() -> None:
    checks = ReferenceChecks((), {}, LoopClock())
    assert await checks.explain(ErrorClass.CONNECT_TIMEOUT, START) is None


@virtual_time
async def test_a_run_of_a_blind_scheduler_is_skipped_with_its_cause_and_attempts() -> None:
    run = await run_beside(references(REFUSED)[0])

    assert (run.outcome, run.reason, len(run.attempts)) == (Outcome.SKIPPED, ReasonCode.BLIND, 1)
    assert run.message.startswith("Not judged: the scheduler cannot connect to anything: https://a.example/")
    assert not run.counts_for_availability


@virtual_time
async def test_it_does_not_open_the_circuit_of_its_target() -> None:
    circuit, states = {"consecutive_failures": 1}, MemoryStates()
    assert (await run_beside(references(REFUSED)[0], states, circuit=circuit)).outcome is Outcome.SKIPPED
    assert (await run_beside(references(answer())[0], states, circuit=circuit)).outcome is Outcome.FAILED


@pytest.mark.parametrize("more", [{"effect": "once"}])
@virtual_time
async def test_what_has_an_effect_has_failed(more: dict[str, str]) -> None:
    assert (await run_beside(references(REFUSED)[0], **more)).outcome is Outcome.FAILED


def test_an_address_is_a_url_or_a_port() -> None:
    targets = parse_references(["https://a.example/health", "tcp://10.0.0.4:443", "tcp://[fd00::1]:22"])
    assert [each.endpoint for each in targets] == [
        "https://a.example/health",
        "tcp://10.0.0.4:443",
        "tcp://[fd00::1]:22",
    ]


async def test_real_references_prove_the_way_or_its_absence() -> None:
    dependencies = CheckDependencies(MemorySecrets(), MemoryTokens(), Redactor(), guard=LOCAL_GUARD)
    checks, clock = Checks(dependencies), SystemClock()
    head = b"HTTP/1.1 503 Service Unavailable\r\nDate: Sun, 01 Mar 2026 03:00:00 GMT\r\nContent-Length: 0\r\n\r\n"
    try:
        async with bad_servers.refused_port() as refused, bad_servers.answering(head) as server:
            gone = parse_references([f"http://127.0.0.1:{refused.port}/", f"tcp://127.0.0.1:{refused.port}"])
            near = parse_references([f"http://127.0.0.1:{server.port}/"])
            since = clock.now()
            blind, sighted = ReferenceChecks(gone, checks, clock), ReferenceChecks([*gone, *near], checks, clock)

            assert "cannot connect to anything" in (await blind.explain(ErrorClass.CONNECT_TIMEOUT, since) or "")
            assert await sighted.explain(ErrorClass.CONNECT_TIMEOUT, since) is None
            assert "the clock of the scheduler is" in (await sighted.explain(ErrorClass.TLS_CERTIFICATE, since) or "")
    finally:
        await checks.aclose()
