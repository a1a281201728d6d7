"""The dashboard of a scheduler with a day of runs and something of everything, for the benches that open its pages.

async with serve_dashboard() as (url, addresses): ...

The data are those of the tests of every page, after a day of runs: the loop's time is moved.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any, TypeVar

import uvicorn

from jobs.running.starvation import SAMPLE_INTERVAL
from jobs.runs import ErrorClass, Observation, Phases
from scheduler.health import HealthStatus
from tests.jobs.running.run_parts import broken
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.every_page.page_list import find_address, list_templates
from tests.scheduler.api.dashboard.every_page.world import TOKEN, Texts, fill, jobs_of

HOURS, STEP_S = 26, 600.0
SCHEDULED = ("checkout", "search", "basket", "gateway", "reports")
Result = TypeVar("Result")


class MovableLoop(asyncio.SelectorEventLoop):
    """An event loop whose time a caller moves forward."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = 0.0

    def time(self) -> float:
        return super().time() + self.offset


def run_movable(main: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine in a loop in which `serve_dashboard` can move the time."""
    with asyncio.Runner(loop_factory=MovableLoop) as runner:
        return runner.run(main())


@asynccontextmanager
async def serve_dashboard() -> AsyncIterator[tuple[str, dict[str, str]]]:
    """Yield the URL of the site, and the address of each page by its path with parameters."""
    texts = Texts(target="The last 3 runs failed: checkout.example:443 refused the connection.", down_minutes=30)
    async with ApiClient(jobs=jobs_of(texts)) as client:
        client.shop.tokens.values = {"backup-token": TOKEN}
        for part in ("configuration", "store", "secrets", "ticks", "watchdog"):
            client.add_health_part(part, HealthStatus.OK)
        world = await fill(client, texts, await _let_a_day_pass(client))
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(client.app, log_config=None, lifespan="off", server_header=False))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            addresses = {template: find_address(template, world) for template in list_templates()}
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", addresses
        finally:
            server.should_exit = server.force_exit = True
            await serving


async def _let_a_day_pass(client: ApiClient) -> str:
    """Return the latest run of the job that is down."""
    loop, rng = asyncio.get_running_loop(), Random(7)
    assert isinstance(loop, MovableLoop)
    steps, latest = int(HOURS * 3600 / STEP_S), ""
    for step in range(steps):
        loop.offset += STEP_S
        client.shop.worker.read_starvation()
        await asyncio.sleep(SAMPLE_INTERVAL)  # after which a run does not count the jump as a lack of CPU
        if step % 6 == 0:
            await client.request("POST", f"/api/ping/{TOKEN}", content=b"41 files copied")
        for job in SCHEDULED:
            client.shop.check.steps = [_answer(job, step, steps, rng)]
            run_id = await client.perform(job)
            latest = run_id if job == "checkout" else latest
    await client.shop.worker.wait_until_idle()
    return latest


def _answer(job: str, step: int, steps: int, rng: Random) -> Observation:
    """What the target of a job answers at this step."""
    left = steps - step
    if job == "checkout" and (left <= 4 or 75 <= left <= 77):
        return broken(ErrorClass.CONNECTION_REFUSED, "checkout.example:443 refused the connection.")
    if job == "gateway" and rng.random() < 0.04:
        return broken(ErrorClass.CONNECT_TIMEOUT, "Could not connect to gateway.example:443 within 5 s.")
    busy = 1.0 + 0.6 * math.sin(step / steps * 4 * math.pi)
    first_byte = {"checkout": 60, "search": 120, "basket": 45, "gateway": 20, "reports": 400}[job] * busy
    first_byte *= rng.lognormvariate(0, 0.25)
    phases = Phases(0.4, 1.2, 5.5, first_byte, first_byte + 8.0)
    if job == "basket":
        status = "Degraded" if rng.random() < 0.08 else "Healthy"
        entries = {"db": {"status": status, "description": "connection pool exhausted"}, "redis": {"status": "Healthy"}}
        return Observation(phases, 200, body=json.dumps({"status": status, "entries": entries}).encode())
    return Observation(phases, 503 if job == "reports" and rng.random() < 0.03 else 200)


def require_chromium() -> str:
    """Return the path of Chromium, or end the process."""
    from tests.parts.chromium import find_chromium

    path = find_chromium()
    if path is None:
        sys.exit("there is no Chromium: apt-get install chromium")
    return path
