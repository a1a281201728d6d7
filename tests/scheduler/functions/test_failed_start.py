"""A start that fails is reported to Application Insights and to Datadog, whatever is wrong with the configuration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from config.settings.loading import load_telemetry_settings
from tests.parts.ingestion import ApplicationInsightsIngestion, DatadogIntake
from tests.parts.proc import Finished, run
from tests.scheduler.functions.hosted import ROOT, environment, write_jobs

CHECK = {"kind": "http", "url": "http://127.0.0.1:9/"}
SEVERITY_ERROR = 3


@pytest.fixture
async def insights() -> AsyncIterator[ApplicationInsightsIngestion]:
    async with ApplicationInsightsIngestion() as insights:
        yield insights


@pytest.fixture
async def intake() -> AsyncIterator[DatadogIntake]:
    async with DatadogIntake() as intake:
        yield intake


@pytest.fixture
def environ(insights: ApplicationInsightsIngestion, intake: DatadogIntake, tmp_path: Path) -> dict[str, str]:
    write_jobs(tmp_path / "jobs", checkout={"check": CHECK})
    return {
        **environment("UseDevelopmentStorage=true", "scheduler", tmp_path / "jobs"),
        "APPLICATIONINSIGHTS_CONNECTION_STRING": insights.connection_string,
        "DD_API_KEY": intake.api_key,
        "SCHEDULER_DATADOG__URL": intake.url,
        "TMPDIR": str(tmp_path),
    }


async def start(environ: dict[str, str]) -> Finished:
    return await run(module="tests.scheduler.functions.failing_start", cwd=ROOT, env=environ, within=60)


def reported(insights: ApplicationInsightsIngestion) -> list[dict[str, Any]]:
    return [row for row in insights.by_type("MessageData") if row["properties"].get("Event") == "SERVICE_FAILED"]


def logged(intake: DatadogIntake) -> list[dict[str, Any]]:
    return [line for line in intake.logs if line.get("Event") == "SERVICE_FAILED"]


async def test_a_job_file_that_is_wrong_reaches_both_tools(
    environ: dict[str, str], insights: ApplicationInsightsIngestion, intake: DatadogIntake, tmp_path: Path
) -> None:
    write_jobs(tmp_path / "jobs", checkout={"check": CHECK, "retires": 3})

    done = await start(environ)

    assert done.stdout.strip() == "503", done.stderr  # as /api/status says it, too
    (row,), (line,) = reported(insights), logged(intake)
    assert "jobs.checkout.retires: unknown key" in row["message"]
    assert row["severityLevel"] in (SEVERITY_ERROR, "Error")
    assert "jobs.checkout.retires: unknown key" in line["message"]
    assert line["status"] == "error"
    assert {"env:prod", "service:scheduler"} <= set(line["ddtags"].split(","))


async def test_a_setting_that_is_wrong_reaches_both_tools(
    environ: dict[str, str], insights: ApplicationInsightsIngestion, intake: DatadogIntake
) -> None:
    done = await start({**environ, "SCHEDULER_CONCURRENCY": "many"})

    assert done.stdout.strip() == "503", done.stderr
    assert "SCHEDULER_CONCURRENCY: 'many' is not a whole number" in reported(insights)[0]["message"]
    assert "SCHEDULER_CONCURRENCY: 'many' is not a whole number" in logged(intake)[0]["message"]


async def test_the_embedded_host_reports_it_before_it_ends(
    environ: dict[str, str], insights: ApplicationInsightsIngestion, intake: DatadogIntake
) -> None:
    broken = {**environ, "SCHEDULER_STORE": "sqlite:///x.db", "SCHEDULER_CONCURRENCY": "many"}

    done = await run("serve", "--port", "0", cwd=ROOT, env=broken, within=60)

    assert (done.code, done.stderr) == (2, "SCHEDULER_CONCURRENCY: 'many' is not a whole number\n")
    assert len(reported(insights)) == 1
    assert len(logged(intake)) == 1


def test_settings_of_telemetry_are_read_past_those_that_are_wrong() -> None:
    environ = {
        "SCHEDULER_ENVIRONMENT": "prod",
        "SCHEDULER_PORT": "no port",
        "SCHEDULER_NOTHING": "1",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=1",
        "DD_API_KEY": "key",
        "DD_SITE": "no site",
        "OTEL_SERVICE_NAME": "mine",
    }
    settings = load_telemetry_settings(environ, root=ROOT)
    assert (settings.environment, settings.service_name) == ("prod", "mine")
    assert settings.application_insights.connection_string is not None
    assert settings.datadog.api_key is None


@pytest.mark.parametrize("name", ["APPLICATIONINSIGHTS_CONNECTION_STRING", "DD_API_KEY"])
def test_a_reference_that_was_not_resolved_starts_no_exporter(name: str) -> None:
    environ = {name: "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/x)", "SCHEDULER_PORT": "x"}
    settings = load_telemetry_settings(environ, root=ROOT)
    assert settings.application_insights.connection_string is None
    assert settings.datadog.api_key is None


def test_an_unknown_environment_does_not_keep_telemetry_from_starting() -> None:
    settings = load_telemetry_settings({"SCHEDULER_ENVIRONMENT": "prd", "DD_API_KEY": "key"}, root=ROOT)
    assert settings.datadog.api_key is not None
