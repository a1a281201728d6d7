"""`health-entries`: what each entry of a job's health documents reports."""

from __future__ import annotations

import json
from pathlib import Path

from tests.parts.http_target import HttpTarget
from tests.scheduler.cli.invocation import invoke, invoke_concurrently
from tests.scheduler.cli.job_files import write_jobs

REPORT = {"status": "DOWN", "components": {"db": {"status": "DOWN", "details": {"error": "refused"}}}}


async def test_entries_are_listed_with_their_status_and_text(job_folder: Path) -> None:
    async with HttpTarget() as target:
        target.on("/health", 503, body=REPORT)
        check = {"check": {"url": f"{target.url}/health"}, "expect": [{"health": "spring"}], "retry": {"attempts": 1}}
        write_jobs(job_folder, checkout_api=check)
        await invoke_concurrently("run", "checkout-api")

        shown = await invoke_concurrently("health-entries", "checkout-api")
        listed = await invoke_concurrently("health-entries", "checkout-api", "--json")
        terminal = await invoke_concurrently("health-entries", "checkout-api", terminal=True)

    header, row = (line.split("\t") for line in shown.lines)
    found = dict(zip(header, row, strict=True))
    assert (found["name"], found["status"], found["reported"], found["effect"]) == ("db", "down", "DOWN", "down")
    assert (found["recent_failures"], found["text"]) == ("1", "refused")
    assert json.loads(listed.stdout)["entries"][0]["changes"][0]["status"] == "down"
    assert "refused" in terminal.stdout


def test_a_job_without_a_document_and_an_unknown_job_are_reported(job_folder: Path) -> None:
    write_jobs(job_folder, checkout_api="http://127.0.0.1:9/")

    assert "no run has read entries" in invoke("health-entries", "checkout-api").stderr
    assert "checkout-api" in invoke("health-entries", "chekout-api").stderr
