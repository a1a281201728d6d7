"""Runs one job in a fresh process, and writes which modules are imported during its first attempt, and how it went.

From the instant at which the attempt's stop-watch begins to the run's end: {"imported": [...], "total_ms": [2.1],
"outcome": ..., ...}. A process is a fork of one that has imported what this module imports, see
tests.parts.fork_server: its order is JSON, [role, job, environment, path of the result].
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from config.loading import load_configuration
from jobs.checks.clock import PhaseClock
from jobs.running import attempt_series
from scheduler.app import Program, open_program
from scheduler.cli.command_profile import CommandProfile
from scheduler.hosts.embedded.program import open_embedded_program
from scheduler.identity.principal import command_caller
from tests.parts.fork_server import serve_forks

ROOT = Path(__file__).resolve().parents[2]
before: list[set[str]] = []


class WatchedClock(PhaseClock):
    __slots__ = ()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        if not before:
            before.append(set(sys.modules))
        super().__init__(*arguments, **named)


@asynccontextmanager
async def opened(role: str) -> AsyncIterator[Program]:
    configuration = load_configuration(os.environ, root=ROOT)
    if role == "embedded":
        async with open_embedded_program(configuration) as embedded:
            yield embedded.program
    else:
        async with open_program(configuration, CommandProfile()) as program:
            yield program


async def main(role: str, job: str) -> dict[str, Any]:
    async with opened(role) as program:
        attempt_series.PhaseClock = WatchedClock  # type: ignore[misc]
        record = await program.operations.runs.run_now(job, caller=command_caller())
        await program.worker.wait_until_idle()
        imported = sorted(set(sys.modules) - before[0])
        found = await program.queries.find_run(record.ticket.id)
    assert found is not None
    run = found.run
    assert run is not None
    return {
        "imported": imported,
        "outcome": run.outcome,
        "message": run.message,
        "total_ms": [attempt.phases.total_ms for attempt in run.attempts],
        "duration_ms": run.duration_ms,
    }


def _become(order: str) -> int:
    role, job, environment, result = json.loads(order)
    os.environ.update(environment)
    Path(result).write_text(json.dumps(asyncio.run(main(role, job))))
    return 0


if __name__ == "__main__":
    serve_forks((), _become)
