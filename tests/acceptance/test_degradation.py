"""Where the jobs come from is taken away and brought back: runs go on, and health says what is the matter meanwhile.

The other parts: test_services_away, and tests/scheduler/functions/test_outage.
"""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.parts.host import Host, embedded, job
from tests.parts.http_target import HttpTarget


async def part(host: Host, name: str, status: str) -> dict[str, Any]:
    """The part, once it is so."""
    async with asyncio.timeout(10):
        while True:
            answer = await host.client.get("/api/status")
            assert answer.status_code == 200
            (found,) = [each for each in answer.json()["parts"] if each["name"] == name]
            if found["status"] == status:
                return dict(found)
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_runs_go_on_while_the_folder_of_jobs_is_gone_empty_or_broken(tmp_path: Path) -> None:
    folder, aside = tmp_path / "jobs", tmp_path / "aside"
    messages = []
    async with HttpTarget() as target:
        jobs = {"checkout": job(target.url, "every 1s")}
        async with embedded(tmp_path, jobs) as host:
            await target.wait_for_requests(1, timeout=20)
            began = datetime.now(UTC)
            for trouble in ("gone", "empty", "broken"):
                if trouble == "broken":
                    (folder / "jobs.json").write_text('{"jobs": {"checkout": {"chek": 1}}}')
                else:
                    os.rename(folder, aside)
                if trouble == "empty":
                    os.mkdir(folder)
                messages.append((await part(host, "job_files", "degraded"))["message"])
                if trouble == "empty":
                    os.rmdir(folder)
                if trouble == "broken":
                    (folder / "jobs.json").write_text(json.dumps({"jobs": jobs}))
                else:
                    os.rename(aside, folder)
                await part(host, "job_files", "ok")
            ended = datetime.now(UTC)
            await asyncio.sleep(1)
            runs = [run for run in await host.runs() if began <= datetime.fromisoformat(run["due_at"]) <= ended]
            await host.stop()

    words = ("is not there", "there are no job files any more", "jobs.json:1: jobs.checkout.chek: unknown key")
    assert all(word in message for word, message in zip(words, messages, strict=True)), messages
    assert len({run["due_at"] for run in runs}) == len(runs) >= int((ended - began).total_seconds())
    assert {run["outcome"] for run in runs} == {"succeeded"}
