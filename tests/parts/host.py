"""The embedded host in a separate process, and a client of its API: `serve`, tested through its public interfaces.

    async with embedded(tmp_path, {"checkout": job(target.url)}) as host:       # state and job file in tmp_path
        run = await host.run("checkout")                # POST /api/jobs/checkout/run?wait=20s
        await host.runs(outcome="failed")               # GET /api/runs
        host.log()                                      # its log lines so far, as dicts
        await host.lines_on(run["id"], "JOB_FAILED")    # those on a run, as soon as this one exists
        await host.logged("stopping")                   # until a line contains this
        await host.stop()                               # SIGTERM; exit code 0

`jobs` None: no job file is written, SCHEDULER_JOBS or the environment decides. Further keywords are
environment variables. See proc for what else a program is given, and for the guard against the outside.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.parts.api_keys import bearer, create_key
from tests.parts.proc import ForkedProgram, Program, free_port


class Host:
    """A running embedded host, and a client of its API."""

    def __init__(self, program: Program, client: httpx.AsyncClient) -> None:
        self.program, self.client = program, client

    async def get(self, path: str) -> Any:
        answer = await self.client.get(path)
        answer.raise_for_status()
        return answer.json()

    async def run(self, job: str, wait: str = "20s") -> dict[str, Any]:
        """Run a job now; its finished run."""
        answer = await self.client.post(f"/api/jobs/{job}/run", params={"wait": wait})
        assert answer.status_code == 200, answer.text
        run: dict[str, Any] = answer.json()
        return run

    async def runs(self, **query: str) -> list[dict[str, Any]]:
        """The newest 500, or those that match the query."""
        answer = await self.client.get("/api/runs", params={"limit": "500", **query})
        found: list[dict[str, Any]] = answer.json()["runs"]
        return found

    def log(self) -> list[dict[str, Any]]:
        """The lines of its log so far; only with JSON as its format, which `embedded` sets."""
        whole_lines = self.program.stdout.splitlines(keepends=True)
        return [json.loads(line) for line in whole_lines if line.startswith("{") and line.endswith("\n")]

    async def lines_on(self, run_id: str, *events: str, within: float = 60.0) -> list[dict[str, Any]]:
        """The lines on a run, once each of these events has one: the API answers before a run is published."""
        async with asyncio.timeout(within):
            while True:
                lines = [line for line in self.log() if line.get("RunId") == run_id]
                if {line["Event"] for line in lines} >= set(events):
                    return lines
                await asyncio.sleep(0.05)

    async def logged(self, text: str, within: float = 60.0) -> None:
        """Until a line of its log holds the text."""
        async with asyncio.timeout(within):
            while True:
                if text in self.program.stdout:
                    return
                await asyncio.sleep(0.05)

    async def stop(self, within: float = 60.0) -> float:
        """SIGTERM; the seconds until it ended."""
        began = time.monotonic()
        self.program.signal(signal.SIGTERM)
        assert await self.program.exited(within=within) == 0
        return time.monotonic() - began


@asynccontextmanager
async def embedded(
    folder: Path, jobs: Mapping[str, Any] | None, program: type[Program] = ForkedProgram, **env: str
) -> AsyncIterator[Host]:
    """`serve` over these jobs, with its state in `folder`. Where the API needs a key, the client sends one.

    `program`: Program for a process whose imports and memory are those of a user's.
    """
    settings = {
        "SCHEDULER_ENVIRONMENT": "test",
        "SCHEDULER_STORE": f"sqlite:///{folder / 'state.db'}",
        "SCHEDULER_LOG__FORMAT": "json",
    }
    if jobs is not None:
        (folder / "jobs").mkdir(exist_ok=True)
        (folder / "jobs" / "jobs.json").write_text(json.dumps({"jobs": jobs}))
        settings["SCHEDULER_JOBS"] = str(folder / "jobs")
    port, environ = free_port(), settings | env
    if "SSL_CERT_FILE" in environ:  # libraries read it when they are imported, which a fork has done before
        program = Program
    is_open = environ["SCHEDULER_ENVIRONMENT"] in ("dev", "test") and "SCHEDULER_HTTP__AUTHENTICATION" not in environ
    headers = {} if is_open else bearer(await create_key(environ))
    async with (
        program("serve", "--port", str(port), env=environ, cwd=folder) as serving,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, headers=headers) as client,
    ):
        await serving.ready(f"http://127.0.0.1:{port}/api/health/ready")
        try:
            yield Host(serving, client)
        except httpx.ConnectError as error:
            error.add_note(serving.state)
            raise


def job(url: str, schedule: str | None = None, **more: Any) -> dict[str, Any]:
    """A full-form job with one attempt; `more`: further keys of it."""
    scheduled = {"schedule": schedule} if schedule else {}
    return {"check": {"url": url}, "retry": {"attempts": 1}} | scheduled | more
