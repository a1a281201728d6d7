"""Whatever kept an alert from notifying, the explanation of the job names it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from jobs.notifications.port import SendFailed
from jobs.runs import ErrorClass
from scheduler.features.alerts.models import AlertExplanationModel
from tests.parts.alerting_program import Scene, alerting_program, job_of
from tests.scheduler.audit.memory_trail import COMMAND_CALLER


async def explain(scene: Scene, job: str) -> AlertExplanationModel:
    return await scene.program.alert_explainer.explain(job)


async def test_500_jobs_behind_one_parent(tmp_path: Path) -> None:
    children = [f"shop-{number}" for number in range(499)]
    behind = {name: job_of(name, alert_parent="router", alerts=[{"open_after": 1}]) for name in children}
    async with alerting_program(tmp_path, {"router": job_of("router"), **behind}) as scene:
        scene.network.down("router", *children)
        await scene.run("router", *children)
        await scene.wait(15)
        (incident,) = await scene.incidents()

        router = await explain(scene, "router")
        assert router.summary == (
            "router fails since 03:00:00: the last run failed: Answered 503, expected 2xx "
            f"(incident {incident.id}, notified team at 03:00:10)."
        )
        assert router.rules[0].routing == "notifies team by route 1 (route 1: matched)"
        assert not router.reasons
        held = [each.key for each in await scene.decisions(incident) if each.code == "held_back_parent"]
        assert sorted(key.subject for key in held if key is not None) == sorted(children)
        for name in random.Random(13).sample(children, 20):
            assert (await explain(scene, name)).summary == (
                f"{name} fails since 03:00:00 and is not notified separately: its parent router fails since 03:00:00 "
                f"(incident {incident.id}, notified team at 03:00:10)."
            )


async def test_a_blind_scheduler(tmp_path: Path) -> None:
    names = [f"shop-{number}" for number in range(6)]
    async with alerting_program(tmp_path, {name: job_of(name) for name in names}) as scene:
        await scene.run(*names)
        await scene.wait(60)
        scene.network.outage = ErrorClass.DNS_FAILURE
        await scene.rounds(names, 3)
        (incident,) = await scene.incidents()
        found = await explain(scene, "shop-2")
        assert f"the scheduler itself was blind (incident {incident.id}): " in found.reasons[0]


async def test_a_paused_job(tmp_path: Path) -> None:
    async with alerting_program(tmp_path, {"shop": job_of("shop")}) as scene:
        await scene.program.operations.pauses.pause("shop", reason="migration", caller=COMMAND_CALLER)
        found = await explain(scene, "shop")
        assert found.reasons[0] == "the job is paused (migration)"


async def refuse(*_: object) -> None:
    raise SendFailed("503 Service Unavailable")


async def test_a_channel_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with alerting_program(tmp_path, {"shop": job_of("shop")}) as scene:
        monkeypatch.setattr("tests.parts.alerting_program._Recorder.send", refuse)
        scene.network.down("shop")
        await scene.run("shop")
        await scene.wait(20)
        found = await explain(scene, "shop")
        assert found.summary.endswith("Not notified: team: attempt 3 failed: 503 Service Unavailable.")
        assert found.reasons == ["the channel team fails: 503 Service Unavailable"]

        monkeypatch.undo()
        await scene.wait(60)
        assert "notified team at 03:00:" in (await explain(scene, "shop")).summary
