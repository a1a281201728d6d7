"""What a server logs of job files that can be used but are hardly meant."""

from __future__ import annotations

import json
from pathlib import Path

from tests.parts.host import embedded

FLAT = {"Endpoint": "http://127.0.0.1:9/", "AuthType": "bearer"}
ODD = {"Endpoint": "http://127.0.0.1:9/", "Schedule": "0 0 22-2 * * *"}


async def test_a_server_logs_each_warning_once_and_after_a_change_those_that_are_new(tmp_path: Path) -> None:
    folder = tmp_path / "jobs"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps({"externalApiHealth": FLAT}))
    async with embedded(tmp_path, None, SCHEDULER_JOBS=str(folder), SCHEDULER_DEFAULT_SCHEDULE="none") as host:
        await host.logged("scheduler started")
        (folder / ".new").write_text(json.dumps({"externalApiHealth": FLAT, "odd": ODD}))
        (folder / ".new").rename(folder / "a.json")
        await host.logged("jobs in force: 2")
        (listed, _) = (await host.get("/api/jobs"))["jobs"]
        await host.stop()

    first, second = [line["Message"] for line in host.log() if line["Logger"] == "scheduler.job_files"]
    assert first.startswith(f"{folder}/a.json:1: externalApiHealth.AuthType: bearer names no secret")
    assert second.startswith(f"{folder}/a.json:1: odd.Schedule: hour: '22-2' is a reversed range")
    assert (listed["schedule"], listed["has_default_schedule"]) == (None, False)
