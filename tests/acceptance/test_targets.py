"""Where the running program may connect to, by its settings: in production private targets have to be named."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.parts.host import embedded, job
from tests.parts.http_target import HttpTarget

LOOPBACK = "127.0.0.0/8,::1"


@pytest.fixture
async def target() -> Any:
    async with HttpTarget() as server:
        yield server


async def outcome(folder: Path, url: str, **env: str) -> dict[str, Any]:
    jobs = {"checkout": {**job(url), "retry": {"attempts": 3, "initial": "1ms"}}}
    async with embedded(folder, jobs, **env) as host:
        return await host.run("checkout")


async def test_production_requests_no_private_target_that_is_not_named(tmp_path: Path, target: HttpTarget) -> None:
    run = await outcome(tmp_path, target.url, SCHEDULER_ENVIRONMENT="prod")

    assert (run["outcome"], run["error"], run["attempt_count"]) == ("failed", "target_denied", 1)
    assert run["reason"] == "target_denied"
    assert run["message"] == (
        "Not sent: 127.0.0.1 is a loopback address outside the allowed networks. To allow it, add its network "
        "to the setting targets.networks (SCHEDULER_TARGETS__NETWORKS)."
    )
    assert target.connections == 0


async def test_a_job_that_will_be_denied_is_reported_at_the_start(tmp_path: Path) -> None:
    jobs = {"checkout": job("https://10.20.0.7/health"), "shop": job("https://shop.internal/")}
    async with embedded(tmp_path, jobs, SCHEDULER_ENVIRONMENT="prod") as host:
        (line,) = [line for line in host.log() if line["Logger"] == "scheduler.targets"]

    assert line["Level"] == "WARNING"
    assert line["Message"].startswith("1 job has a target that the settings do not allow: checkout. Not sent: ")


async def test_production_requests_a_private_target_whose_network_is_named(tmp_path: Path, target: HttpTarget) -> None:
    run = await outcome(
        tmp_path,
        target.url.replace("127.0.0.1", "localhost"),
        SCHEDULER_ENVIRONMENT="prod",
        SCHEDULER_TARGETS__NETWORKS=LOOPBACK,
    )

    assert run["outcome"] == "succeeded", run["message"]


async def test_a_redirect_to_the_metadata_endpoint_is_not_followed(tmp_path: Path, target: HttpTarget) -> None:
    target.on("/", 302, headers={"location": "http://0xA9FEA9FE/metadata/instance"})

    run = await outcome(tmp_path, target.url, SCHEDULER_TARGETS__NETWORKS="0.0.0.0/0,::/0")

    assert run["error"] == "target_denied"
    assert "169.254.169.254" in run["message"]
    assert run["message"].endswith(f"No setting allows that. 127.0.0.1:{target.port} redirected to it.")


async def test_the_apps_own_token_endpoint_is_not_requested(tmp_path: Path, target: HttpTarget) -> None:
    run = await outcome(
        tmp_path,
        f"{target.url}/msi/token",
        IDENTITY_ENDPOINT=f"http://localhost:{target.port}/msi/token",
        IDENTITY_HEADER="secret",
    )

    assert run["error"] == "target_denied"
    assert "issues this app's tokens" in run["message"]
    assert target.connections == 0


async def test_a_job_cannot_pause_the_job_of_another_team(tmp_path: Path, target: HttpTarget) -> None:
    async with embedded(tmp_path, {"checkout": job(target.url)}) as host:
        check = {"url": f"{host.client.base_url}/api/jobs/checkout/pause", "method": "POST", "body": {"json": {}}}
        steer = {"check": check, "retry": {"attempts": 1}}
        (tmp_path / "jobs" / "steer.json").write_text(json.dumps({"jobs": {"steer": steer}}))
        async with asyncio.timeout(60):
            while (await host.client.get("/api/jobs/steer")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        run = await host.run("steer")
        checkout = await host.get("/api/jobs/checkout")

    assert run["error"] == "target_denied"
    assert "serves this program's own API. No setting allows that." in run["message"]
    assert checkout["pause"] is None
