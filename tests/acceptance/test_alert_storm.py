"""Hundreds of jobs fail because of one: one message, and every other failure is explained by a recorded decision."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jobs.incidents.values import Incident
from tests.parts.alerting_program import TEAM, LoopProbe, Scene, alerting_program, job_of

HELD_AT_MOST = 0.05
"""Seconds of CPU in one step of the event loop. Alone, on this machine, it is below 0.02."""


def behind(parent: str, number: int, **more: Any) -> dict[str, Any]:
    return {f"{parent}-{each}": job_of(f"{parent}-{each}", alert_parent=parent, **more) for each in range(number)}


def opened(scene: Scene) -> list[str]:
    return [subject for _, kind, subject in scene.sent if kind == "opened"]


def resolved(scene: Scene) -> list[str]:
    return [subject for _, kind, subject in scene.sent if kind == "resolved"]


async def held_back(scene: Scene, incident: Incident) -> Counter[str]:
    return Counter(each.code for each in await scene.decisions(incident))


async def test_500_jobs_fail_with_their_parent_and_three_stay_down(tmp_path: Path) -> None:
    jobs = {"router": job_of("router", alerts=[{"open_after": 1, "notify": ["net", "team"]}]), **behind("router", 499)}
    channels = {name: {"kind": "webhook", "url": f"http://127.0.0.1:9/{name}"} for name in ("team", "net")}
    async with alerting_program(tmp_path, jobs, TEAM | {"channels": channels}) as scene:
        scene.network.down(*jobs)
        await scene.run(*jobs)
        async with LoopProbe() as probe:
            await scene.wait(70)

        (incident,) = await scene.incidents()
        assert sorted(scene.sent) == [("net", "opened", "router"), ("team", "opened", "router")]
        assert (await held_back(scene, incident))["held_back_parent"] == 499
        assert len(incident.open_members) == 500

        still = ["router-7", "router-8", "router-9"]
        scene.network.up(*jobs)
        scene.network.down(*still)
        await scene.run("router")
        await scene.wait(20)
        assert scene.sent[2:] == [], "the others were not checked since"
        await scene.run(*(job for job in jobs if job != "router"))
        async with probe:
            await scene.wait(20)
        assert sorted(opened(scene)[2:]) == still
        assert Counter(resolved(scene)) == {"router": 2}
        router, *others = await scene.incidents()
        codes = await held_back(scene, router)
        assert (codes["recovered_behind_parent"], codes["left_parent"]) == (496, 3)
        assert [each.is_open for each in (router, *others)] == [False, True, True, True]

        scene.network.up(*still)
        await scene.run(*still)
        await scene.wait(5)
        ends = [(channel, subject) for channel, kind, subject in scene.sent if kind == "resolved"]
        starts = [(channel, subject) for channel, kind, subject in scene.sent if kind == "opened"]
        assert sorted(ends) == sorted(starts)
        assert not any(each.is_open for each in await scene.incidents())
        assert probe.longest < HELD_AT_MOST


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_order_of_the_failures_does_not_matter(tmp_path: Path, seed: int) -> None:
    jobs = {"router": job_of("router"), **behind("router", 12)}
    order = list(jobs)
    random.Random(seed).shuffle(order)
    async with alerting_program(tmp_path, jobs) as scene:
        await scene.run(*jobs)
        await scene.wait(30)
        scene.network.down(*jobs)
        for job in order:
            await scene.run(job)
            await scene.wait(1)
        await scene.wait(60)
        assert opened(scene) == ["router"]
        (incident,) = await scene.incidents()
        assert (await held_back(scene, incident))["held_back_parent"] == 12


async def test_children_wait_for_the_check_of_their_parent_for_90_seconds_at_most(tmp_path: Path) -> None:
    jobs = {"router": job_of("router"), **behind("router", 3)}
    async with alerting_program(tmp_path, jobs) as scene:
        await scene.run(*jobs)
        await scene.wait(5)
        scene.network.down("router-0")
        await scene.run("router-0")
        await scene.wait(89)
        assert opened(scene) == []
        await scene.wait(2)
        assert opened(scene) == ["router-0"]


async def test_a_checked_parent_that_is_up_lets_its_child_open_after_the_group_wait(tmp_path: Path) -> None:
    jobs = {"router": job_of("router"), **behind("router", 1)}
    async with alerting_program(tmp_path, jobs) as scene:
        scene.network.down("router-0")
        await scene.run("router-0")
        await scene.wait(2)
        await scene.run("router")
        await scene.wait(7)
        assert opened(scene) == []
        await scene.wait(2)
        assert opened(scene) == ["router-0"]


async def test_a_chain_of_parents_is_one_incident_of_the_farthest_one_that_fails(tmp_path: Path) -> None:
    jobs = {
        "router": job_of("router"),
        "switch": job_of("switch", alert_parent="router"),
        **behind("switch", 5),
    }
    async with alerting_program(tmp_path, jobs) as scene:
        scene.network.down(*jobs)
        await scene.run(*reversed(jobs))
        await scene.wait(70)
        assert opened(scene) == ["router"]

        scene.network.up("router")
        await scene.run(*jobs)
        await scene.wait(30)
        assert opened(scene) == ["router", "switch"]
        assert resolved(scene) == ["router"]
        switch = next(each for each in await scene.incidents() if each.lead.subject == "switch")
        assert len(switch.open_members) == 6

        scene.network.up(*jobs)
        await scene.run(*jobs)
        await scene.wait(30)
        assert resolved(scene) == ["router", "switch"]
        assert opened(scene) == ["router", "switch"]


async def test_a_group_as_the_parent(tmp_path: Path) -> None:
    gates = {f"gate-{each}": job_of(f"gate-{each}", alerts=[], tags={"role": "gate"}) for each in range(2)}
    jobs = {**gates, **{f"shop-{each}": job_of(f"shop-{each}", alert_parent="gates") for each in range(5)}}
    groups = {"gates": {"jobs": {"tags": {"role": "gate"}}, "down_when": "all"}}
    async with alerting_program(tmp_path, jobs, TEAM | {"groups": groups}) as scene:
        scene.network.down(*jobs)
        scene.network.up("gate-1")
        await scene.run(*jobs)
        await scene.wait(11)
        assert opened(scene) == ["shop-0"]  # they have the group in common, which is not down
        assert [len(each.open_members) for each in await scene.incidents()] == [5]

        scene.network.up(*jobs)
        await scene.run(*jobs)
        await scene.wait(700)
        scene.channels.messages.clear()
        scene.network.down(*jobs)
        await scene.run(*reversed(jobs))
        await scene.wait(30)
        assert opened(scene) == ["gates"]


async def test_a_disabled_or_paused_parent_is_not_waited_for(tmp_path: Path) -> None:
    windows = [
        {"name": "move", "from": "2026-03-01 00:00", "for": "1d", "select": {"jobs": "bridge"}, "effect": "pause"}
    ]
    jobs = {
        "router": job_of("router", enabled=False),
        "bridge": job_of("bridge"),
        **behind("router", 1),
        **behind("bridge", 1),
    }
    async with alerting_program(tmp_path, jobs, TEAM | {"windows": windows}) as scene:
        scene.network.down("router-0", "bridge-0")
        await scene.run("router-0", "bridge-0")
        await scene.wait(12)
        assert sorted(opened(scene)) == ["bridge-0", "router-0"]


async def test_several_processes_send_one_message(tmp_path: Path) -> None:
    jobs = {"router": job_of("router"), **behind("router", 40)}
    async with alerting_program(tmp_path, jobs, shared=True) as scene:
        scene.network.down(*jobs)
        await scene.run(*jobs)
        await scene.wait(60)
        (incident,) = await scene.incidents()
        assert opened(scene) == ["router"]
        assert (await held_back(scene, incident))["held_back_parent"] == 40
        scene.network.up(*jobs)
        await scene.run(*jobs)
        await scene.wait(60)
        assert scene.sent == [("team", "opened", "router"), ("team", "resolved", "router")]
