"""A dead man's switch, from the outside: pings by HTTP, what is told when they stay away, and a restart in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.parts.command_line import CommandLine
from tests.parts.host import Host, embedded

TOKEN, OTHER = "2fd4e1c67a2d28fced849ee1bb76e739", "de9f2c7fd25e1b3afad3e85a0bd17d9b"
SECRETS = {"SCHEDULER_SECRET_OFTEN_TOKEN": TOKEN, "SCHEDULER_SECRET_NIGHTLY_TOKEN": OTHER}
JOBS: dict[str, Any] = {
    "often": {
        "schedule": "every 1s",
        "check": {"kind": "heartbeat", "token": {"secret": "often-token"}, "period": "1s", "grace": "1s"},
    },
    "nightly": {
        "schedule": None,
        "check": {
            "kind": "heartbeat",
            "token": {"secret": "nightly-token"},
            "schedule": {"cron": "0 0 3 * * *", "timezone": "Europe/Berlin"},
            "max_duration": "2h",
        },
    },
}


async def ping(host: Host, token: str, rest: str = "", body: str | None = None) -> None:
    answer = await host.client.request("GET" if body is None else "POST", f"/api/ping/{token}{rest}", content=body)
    assert (answer.status_code, answer.text) == (200, "OK")


async def until_run(host: Host, job: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The job's newest run, as soon as this holds of it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        runs = [run for run in await host.runs(job=job) if run["outcome"] not in (None, "skipped")]
        if runs and holds(runs[0]):
            return runs[0]
        await asyncio.sleep(0.1)
    raise AssertionError(runs)


@pytest.mark.slow
async def test_a_heartbeat_fails_comes_back_fails_and_outlives_a_restart(tmp_path: Path) -> None:
    line = CommandLine(tmp_path, **SECRETS)
    async with embedded(tmp_path, JOBS, **SECRETS) as host:
        await ping(host, TOKEN)
        missing = await until_run(host, "often", lambda run: run["outcome"] == "failed")
        await ping(host, TOKEN)
        back = await until_run(host, "often", lambda run: run["outcome"] == "succeeded")

        await ping(host, OTHER, "/start?rid=n1")
        started = await host.get("/api/jobs/nightly/heartbeat")
        await ping(host, OTHER, "/3?rid=n1", "tar: no space left\n")
        failed = await until_run(host, "nightly", lambda run: run["outcome"] == "failed")
        stranger = await host.client.get("/api/ping/unknown-token-0001")
        log = host.program.stdout
        await host.stop()

    shown = await line("heartbeat", "nightly")
    async with embedded(tmp_path, JOBS, **SECRETS) as host:
        stored = await host.get("/api/jobs/nightly/heartbeat")
        await ping(host, OTHER, "/0")
        fixed = await until_run(host, "nightly", lambda run: run["outcome"] == "succeeded")
        await host.stop()

    assert missing["error"] == "heartbeat_missing"
    assert missing["message"].startswith("No ping since ")
    assert "grace of 1s is over; the last one came from 127.0.0.1 (python-httpx" in missing["message"]
    assert (missing["attempt_count"], missing["endpoint"]) == (1, "heartbeat:often-token")
    assert back["error"] is None
    assert (started["state"], started["secret"]) == ("started", "nightly-token")
    assert (failed["error"], failed["trigger"]) == ("heartbeat_failed", "manual")
    assert "exit code 3" in failed["message"]
    assert failed["message"].endswith("Its text: tar: no space left")
    assert stranger.status_code == 404
    assert (stored["state"], stored["exit_code"], stored["ping_count"]) == ("down", 3, 2)
    assert [one["signal"] for one in stored["pings"]] == ["fail", "start"]
    assert fixed["trigger"] == "manual"
    assert (shown.code, len(shown.stdout.splitlines())) == (0, 3)
    assert "/api/ping/$TOKEN/$?" in shown.stderr
    for text in (log, shown.stdout, shown.stderr):
        assert TOKEN not in text
        assert OTHER not in text
