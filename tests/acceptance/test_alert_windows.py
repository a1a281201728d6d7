"""Windows, silences, reminders and escalations follow the clock: within a second where one process runs all jobs."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.incidents.suppression.windows import Silence
from jobs.runs.outcomes import ReasonCode
from scheduler.stores.alerting.suppressions import create_suppression_id
from tests.parts.alerting_program import START, TEAM, Scene, alerting_program, job_of

ALL = {"all": True}


def at(minute: int, second: int = 0) -> datetime:
    """Of the hour from 03:00 on."""
    return START + timedelta(minutes=minute, seconds=second)


def window(**more: Any) -> dict[str, Any]:
    """A window from 03:05 to 03:10."""
    return {"name": "patching", "from": "2026-03-01 03:05", "until": "2026-03-01 03:10", "select": ALL, **more}


def times(scene: Scene) -> list[tuple[str, timedelta]]:
    return [(str(each.message.kind), each.at - START) for each in scene.channels.messages]


def is_within(moment: timedelta, expected: timedelta, limit: float) -> bool:
    return timedelta() <= moment - expected <= timedelta(seconds=limit)


async def pass_minutes(scene: Scene, minutes: int, name: str = "shop") -> None:
    for _ in range(minutes):
        await scene.run(name)
        await scene.wait(60)


@pytest.mark.parametrize(("shared", "limit"), [(False, 1), (True, 60)])
async def test_an_incident_inside_of_a_window_is_announced_at_its_end(
    tmp_path: Path, shared: bool, limit: float
) -> None:
    jobs = {"shop": job_of("shop")}
    async with alerting_program(tmp_path, jobs, TEAM | {"windows": [window(reason="updates")]}, shared=shared) as scene:
        await pass_minutes(scene, 6)
        scene.network.down("shop")
        await pass_minutes(scene, 3)
        assert scene.sent == []
        (incident,) = await scene.incidents()
        assert incident.suppression is not None
        assert "updates" in incident.suppression.reason
        await pass_minutes(scene, 3)
        ((kind, moment),) = times(scene)
        assert kind == "opened"
        assert is_within(moment, timedelta(minutes=10), limit)
        assert "patching" in str(scene.channels.messages[0].message)


async def test_an_incident_that_ends_inside_of_a_window_is_never_announced(tmp_path: Path) -> None:
    async with alerting_program(tmp_path, {"shop": job_of("shop")}, TEAM | {"windows": [window()]}) as scene:
        await pass_minutes(scene, 6)
        scene.network.down("shop")
        await pass_minutes(scene, 1)
        scene.network.up("shop")
        await pass_minutes(scene, 6)
        assert scene.sent == []
        (incident,) = await scene.incidents()
        assert [each.code for each in await scene.decisions(incident)][-1] == "resolved_unannounced"


async def test_reminders_stop_at_the_beginning_of_a_window_and_the_resolution_does_not(tmp_path: Path) -> None:
    rule = {"open_after": 1, "remind_every": "1m", "notify": ["team"]}
    jobs = {"shop": job_of("shop", alerts=[rule])}
    async with alerting_program(tmp_path, jobs, TEAM | {"windows": [window()]}) as scene:
        scene.network.down("shop")
        await pass_minutes(scene, 9)
        reminded = [moment for kind, moment in times(scene) if kind == "reminded"]
        assert len(reminded) == 4
        assert reminded[0] - times(scene)[0][1] <= timedelta(seconds=61)
        assert max(reminded) <= timedelta(minutes=5)
        scene.network.up("shop")
        await scene.run("shop")
        await scene.wait(2)
        assert times(scene)[-1][0] == "resolved"


async def test_reminders_continue_within_a_second_of_the_end_of_a_window(tmp_path: Path) -> None:
    rule = {"open_after": 1, "remind_every": "1m", "notify": ["team"]}
    jobs = {"shop": job_of("shop", alerts=[rule])}
    async with alerting_program(tmp_path, jobs, TEAM | {"windows": [window()]}) as scene:
        scene.network.down("shop")
        await pass_minutes(scene, 11)
        later = [moment for kind, moment in times(scene) if kind == "reminded" and moment > timedelta(minutes=5)]
        assert is_within(later[0], timedelta(minutes=10), 1)


async def test_escalations_are_due_by_the_clock(tmp_path: Path) -> None:
    channels = {name: {"kind": "webhook", "url": f"http://127.0.0.1:9/{name}"} for name in ("team", "boss")}
    rule = {"open_after": 1, "notify": ["team"], "escalate": [{"after": "3m", "notify": ["boss"]}]}
    jobs = {"shop": job_of("shop", alerts=[rule])}
    async with alerting_program(tmp_path, jobs, {"channels": channels}) as scene:
        scene.network.down("shop")
        await pass_minutes(scene, 4)
        opened, escalated = [moment for _, moment in times(scene)]
        assert is_within(escalated, opened + timedelta(minutes=3), 1)
        scene.network.up("shop")
        await pass_minutes(scene, 1)
        assert sorted(scene.sent[2:]) == [("boss", "resolved", "shop"), ("team", "resolved", "shop")]


async def test_a_pausing_window_stops_runs_and_is_shown_with_its_name(tmp_path: Path) -> None:
    jobs = {"shop": job_of("shop")}
    windows = [window(effect="pause", reason="updates")]
    async with alerting_program(tmp_path, jobs, TEAM | {"windows": windows}) as scene:
        scene.network.down("shop")
        await pass_minutes(scene, 1)
        assert scene.sent == [("team", "opened", "shop")]
        await pass_minutes(scene, 5)
        requested = len(scene.network.requested)
        await pass_minutes(scene, 3)
        assert len(scene.network.requested) == requested
        assert (await scene.runs("shop"))[0].reason is ReasonCode.JOB_PAUSED
        shown = await scene.program.queries.view_job("shop")
        assert "window patching: updates" in str(shown.pause)
        assert [each.is_open for each in await scene.incidents()] == [True]

        scene.network.up("shop")
        await pass_minutes(scene, 3)
        assert times(scene)[-1][0] == "resolved"
        assert (await scene.program.queries.view_job("shop")).pause is None


async def test_runs_inside_of_a_window_do_not_count_if_it_excludes_them(tmp_path: Path) -> None:
    jobs = {"shop": job_of("shop", alerts=[{"open_after": 3}])}
    async with alerting_program(tmp_path, jobs, TEAM | {"windows": [window(counts=False)]}) as scene:
        await pass_minutes(scene, 5)
        scene.network.down("shop")
        await pass_minutes(scene, 5)
        assert await scene.incidents() == []
        await pass_minutes(scene, 2)
        assert await scene.incidents() == []
        await pass_minutes(scene, 1)
        assert scene.sent == [("team", "opened", "shop")]


async def test_a_window_with_only_then_holds_back_outside_of_it(tmp_path: Path) -> None:
    jobs = {"shop": job_of("shop")}
    schedule = {"cron": "0 5 * * * *", "timezone": "UTC"}
    only = {"name": "office", "schedule": schedule, "for": "5m", "select": ALL, "only_then": True}
    async with alerting_program(tmp_path, jobs, TEAM | {"windows": [only]}) as scene:
        scene.network.down("shop")
        await pass_minutes(scene, 4)
        assert scene.sent == []
        await pass_minutes(scene, 2)
        assert is_within(times(scene)[0][1], timedelta(minutes=5), 1)
        scene.network.up("shop")
        await pass_minutes(scene, 6)
        scene.network.down("shop")
        await pass_minutes(scene, 3)
        assert [kind for kind, _ in times(scene)] == ["opened", "resolved"]


async def test_an_incident_is_announced_when_its_silence_ends(tmp_path: Path) -> None:
    async with alerting_program(tmp_path, {"shop": job_of("shop")}) as scene:
        fields = {"id": create_suppression_id(START), "select": ALL, "author": "ada", "created_at": START}
        silence = Silence.model_validate(fields | {"starts_at": START, "ends_at": at(3, 30), "reason": "release"})
        await scene.program.alerting.silences.insert(silence)
        scene.network.down("shop")
        await pass_minutes(scene, 3)
        assert scene.sent == []
        await pass_minutes(scene, 2)
        ((_, moment),) = times(scene)
        assert is_within(moment, timedelta(minutes=3, seconds=30), 1)
