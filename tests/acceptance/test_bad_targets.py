"""One running `serve` against every way in which a target can be bad: each run ends in time and says what was wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import psutil
import pytest
import pytest_asyncio

from tests.parts import bad_servers as bad
from tests.parts.host import Host, embedded
from tests.parts.http_target import Answer, HttpTarget, Request
from tests.parts.tls import TlsKind, ca_file

pytestmark = pytest.mark.asyncio(loop_scope="module")

ATTEMPT_MS, RUN_MS = 200.0, 700.0
"""Deadlines of the jobs whose targets are slow."""
SLACK_MS = 400.0
"""What a busy machine may take on top."""
PAUSE_MS = 20.0
"""The wait before the second attempt."""
MIB = 2**20


Server = Callable[[], Any]
"""Makes one of the servers of bad_servers, or a target."""


@dataclass(frozen=True)
class Case:
    """A bad target, and what its run must say. `{peer}` in words is the target's host and port."""

    name: str
    server: Server
    error: str
    words: tuple[str, ...]
    phases: tuple[str, ...] = ("connect", "first_byte")
    """Those that took place; of DNS, connect, TLS and first byte."""
    outcome: str = "failed"
    attempts: int = 2
    job: dict[str, Any] = field(default_factory=dict)


TIMEOUT = {"attempt": f"{ATTEMPT_MS:.0f}ms", "run": f"{RUN_MS:.0f}ms"}


def slow(
    name: str, server: Server, error: str, *words: str, phases: tuple[str, ...] = ("connect", "first_byte")
) -> Case:
    return Case(
        name, server, error, ("{peer}", f"{ATTEMPT_MS:.0f} ms", *words), phases, "timed_out", job={"timeout": TIMEOUT}
    )


def certificate(kind: TlsKind, *words: str) -> Case:
    return Case(
        kind, partial(HttpTarget, tls=kind), "tls_certificate", ("{peer}", *words), ("connect", "tls"), attempts=1
    )


CASES = [
    slow("dripping body", bad.dripping_body, "body_timeout", "started to respond", "too slow"),
    slow("dripping headers", bad.dripping_headers, "body_timeout", "started to respond", "too slow"),
    slow("black hole", bad.black_hole, "response_timeout", "accepted the connection", "silent"),
    slow(
        "black hole behind TLS",
        partial(bad.black_hole, tls=True),
        "tls_timeout",
        "handshake",
        phases=("connect", "tls"),
    ),
    slow("never accepting", bad.never_accepting, "connect_timeout", "No connection", "firewall", phases=("connect",)),
    Case("refused", bad.refused_port, "connection_refused", ("{peer}", "refused", "nothing listens"), ("connect",)),
    Case("reset", bad.reset_after_request, "connection_reset", ("{peer}", "reset", "before its response")),
    Case(
        "reset in body", bad.reset_in_body, "connection_reset", ("{peer}", "reset", "before its response was complete")
    ),
    Case("closed", bad.disconnect, "connection_reset", ("{peer}", "closed", "without a response")),
    Case("half closed", bad.half_close, "connection_reset", ("{peer}", "closed", "without a response")),
    Case("garbage", bad.garbage, "protocol_error", ("{peer}", "not HTTP")),
    Case("wrong chunks", bad.wrong_chunking, "protocol_error", ("{peer}", "not HTTP")),
    Case("broken gzip", bad.broken_gzip, "protocol_error", ("{peer}", "gzip")),
    Case("truncated", bad.truncated_body, "protocol_error", ("{peer}", "closed", "before its response was complete")),
    Case(
        "truncated chunks",
        bad.truncated_chunks,
        "protocol_error",
        ("{peer}", "closed", "before its response was complete"),
    ),
    Case("endless headers", bad.endless_headers, "protocol_error", ("{peer}", "100 KiB", "headers")),
    Case("plain behind https", bad.plain_behind_https, "tls_failure", ("{peer}", "TLS"), ("connect", "tls")),
    Case("redirects", bad.redirect_loop, "too_many_redirects", ("{peer}", "10 redirects", "loop"), attempts=1),
    certificate("expired", "has expired", "renew"),
    certificate("not_yet_valid", "not valid yet", "clocks"),
    certificate("wrong_name", "is not valid for", "127.0.0.1"),
    certificate("untrusted", "authority", "tls.ca_file"),
    certificate("self_signed", "self-signed", "tls.ca_file"),
    Case(
        "endless body",
        bad.endless_body,
        "expectation_failed",
        ("max_body", "at most 64 KiB", "more than 1 MiB"),
        attempts=1,
        job={"expect": [{"max_body": "64KiB"}]},
    ),
    Case(
        "gzip bomb",
        bad.gzip_bomb,
        "expectation_failed",
        ("body_contains", "'ready'", "not in the first 1 MiB"),
        attempts=1,
        job={"expect": [{"body_contains": "ready"}]},
    ),
    Case(
        "unavailable for an hour",
        partial(bad.unavailable, 3600),
        "unexpected_status",
        ("503", "(Retry-After: 3600 s)", "Not retried", "of the run's time are left"),
        attempts=1,
    ),
    Case(
        "unavailable until tomorrow",
        partial(bad.unavailable, datetime.now(UTC) + timedelta(days=1)),
        "unexpected_status",
        ("503", "(Retry-After: ", "Not retried", "of the run's time are left"),
        attempts=1,
    ),
]


