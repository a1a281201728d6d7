"""A job that is made over the API of a running server is due at once, and survives what ends the server."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.parts.host import embedded, job
from tests.parts.http_target import HttpTarget

EVERY_SECOND = "* * * * * *"
MARGIN = timedelta(seconds=1)
"""A busy machine starts a run that much later."""


@pytest.mark.slow
async def test_a_job_that_is_put_runs_at_its_next_instant_and_after_a_kill_with_its_pause(tmp_path: Path) -> None:
    async with HttpTarget() as target:
        async with embedded(tmp_path, {}) as host:
            for name in ("runs", "paused"):
                put = await host.client.put(
                    f"/api/jobs/{name}",
                    json=job(f"{target.url}/{name}", EVERY_SECOND),
                    headers={"If-None-Match": "*"},
                )
                assert put.status_code == 201, put.text
                answered = datetime.now(UTC)
            await target.wait_for_requests(4, timeout=30)
            assert (await host.client.post("/api/jobs/paused/pause")).status_code == 200
            due = {
                name: min(datetime.fromisoformat(run["due_at"]) for run in await host.runs(job=name))
                for name in ("runs", "paused")
            }
            host.program.signal(signal.SIGKILL)
            await host.program.exited()
        before = len(target.requests)
        async with embedded(tmp_path, {}) as host:
            restarted = datetime.now(UTC)
            await target.wait_for_requests(before + 3, timeout=30)
            jobs = {one["name"]: one for one in (await host.get("/api/jobs"))["jobs"]}
            runs = {name: await host.runs(job=name) for name in ("runs", "paused")}
            await host.stop()

    assert max(due.values()) <= answered + MARGIN
    assert jobs["runs"]["pause"] is None
    assert jobs["paused"]["pause"] is not None
    started = {
        name: [run for run in some if run["outcome"] == "succeeded" and instant(run, "started_at") > restarted]
        for name, some in runs.items()
    }
    assert started["paused"] == []
    assert started["runs"]
    assert min(instant(run, "started_at") - instant(run, "due_at") for run in started["runs"]) <= MARGIN


def instant(run: dict[str, str], key: str) -> datetime:
    return datetime.fromisoformat(run[key])
