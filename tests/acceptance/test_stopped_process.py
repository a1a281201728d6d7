"""A server that is stopped for a while, as on a machine that is paused or moved, blames no target when it goes on."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

from tests.parts.host import embedded
from tests.parts.http_target import HttpTarget

JOBS = 60
DELAYS = (0.0, 0.4, 0.9)
"""Seconds until the target answers: a stop hits runs before, in and after a request."""
STOP = 6.0
"""Seconds; three times what an attempt may take."""


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
