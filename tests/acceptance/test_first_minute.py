"""The first minute of a new user: one command, no jobs of one's own, no internet."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.parts.host import Host, embedded
from tests.parts.proc import Program

Runs = list[dict[str, Any]]

EVERY_OUTCOME = {"succeeded", "failed", "timed_out", "rejected", "skipped"}
FLAT = {"databaseHealth", "externalApiHealth", "containerAppHealth"}
"""The sample jobs in the flat form; the last one is due each thirty seconds."""


async def until(host: Host, holds: Callable[[Runs], bool], within: float) -> Runs:
    """The runs, as soon as this holds of them. Fails with what there is instead."""
    end = time.monotonic() + within
    while not holds(runs := await host.runs()):
        assert time.monotonic() < end, sorted({(run["job"], run["outcome"]) for run in runs})
        await asyncio.sleep(0.25)
    return runs


def outcomes(runs: Runs) -> set[str]:
    return {run["outcome"] for run in runs if run["outcome"]}


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_the_sample_jobs_show_every_outcome_and_a_restart_keeps_them(tmp_path: Path) -> None:
    async with embedded(tmp_path, None, Program, SCHEDULER_ENVIRONMENT="dev") as host:
        started = time.monotonic()
        early = await until(
            host,
            lambda runs: outcomes(runs) >= {"succeeded", "failed"} and any(run["retried"] for run in runs),
            within=60,
        )
        runs = await until(
            host,
            lambda runs: outcomes(runs) >= EVERY_OUTCOME and {run["job"] for run in runs} >= FLAT,
            within=120 - (time.monotonic() - started),
        )
        page = await host.client.get("/api/dashboard")
        host.program.signal(signal.SIGINT)
        assert await host.program.exited() == 0

    names = {run["job"] for run in runs}
    assert {run["outcome"] for run in runs if run["job"] in FLAT and run["outcome"]} == {"succeeded"}
    assert any(run["retried"] and run["outcome"] == "succeeded" for run in early + runs)
    assert page.status_code == 200
    assert all(name in page.text for name in names)
    assert "Traceback" not in host.program.stdout + host.program.stderr
    assert host.program.stderr == ""
    assert all(run["message"] for run in runs if run["outcome"] not in (None, "succeeded"))

    async with embedded(tmp_path, {}) as host:
        again = await host.runs()
        await host.stop()
    finished = {run["id"]: run["outcome"] for run in runs if run["outcome"]}
    assert finished.items() <= {run["id"]: run["outcome"] for run in again}.items()
    # What Ctrl-C cut short is told as such, and nothing is left in work.
    assert {run["state"] for run in again} == {"finished"}
