"""The Functions image without rights, in the stand-in for Microsoft's host, on Azurite.

It serves, runs jobs by timer and queue, stops cleanly, and a restart finds its state.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.image.built.containers import Container, running
from tests.image.built.images import VERSION, BuiltImage
from tests.image.built.targets import Target, running_target
from tests.image.built.test_embedded import NO_CAPABILITIES
from tests.parts.azurite import fresh_prefix, running_azurite
from tests.parts.functions_host import MASTER_KEY
from tests.parts.functions_style import environment
from tests.parts.proc import free_port

TICK = 5
PATIENCE = 45.0
DRAIN_SECONDS = 30
"""A host lets functions finish: one of them waits for the instants of its tickets, which are up to 15 s ahead."""


@pytest.fixture
def storage() -> Iterator[str]:
    with running_azurite() as azurite:
        yield azurite.connection_string


@pytest.fixture
def target() -> Iterator[Target]:
    with running_target() as found:
        yield found


def test_timer_and_queue_run_jobs_and_a_restart_continues(
    functions_image: BuiltImage, tmp_path: Path, storage: str, target: Target
) -> None:
    port, prefix = free_port(), fresh_prefix()
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    job = {"check": {"kind": "http", "url": target.url}, "schedule": "every 2s"}
    (jobs / "jobs.json").write_text(json.dumps({"jobs": {"shop": job}}))
    variables = environment(storage, prefix, Path("/jobs"))
    variables |= {"ASPNETCORE_URLS": f"http://+:{port}", "STAND_IN_TICK": str(TICK)}

    def start(name: str) -> Any:
        headers = {"x-functions-key": MASTER_KEY}
        return running(functions_image, name, port, variables, volumes={jobs: "/jobs:ro"}, headers=headers)

    with start("functions-1") as first:
        check_rights(first)
        assert first.get("/api/health")["version"] == VERSION
        before = wait_for(lambda: scheduled_runs(first), at_least=3)
        manual = first.post("/api/jobs/shop/run?wait=20s").json()
        assert manual["outcome"] == "succeeded"
        stopped = first.stop(DRAIN_SECONDS)

    assert (stopped.exit_code, "stopped" in stopped.output.splitlines()) == (0, True), stopped.output
    assert stopped.seconds < DRAIN_SECONDS
    assert "failed:" not in stopped.output
    assert "Traceback" not in stopped.output

    with start("functions-2") as second:
        assert second.get(f"/api/runs/{manual['id']}")["outcome"] == "succeeded"
        after = wait_for(lambda: scheduled_runs(second), at_least=len(before) + 3)
        assert before <= after
        assert target.requests >= len(after)


def scheduled_runs(container: Container) -> frozenset[str]:
    items = container.get("/api/runs?job=shop&limit=100")["runs"]
    return frozenset(run["id"] for run in items if run["outcome"] == "succeeded" and run["trigger"] == "schedule")


def wait_for(read: Callable[[], frozenset[str]], *, at_least: int) -> frozenset[str]:
    end = time.monotonic() + PATIENCE
    while len(found := read()) < at_least:
        assert time.monotonic() < end, f"{len(found)} runs after {PATIENCE:g} s, expected {at_least}"
        time.sleep(0.5)
    return found


def check_rights(container: Container) -> None:
    status = container.status_of_process_1()
    assert status["Uid"].split() == ["10001"] * 4
    assert status["CapEff"] == status["CapBnd"] == NO_CAPABILITIES
    assert status["NoNewPrivs"] == "1"
    assert container.execute("touch", "/home/site/wwwroot/x").returncode != 0
