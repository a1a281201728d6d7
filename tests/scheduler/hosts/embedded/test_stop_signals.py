"""The signals that end the embedded host."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from scheduler.hosts.embedded.signals import STOP_SIGNALS, StopSignals, describe_stop
from tests.parts.host import embedded, job
from tests.parts.http_target import HttpTarget
from tests.parts.proc import Program, run

LONG = {"attempt": "60s", "run": "60s"}


@pytest.mark.parametrize("number", STOP_SIGNALS)
async def test_a_first_signal_reports_what_it_waits_for_and_a_second_one_ends_at_once(
    number: signal.Signals, tmp_path: Path
) -> None:
    async with HttpTarget() as target:
        target.hold("/slow")
        jobs = {
            "slow": job(f"{target.url}/slow", effect="once", timeout=LONG),
            "quick": job(f"{target.url}/quick"),
        }
        async with embedded(tmp_path, jobs, Program, SCHEDULER_SHUTDOWN_GRACE="60s") as host:
            done = await host.run("quick")
            slow = (await host.client.post("/api/jobs/slow/run")).json()
            await target.wait_for_requests(2)
            host.program.signal(number)
            await host.logged(f"waiting up to 60 s for 1 run, then cancelling: {slow['id']}; a second signal")
            host.program.signal(number)
            code = await host.program.exited()
            output = host.program.stderr

        async with embedded(tmp_path, jobs, Program) as host:
            after = await host.get(f"/api/runs/{slow['id']}")
            before = await host.get(f"/api/runs/{done['id']}")

    assert code == 128 + number
    assert "ending at once; the next start takes over" in output
    assert (after["outcome"], after["error"]) == ("failed", "interrupted")
    assert before["outcome"] == "succeeded"


async def test_an_idle_host_that_is_stopped_reports_that_it_waits_for_nothing(tmp_path: Path) -> None:
    async with embedded(tmp_path, {}, Program) as host:
        host.program.signal(signal.SIGINT)
        code = await host.program.exited()

    assert code == 0
    assert "stopping: no run is in progress" in host.program.stdout


async def test_another_signal_is_a_second_one_too_though_the_loop_is_stuck() -> None:
    ended: list[int] = []
    with StopSignals(ended.append, timeout=3600) as signals:
        stopping = signals.listen()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.wait_for(stopping.wait(), 10)
        assert ended == []
        os.kill(os.getpid(), signal.SIGTERM)  # nothing is awaited from here on

    assert ended == [128 + signal.SIGTERM]


HANGS = """
import asyncio, os, signal, time
from scheduler.hosts.embedded.signals import StopSignals
async def main():
    with StopSignals(timeout=0.1) as signals:
        stopping = signals.listen(0.1)
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
        os.kill(os.getpid(), signal.SIGTERM)
        await stopping.wait()
asyncio.run(main())
"""


async def test_a_process_ends_though_a_thread_hangs_that_python_waits_for() -> None:
    ended = await run("-c", HANGS, module=None)

    assert ended.code == 128 + signal.SIGTERM
    assert "not stopped within 0.2 s (0.0 s of CPU): a thread seems to hang; ending at once; the next" in ended.stderr
    assert "concurrent/futures/thread.py" in ended.stderr


BUSY = HANGS.replace("await stopping.wait()", "await stopping.wait()\n        while True: pass")


async def test_a_process_that_ends_while_it_is_at_work_does_not_blame_a_thread() -> None:
    ended = await run("-c", BUSY, module=None)

    assert ended.code == 128 + signal.SIGTERM
    assert "it is still at work, and needs more CPU or time to release what waits; ending at once" in ended.stderr


async def test_the_handlers_before_are_available_again_afterwards() -> None:
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    with StopSignals() as signals:
        signals.listen()

    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


def test_a_stop_names_how_many_runs_it_releases() -> None:
    assert describe_stop([], 3) == "stopping: no run is in progress"
    assert describe_stop([], 3, 8900) == (
        "stopping: no run is in progress; releasing 8900 runs not yet started for the next start"
    )


def test_a_few_runs_are_named_and_the_others_counted() -> None:
    reported = describe_stop([f"job{number}@1" for number in range(7)], 0.5)

    assert "up to 0.5 s for 7 runs, then cancelling: job0@1, job1@1, job2@1, job3@1, job4@1 and 2 more;" in reported
