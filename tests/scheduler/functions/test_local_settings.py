"""local.settings.json.example: what `func start` hands over on a developer's machine with Azurite."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from config.settings.loading import load_settings
from config.settings.variables import VARIABLE_PREFIX, WELL_KNOWN_VARIABLES
from scheduler.hosts.functions.program import load_functions_configuration
from tests.parts.azurite import Azurite
from tests.parts.functions_worker import WorkerFactory
from tests.scheduler.functions.hosted import ROOT

EXAMPLE = json.loads((ROOT / "local.settings.json.example").read_text())
VALUES: dict[str, str] = EXAMPLE["Values"]

READERS = {
    "FUNCTIONS_WORKER_RUNTIME": "azure.monitor.opentelemetry.exporter._constants",
    "PYTHON_ENABLE_OPENTELEMETRY": "azure_functions_runtime.utils.constants",
    "OTEL_SERVICE_NAME": "opentelemetry.sdk.environment_variables",
    "OTEL_TRACES_SAMPLER": "opentelemetry.sdk.environment_variables",
    "OTEL_TRACES_SAMPLER_ARG": "opentelemetry.sdk.environment_variables",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "opentelemetry.instrumentation.environment_variables",
}
"""Of what the program does not read: a module of Microsoft's or OpenTelemetry's that does."""


@pytest.fixture
def environ(azurite: Azurite, storage_prefix: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """`func start` runs in the project's folder."""
    monkeypatch.chdir(ROOT)
    return VALUES | {"AzureWebJobsStorage": azurite.connection_string, "SCHEDULER_STORAGE__PREFIX": storage_prefix}


def test_only_what_the_host_knows_stands_next_to_the_values() -> None:
    assert EXAMPLE["IsEncrypted"] is False
    assert EXAMPLE.keys() <= {"IsEncrypted", "Values", "Host", "ConnectionStrings"}
    assert EXAMPLE["Host"] == {"LocalHttpPort": 7071}


@pytest.mark.parametrize(
    "name", [name for name in VALUES if name.startswith(VARIABLE_PREFIX) or name in WELL_KNOWN_VARIABLES]
)
def test_the_program_reads_each_setting_that_is_its_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    path = WELL_KNOWN_VARIABLES.get(name) or tuple(name.removeprefix(VARIABLE_PREFIX).lower().split("__"))

    assert load_settings(VALUES, root=ROOT).find_origin(*map(str, path)) == name


@pytest.mark.parametrize(
    "name", [name for name in VALUES if not name.startswith(VARIABLE_PREFIX) and name not in WELL_KNOWN_VARIABLES]
)
def test_the_platform_or_its_telemetry_reads_every_other_setting(name: str) -> None:
    if READERS[name].startswith("azure_functions_runtime") and sys.version_info < (3, 13):
        pytest.skip("the worker package needs Python 3.13")
    spec = find_spec(READERS[name])

    assert spec is not None
    assert spec.origin is not None
    assert f'"{name}"' in Path(spec.origin).read_text()


def test_it_is_a_valid_configuration_of_the_functions_host(environ: dict[str, str]) -> None:
    settings = load_functions_configuration(environ).settings

    assert (settings.store, settings.environment) == ("azure", "dev")


async def test_the_app_works_with_it(
    functions_worker: WorkerFactory, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    async with functions_worker(ROOT, fresh=("scheduler.hosts.functions",)) as worker:
        ticked = await worker.timer("tick")
        ready = await worker.http("GET", "/api/health/ready")
        await sys.modules["scheduler.hosts.functions"].host.aclose()

    assert ticked.failure is None
    assert (ready.status, ready.json()["environment"]) == (200, "dev")
