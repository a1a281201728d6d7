"""`generate azure`, applied with azure-identity to Azure Resource Manager on loopback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.parts.arm_server import COMPONENT, ArmServer, arm_server
from tests.parts.ingestion import ManagedIdentityServer
from tests.scheduler.cli.invocation import CommandResult, invoke, invoke_concurrently
from tests.scheduler.cli.job_files import write_jobs

JOB = {"schedule": "every 1m", "check": {"url": "http://127.0.0.1:9/"}, "slo": {"target": 99.9}}


@pytest.fixture
def out(job_folder: Path, tmp_path: Path) -> Path:
    write_jobs(job_folder, checkout=JOB)
    return tmp_path / "out"


@pytest_asyncio.fixture
async def arm(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ArmServer]:
    async with ManagedIdentityServer() as identities:
        with arm_server() as server:
            server.valid_tokens = {identities.token(server.url, number) for number in range(1, 4)}
            variables = {"AZURE_APPLICATION_INSIGHTS_ID": COMPONENT, "AZURE_RESOURCE_MANAGER_URL": server.url}
            for name, value in {**identities.environ, **variables}.items():
                monkeypatch.setenv(name, value)
            yield server


async def apply(out: Path, *options: str) -> CommandResult:
    return await invoke_concurrently("generate", "apply", "azure", "--out", str(out), *options)


def test_templates_are_written_for_the_jobs_without_any_variable(out: Path) -> None:
    written = invoke("generate", "azure", "--out", str(out))
    assert written.code == 0
    template = json.loads((out / "azure" / "scheduler-alerts.json").read_text())
    assert any(each["name"] == "scheduler-test-budget-1h" for each in template["resources"])
    assert "checkout" in json.dumps(template)
    assert invoke("generate", "azure", "--out", str(out), "--check").code == 0


def test_apply_without_a_component_says_which_variable_is_missing(out: Path) -> None:
    failed = invoke("generate", "apply", "azure", "--out", str(out))
    assert failed.code == 1
    assert "AZURE_APPLICATION_INSIGHTS_ID must be the resource id" in failed.stderr


async def test_apply_creates_the_resources_once_and_drift_finds_an_edit(out: Path, arm: ArmServer) -> None:
    first = await apply(out)
    assert (first.code, first.stderr.count("could not")) == (0, 0)
    assert len(arm.writes()) == len(arm.resources) - 1
    second = await apply(out)
    assert (second.code, arm.writes()) == (0, [])
    rule = next(each for path, each in arm.resources.items() if path.endswith("-down-no-group-1h"))
    rule["properties"]["severity"] = 4
    drift = await invoke_concurrently("generate", "drift", "azure", "--out", str(out))
    assert drift.code == 1
    assert "/properties/severity" in drift.stdout
