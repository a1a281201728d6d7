"""Run by test_failed_start in a process of its own: a Functions app that cannot start gets a tick and a request.

`python -m tests.scheduler.functions.failing_start` prints the status of /api/status.
"""

from __future__ import annotations

import asyncio
import os

from scheduler.hosts.functions import program as functions_program
from scheduler.hosts.functions.triggers import FunctionsHost
from tests.scheduler.functions.asking import ask


async def main() -> int:
    functions_program.TELEMETRY_CLOSE_TIMEOUT = 20.0  # the platform goes on; this process ends once all has been sent
    host = FunctionsHost(os.environ)
    try:
        await host.tick()
    except Exception:
        status = (await ask(host, "GET", "/api/status")).status
    await host.aclose()
    return status


if __name__ == "__main__":
    print(asyncio.run(main()))
