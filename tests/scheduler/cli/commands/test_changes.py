"""`changes`: when jobs entered another state."""

from __future__ import annotations

import json
from pathlib import Path

from tests.parts.http_target import HttpTarget
from tests.scheduler.cli.invocation import invoke, invoke_concurrently
from tests.scheduler.cli.job_files import write_jobs


async def test_changes_of_runs_and_pauses_are_listed_newest_first(job_folder: Path) -> None:
    async with HttpTarget() as target:
        write_jobs(job_folder, checkout_api=f"{target.url}/health")
        await invoke_concurrently("run", "checkout-api")
        await invoke_concurrently("pause", "checkout-api", "--reason", "deployment")

        shown = await invoke_concurrently("changes")
        listed = await invoke_concurrently("changes", "checkout-api", "--state", "up", "--json")
        terminal = await invoke_concurrently("changes", terminal=True)

    header, *rows = [line.split("\t") for line in shown.lines]
    states = [dict(zip(header, row, strict=True)) for row in rows]
    assert [(row["state"], row["previous"], row["code"]) for row in states] == [
        ("paused", "up", "job_paused"),
        ("up", "", "succeeded"),
    ]
    assert [change["number"] for change in json.loads(listed.stdout)["changes"]] == [1]
    assert "deployment" in terminal.stdout


def test_a_job_without_changes_and_an_unknown_job_are_reported(job_folder: Path) -> None:
    write_jobs(job_folder, checkout_api="http://127.0.0.1:9/")

    assert "no change matches" in invoke("changes", "checkout-api").stderr
    assert "checkout-api" in invoke("changes", "chekout-api").stderr
