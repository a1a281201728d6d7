"""A server that is stopped for a while, as on a machine that is paused or moved, blames no target when it goes on."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.parts.host import embedded
from tests.parts.http_target import Answer, HttpTarget, Request

JOBS = 60
DELAYS = (0.0, 0.4, 0.9)
"""Seconds until the target answers: a stop hits runs before, in and after a request."""
STOP = 6.0
"""Seconds; three times what an attempt may take."""
SLOW_BODY = 0.9
"""Seconds between the first and the last byte of a body."""
RETRY_WAIT = 0.9
"""Seconds between two attempts."""


async def test_a_process_that_was_stopped_blames_no_target(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        for delay in DELAYS:
            target.on(f"/after/{delay}", delay=delay)
        jobs = {
            f"job-{number:02}": {
                "check": {"url": f"{target.url}/after/{DELAYS[number % len(DELAYS)]}"},
                "schedule": {"every": "1s", "offset": f"{number * 1000 // JOBS}ms"},
                "timeout": {"attempt": "2s", "run": "2s"},
                "retry": {"attempts": 1},
            }
            for number in range(JOBS)
        }
        async with embedded(tmp_path, jobs) as host:
            await target.wait_for_requests(JOBS * 2, timeout=60)
            host.program.signal(signal.SIGSTOP)
            await asyncio.sleep(STOP)
            host.program.signal(signal.SIGCONT)
            answered = len(target.requests)
            await target.wait_for_requests(answered + JOBS * 2, timeout=60)
            runs: list[dict[str, Any]] = [
                run for outcome in ("failed", "timed_out") for run in await host.runs(outcome=outcome)
            ]
            excused = [run for run in await host.runs(outcome="skipped") if "did not run" in run["message"]]
            await host.stop()
    assert [(run["id"], run["message"]) for run in runs] == []
    assert excused == []


@asynccontextmanager
async def slow_bodies() -> AsyncIterator[str]:
    """A server that sends the head of its answer and half of the body, and the rest later. Yields its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nab")
            await writer.drain()
            await asyncio.sleep(SLOW_BODY)
            writer.write(b"cd")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the host has ended
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def every_second_fails() -> Callable[[Request], Answer]:
    """Answer 503, then 200, and so on, for each path by itself."""
    seen: Counter[str] = Counter()

    def answer(request: Request) -> Answer:
        seen[request.path] += 1
        return Answer(503 if seen[request.path] % 2 else 200)

    return answer


@pytest.mark.parametrize("phase", ["connect", "body", "retry"])
async def test_a_stop_of_five_seconds_in_any_phase_of_an_attempt_blames_no_target(tmp_path: Path, phase: str) -> None:
    async with HttpTarget() as target, slow_bodies() as bodies:
        fails = every_second_fails()
        for number in range(JOBS):
            target.on_call(f"/retry/{number}", fails)
        urls = {"connect": f"{target.url}/now", "body": bodies, "retry": f"{target.url}/retry"}
        jobs = {
            f"job-{number:02}": {
                "check": {"url": f"{urls[phase]}/{number}"},
                "schedule": {"every": "1s" if phase == "connect" else "2s", "offset": f"{number * 900 // JOBS}ms"},
                "timeout": {"attempt": "2s", "run": "4s"},
                "retry": {"attempts": 2, "initial": f"{RETRY_WAIT}s", "jitter": "none"},
                "overlap": "skip",
            }
            for number in range(JOBS)
        }
        async with embedded(tmp_path, jobs, SCHEDULER_RETRY_BUDGET__PER_MINUTE="10000") as host:
            await host.logged("JOB_PERFORMANCE")
            await asyncio.sleep(0.5)
            host.program.signal(signal.SIGSTOP)
            await asyncio.sleep(5.0)
            host.program.signal(signal.SIGCONT)
            finished = len(await host.runs(outcome="succeeded"))
            runs: list[dict[str, Any]] = []
            async with asyncio.timeout(60):
                while True:
                    runs = await host.runs(outcome="succeeded")
                    if len(runs) >= finished + JOBS:
                        break
                    await asyncio.sleep(0.2)
            bad = [run for outcome in ("failed", "timed_out") for run in await host.runs(outcome=outcome)]
            unreliable = [run for run in runs if run["starved"]]
            await host.stop()
    assert [(run["id"], run["message"]) for run in bad] == []
    assert unreliable != []


BURSTS = 15
BURST_STOP, BURST_RUN = 0.15, 0.1
"""Seconds: longer than the interval at which the process looks at its own delay."""


async def test_a_process_that_is_stopped_again_and_again_does_not_call_its_targets_slow(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        jobs = {
            f"job-{number:02}": {
                "check": {"url": f"{target.url}/health"},
                "schedule": {"every": "500ms", "offset": f"{number * 500 // JOBS}ms"},
                "expect": [{"response_time_below": "100ms", "severity": "degraded"}],
                "retry": {"attempts": 1},
            }
            for number in range(JOBS)
        }
        async with embedded(tmp_path, jobs) as host:
            await host.logged("JOB_PERFORMANCE")
            for _ in range(BURSTS):
                host.program.signal(signal.SIGSTOP)
                await asyncio.sleep(BURST_STOP)
                host.program.signal(signal.SIGCONT)
                await asyncio.sleep(BURST_RUN)
            runs = await host.runs()
            await host.stop()
    slow = [run for run in runs if (run["response_time_ms"] or 0) >= 100]
    assert [run["outcome"] for run in runs if run["outcome"] in ("failed", "timed_out") or run["degraded"]] == []
    assert all(run["starved"] for run in slow)
    assert any(run["starved"] for run in runs)