def job_of(case: Case, url: str) -> dict[str, Any]:
    check = {"url": url, "tls": {"ca_file": ca_file()}}
    retry = {"attempts": 2, "initial": f"{PAUSE_MS:.0f}ms", "jitter": "none"}
    return {"check": check, "retry": retry, "timeout": {"attempt": "3s", "run": "8s"}, **case.job}


@dataclass(frozen=True)
class Bad:
    """The running program and the targets of its jobs."""

    host: Host
    peers: dict[str, str]
    """Host and port by job."""
    target: HttpTarget


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bad]:
    async with AsyncExitStack() as stack:
        servers = {case.name: await stack.enter_async_context(case.server()) for case in CASES}
        target = await stack.enter_async_context(HttpTarget())
        jobs = {name_of(case): job_of(case, servers[case.name].url) for case in CASES}
        again = {"retry": {"attempts": 3, "initial": "1ms"}, "timeout": {"attempt": "3s", "run": "10s"}}
        jobs |= {
            "unknown-host": job_of(CASES[0], "http://checkout.invalid/health") | {"timeout": {"run": "8s"}},
            "again-in-a-second": {"check": {"url": f"{target.url}/seconds"}, **again},
            "again-at-a-date": {"check": {"url": f"{target.url}/date"}, **again},
            "many-attempts": {
                "check": {"url": servers["black hole"].url},
                "retry": {"attempts": 20, "initial": "10ms", "jitter": "none"},
                "timeout": {"attempt": "200ms", "run": "500ms"},
            },
        }
        host = await stack.enter_async_context(embedded(tmp_path_factory.mktemp("bad"), jobs))
        peers = {name_of(case): servers[case.name].url.partition("//")[2] for case in CASES}
        yield Bad(host, peers, target)
        assert await host.stop() < 15
        assert_untroubled(host)


def name_of(case: Case) -> str:
    return case.name.replace(" ", "-")


def assert_untroubled(host: Host) -> None:
    """No traceback, and no error of the program's own in the log."""
    output = host.program.stdout + host.program.stderr
    assert "Traceback" not in output
    assert host.program.stderr == ""
    assert [
        line for line in host.log() if "Exception" in line or (line["Level"] == "ERROR" and "Event" not in line)
    ] == []


def phases_of(attempt: dict[str, Any]) -> tuple[str, ...]:
    return tuple(
        name for name in ("dns", "connect", "tls", "first_byte") if attempt["phases"][f"{name}_ms"] is not None
    )


async def run_undisturbed(host: Host, job: str) -> dict[str, Any]:
    """A run whose attempts had CPU: on a busy machine a timeout gets a second look, or is not judged."""
    for _ in range(9):
        run = await host.run(job)
        if run["outcome"] != "skipped" and not any(attempt["starved"] for attempt in run["attempts"]):
            break
    return run


@pytest.mark.parametrize("case", CASES, ids=name_of)
async def test_a_run_against_a_bad_target_ends_in_time_and_reports_what_was_wrong(case: Case, served: Bad) -> None:
    run = await run_undisturbed(served.host, name_of(case))

    limit = case.job.get("timeout") == TIMEOUT
    assert (run["outcome"], run["error"]) == (case.outcome, case.error), run["message"]
    assert run["duration_ms"] <= (RUN_MS + SLACK_MS if limit else 3000)
    for word in case.words:
        assert word.format(peer=served.peers[run["job"]]) in run["message"]
    assert [attempt["error"] for attempt in run["attempts"]] == [case.error] * case.attempts
    *waits, last = [attempt["wait_ms"] for attempt in run["attempts"]]
    assert last is None
    assert waits == [PAUSE_MS] * (case.attempts - 1)
    for attempt in run["attempts"]:
        assert phases_of(attempt) == case.phases
        assert not limit or attempt["phases"]["total_ms"] <= ATTEMPT_MS + SLACK_MS


