"""Whoever writes a job cannot send a secret of others to a server of their own, and honest jobs need one rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.parts.host import embedded, job
from tests.parts.http_target import HttpTarget

ENVIRON = {
    "SCHEDULER_ENVIRONMENT": "prod",
    "SCHEDULER_TARGETS__NETWORKS": "127.0.0.0/8,::1",
    "SCHEDULER_SECRET_CHECKOUT_TOKEN": "t0p-secret-value",
}


@pytest.fixture
async def target() -> Any:
    async with HttpTarget() as server:
        yield server


def bearer(url: str) -> dict[str, Any]:
    check = {"url": url, "auth": {"kind": "bearer", "token": {"secret": "checkout-token"}}}
    return {**job(url), "check": check}


async def test_in_production_a_secret_without_a_rule_goes_nowhere_and_the_log_reports_which_rule(
    tmp_path: Path, target: HttpTarget
) -> None:
    async with embedded(tmp_path, {"checkout": bearer(target.url)}, **ENVIRON) as host:
        run = await host.run("checkout")
        lines = [line for line in host.log() if line["Logger"] == "scheduler.job_files"]

    assert (run["outcome"], run["error"], run["attempt_count"]) == ("failed", "target_denied", 1)
    remedy = "secrets.allow (SCHEDULER_SECRETS__ALLOW): checkout-token: [127.0.0.1]."
    assert run["message"].endswith(remedy)
    assert any(line["Message"].endswith(remedy) for line in lines)
    assert target.connections == 0


async def test_a_rule_lets_the_team_and_no_one_else(tmp_path: Path, target: HttpTarget) -> None:
    jobs = {"checkout": bearer(target.url), "thief": bearer(target.url.replace("127.0.0.1", "localhost"))}
    rules = json.dumps({"checkout-token": ["127.0.0.1"]})
    async with embedded(tmp_path, jobs, **ENVIRON, SCHEDULER_SECRETS__ALLOW=rules) as host:
        checkout, thief = await host.run("checkout"), await host.run("thief")

    assert checkout["outcome"] == "succeeded", checkout["message"]
    assert (thief["error"], target.connections) == ("target_denied", 1)
    assert target.last.headers["authorization"] == "Bearer t0p-secret-value"


async def test_a_setting_brings_back_how_it_was(tmp_path: Path, target: HttpTarget) -> None:
    jobs = {"checkout": bearer(target.url)}
    async with embedded(tmp_path, jobs, **ENVIRON, SCHEDULER_SECRETS__UNBOUND="allow") as host:
        run = await host.run("checkout")

    assert run["outcome"] == "succeeded", run["message"]
