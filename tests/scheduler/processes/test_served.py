"""A host whose runs are made by further processes: killed, cancelled and stopped."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import psutil

from tests.jobs.checks.http_check import wait_until
from tests.parts.host import Host, embedded, job
from tests.parts.http_target import HttpTarget


def children(host: Host) -> list[int]:
    """Return the ids of its processes that make attempts."""
    return [each.pid for each in psutil.Process(host.program.pid).children() if is_child(each)]


def is_child(process: psutil.Process) -> bool:
    try:
        return "scheduler.processes.child" in process.cmdline()
    except psutil.NoSuchProcess:  # it has ended meanwhile; the host has perhaps not waited for it
        return False


async def ended_runs(host: Host, count: int) -> list[dict[str, Any]]:
    """Return all runs, once so many exist and have ended."""
    async with asyncio.timeout(60):
        while True:
            runs = await host.runs()
            if len(runs) >= count and all(run["outcome"] for run in runs):
                return runs
            await asyncio.sleep(0.02)


async def test_runs_whose_process_is_killed_start_anew_or_are_interrupted_and_have_one_row(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        gate = target.hold("/again")
        target.hold("/once")
        jobs = {"again": job(f"{target.url}/again"), "once": job(f"{target.url}/once", effect="once")}
        async with embedded(tmp_path, jobs, SCHEDULER_PROCESSES="2") as host:
            for name in jobs:
                await host.client.post(f"/api/jobs/{name}/run")
            await target.wait_for_requests(2)
            (pid,) = children(host)
            os.kill(pid, signal.SIGKILL)
            await target.wait_for_requests(3)  # here, or in the next process
            gate.set()
            runs = await ended_runs(host, 2)
            await wait_until(lambda: children(host) not in ([], [pid]))
            await host.stop()

    ends = {run["job"]: (run["outcome"], run["error"]) for run in runs}
    assert ends == {"again": ("succeeded", None), "once": ("failed", "interrupted")}
    assert len(runs) == 2
    assert [request.path for request in target.requests].count("/once") == 1


async def test_a_cancelled_run_of_another_process_leaves_its_place_to_the_next_one(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        target.hold("/slow")
        jobs = {"slow": job(f"{target.url}/slow"), "next": job(f"{target.url}/next")}
        env = {"SCHEDULER_PROCESSES": "2", "SCHEDULER_CONCURRENCY": "1"}
        async with embedded(tmp_path, jobs, **env) as host:
            slow = (await host.client.post("/api/jobs/slow/run")).json()
            await target.wait_for_requests(1)
            cancelled = await host.client.post(f"/api/runs/{slow['id']}/cancel")
            assert cancelled.is_success, cancelled.text
            following = await host.run("next")
            run = await host.get(f"/api/runs/{slow['id']}")

    assert (run["outcome"], following["outcome"]) == ("cancelled", "succeeded")


async def test_a_host_that_is_stopped_lets_the_runs_of_its_processes_end(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        gate = target.hold("/slow")
        async with embedded(tmp_path, {"slow": job(f"{target.url}/slow")}, SCHEDULER_PROCESSES="2") as host:
            await host.client.post("/api/jobs/slow/run")
            await target.wait_for_requests(1)
            (pid,) = children(host)
            os.kill(pid, signal.SIGTERM)  # as a signal to the process group
            host.program.signal(signal.SIGTERM)
            await host.logged("stopping")
            gate.set()
            assert await host.program.exited() == 0
            assert not psutil.pid_exists(pid)

        async with embedded(tmp_path, {}) as host:
            assert [run["outcome"] for run in await host.runs()] == ["succeeded"]