@pytest.mark.parametrize("case", CASES[::6], ids=name_of)
async def test_the_log_reports_the_same_as_the_run(case: Case, served: Bad) -> None:
    run = await run_undisturbed(served.host, name_of(case))

    lines = await served.host.lines_on(run["id"], "JOB_FAILED", "JOB_PERFORMANCE")
    failed = next(line for line in lines if line["Event"] == "JOB_FAILED")
    retries = [line for line in lines if line["Event"] == "JOB_RETRY"]
    assert (failed["ErrorType"], failed["ErrorMessage"]) == (case.error, run["message"])
    assert failed["Endpoint"].startswith(("http://127.0.0.1:", "https://127.0.0.1:"))
    assert (failed["AttemptNumber"], failed["NextRetryIn"]) == (case.attempts, None)
    assert [(line["ErrorType"], line["NextRetryIn"]) for line in retries] == [(case.error, 0.02)] * (case.attempts - 1)
    assert [line["Success"] for line in lines if line["Event"] == "JOB_PERFORMANCE"] == [False]


async def test_a_reset_right_after_the_connection_is_a_reset(
    served: Bad, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A case of its own: whether the request was sent by then is a race."""
    async with bad.reset_on_connect() as server:
        jobs = {"reset": {"check": {"url": server.url}, "retry": {"attempts": 2, "initial": "1ms"}}}
        async with embedded(tmp_path_factory.mktemp("reset"), jobs) as host:
            run = await host.run("reset")

    assert (run["outcome"], run["error"], run["attempt_count"]) == ("failed", "connection_reset", 2)
    assert server.url.partition("//")[2] in run["message"]


async def test_an_unknown_host_is_named_and_the_dns_is_blamed(served: Bad) -> None:
    run = await served.host.run("unknown-host")

    assert (run["outcome"], run["error"], run["attempt_count"]) == ("failed", "dns_failure", 2)
    assert "DNS" in run["message"]
    assert "checkout.invalid" in run["message"]
    assert [phases_of(attempt) for attempt in run["attempts"]] == [("dns",), ("dns",)]


async def test_retry_after_in_seconds_is_obeyed(served: Bad) -> None:
    served.target.sequence("/seconds", Answer(503, {"retry-after": "1"}), Answer(200))

    run = await served.host.run("again-in-a-second")

    assert (run["outcome"], run["retried"], run["attempt_count"]) == ("succeeded", True, 2)
    assert run["attempts"][0]["wait_ms"] == 1000
    first, second = served.target.requests_to("/seconds")[-2:]
    assert second.at - first.at >= 0.99


async def test_retry_after_as_a_date_is_obeyed(served: Bad) -> None:
    requested: list[Request] = []

    def unavailable_once(request: Request) -> Answer:
        requested.append(request)
        if len(requested) > 1:
            return Answer(200)
        return Answer(503, {"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)})

    served.target.on_call("/date", unavailable_once)
    run = await served.host.run("again-at-a-date")

    assert (run["outcome"], run["attempt_count"]) == ("succeeded", 2)
    # A date has whole seconds: something between one and two of them are left.
    assert 700 <= run["attempts"][0]["wait_ms"] <= 2000


async def test_a_run_does_not_outlast_its_deadline_however_many_attempts_are_left(served: Bad) -> None:
    run = await run_undisturbed(served.host, "many-attempts")

    assert run["outcome"] == "timed_out"
    assert run["duration_ms"] <= 500 + SLACK_MS
    assert 2 <= run["attempt_count"] <= 3


async def test_bodies_and_headers_without_end_leave_the_memory_as_it_was(served: Bad) -> None:
    greedy = ("endless-body", "gzip-bomb", "endless-headers")
    for name in greedy:
        await served.host.run(name)
    process = psutil.Process(served.host.program.pid)
    before = process.memory_info().rss

    for _ in range(8):
        for name in greedy:
            await served.host.run(name)

    # Unpacked, the bombs alone are 400 MB.
    assert process.memory_info().rss - before < 32 * MIB
