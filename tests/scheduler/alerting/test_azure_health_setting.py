"""The whole program queries Azure about incidents only if the settings let it, and only in the process that leads."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.checks.port import AttemptContext
from jobs.runs import Observation, Phases
from jobs.targets import AzureResourceTarget
from scheduler.hosts.embedded import leading
from tests.parts.alerting_program import Scene, alerting_program, job_of
from tests.parts.azure_apis import SUBSCRIPTION

SHOP = f"{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.Web/sites/shop"
ON = {"SCHEDULER_ALERTING__AZURE_HEALTH": "true"}


class Azure:
    """The check of resources, which says that all are down."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.requested: list[str] = []
        self.sent_before: list[list[str]] = []

    def prepare(self, target: AzureResourceTarget) -> None:
        """Nothing to load."""

    async def observe(self, target: AzureResourceTarget, call: AttemptContext) -> Observation:
        self.requested.append(target.resource)
        self.sent_before.append([kind for _, kind, _ in self._scene.sent])
        properties = {"availabilityState": "Unavailable", "context": "Platform Initiated"}
        document = {"value": []} if target.resource.endswith("/events") else {"properties": properties}
        return Observation(Phases(), status=200, body=json.dumps(document).encode())

    async def aclose(self) -> None:
        """Holds nothing."""


async def fail(scene: Scene) -> Azure:
    azure: Any = Azure(scene)
    scene.program.check_setup.checks["azure_resource"] = azure
    scene.network.down("checkout")
    await scene.rounds(["checkout"], 3)
    await scene.wait(60)
    return azure


JOBS = {"checkout": job_of("checkout", tags={"azure_resource": SHOP})}


async def test_nothing_is_sent_unless_the_setting_is_on(tmp_path: Path) -> None:
    async with alerting_program(tmp_path, JOBS, shared=True) as scene:
        azure = await fail(scene)
        assert scene.program.alerting.azure_health is None
        assert (azure.requested, (await scene.incidents())[0].azure) == ([], ())


async def test_a_tick_of_the_functions_host_sends_requests_after_the_messages_were_sent(tmp_path: Path) -> None:
    async with alerting_program(tmp_path, JOBS, shared=True, **ON) as scene:
        azure = await fail(scene)
        (incident,) = await scene.incidents()
        assert incident.azure[0].state == "Unavailable (Platform Initiated)"
        assert azure.requested[0] == f"{SHOP}/providers/Microsoft.ResourceHealth/availabilityStatuses/current"
        assert azure.sent_before == [["opened"]] * 2


@pytest.mark.parametrize("is_on", [False, True])
def test_the_process_that_leads_sends_the_requests(monkeypatch: pytest.MonkeyPatch, is_on: bool) -> None:
    started: list[Any] = []
    monkeypatch.setattr(leading, "restart_on_failure", started.append)
    watch = SimpleNamespace(run=object())
    part = SimpleNamespace(run=lambda: None, run_daily_tests=None, azure_health=watch if is_on else None)
    program = SimpleNamespace(alerting=part, watchdog=part, self_watch=part)
    work: Any = SimpleNamespace(_program=program, _recovery=part)
    leading.LeadingWork._work(work, part)  # type: ignore[arg-type]
    assert (watch.run in started) is is_on
