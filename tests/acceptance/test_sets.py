"""A set of stored jobs is planned and applied from another terminal, while a server runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.parts.azurite import Azurite
from tests.parts.command_line import CommandLine
from tests.parts.host import embedded, job
from tests.parts.http_target import HttpTarget


def write_set(folder: Path, jobs: dict[str, Any]) -> str:
    file = folder / "reports.json"
    file.write_text(json.dumps({"jobs": jobs}))
    return str(file)


async def test_a_running_server_runs_the_jobs_of_an_applied_set(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    async with HttpTarget() as target, embedded(tmp_path, {"booking": job(target.url)}) as host:
        desired = {"reports": job(f"{target.url}/reports", "* * * * * *")}
        file = write_set(tmp_path, desired)
        over_api = await host.client.post("/api/sets/reporting/plan", json={"jobs": desired})
        planned = await line("plan", file, "--set", "reporting")
        applied = await line("apply", file, "--set", "reporting", "--plan-hash", over_api.json()["plan_id"])
        runs = await line.until_history("reports", lambda runs: any(run["outcome"] == "succeeded" for run in runs))
        again = await line("plan", file, "--set", "reporting")
        entries = (await host.get("/api/audit"))["entries"]
        await host.stop()

    assert planned.code == 3
    assert planned.stdout.splitlines()[-1] == f"plan hash: {over_api.json()['plan_id']}"
    assert (applied.code, again.code) == (0, 0)
    assert {run["trigger"] for run in runs} == {"schedule"}
    (audited,) = (entry for entry in entries if entry["action"] == "set.apply")
    assert audited["source"] == "command_line"
    assert audited["principal"].startswith("command_line:")


async def test_a_running_server_forgets_a_deleted_job_and_gets_a_restored_one(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    async with HttpTarget() as target, embedded(tmp_path, {}) as host:
        created = await host.client.post("/api/jobs", json={"name": "reports", **job(target.url)})
        ran = await line("run", "reports")
        deleted = await line("delete", "reports")
        missing = await host.client.get("/api/jobs/reports")
        restored = await line("restore", "reports", "1")
        found = await host.client.get("/api/jobs/reports")
        versions = await line.rows("versions", "reports")
        await host.stop()

    assert (created.status_code, ran.code, deleted.code, restored.code) == (201, 0, 0, 0)
    assert (missing.status_code, found.status_code) == (404, 200)
    assert [version["number"] for version in versions] == ["3", "2", "1"]


@pytest.mark.azurite
async def test_a_set_is_applied_to_azure_tables(azurite: Azurite, storage_prefix: str, tmp_path: Path) -> None:
    line = CommandLine(tmp_path, **azurite.settings(storage_prefix))
    (tmp_path / "jobs").mkdir()
    first = write_set(tmp_path, {f"reports-{number}": job("http://127.0.0.1:9/") for number in range(20)})
    applied = await line("apply", first, "--set", "reporting", "--yes")
    listed = await line.rows("jobs")
    second = write_set(tmp_path, {"reports-0": job("http://127.0.0.1:9/", "every 1m")})
    changed = await line.json("apply", second, "--set", "reporting", "--yes")
    remaining = await line.rows("jobs")

    assert (applied.code, len(listed)) == (0, 20)
    assert (len(changed["changed"]), len(changed["removed"]), changed["applied"]) == (1, 19, True)
    assert [row["name"] for row in remaining] == ["reports-0"]
