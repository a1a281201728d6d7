"""A scheduler that reaches nothing, or whose clock was set: one incident about itself, none about targets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.runs import ErrorClass
from jobs.runs.outcomes import ReasonCode
from tests.parts.alerting_program import TEAM, Scene, alerting_program, job_of

NAMES = [f"shop-{number}" for number in range(6)]
MINUTE = 60
SILENT = [{"open_after": 1}, {"when": "silent"}]


def kinds(scene: Scene) -> list[tuple[str, str]]:
    return [(kind, subject) for _, kind, subject in scene.sent]


async def pass_minutes(scene: Scene, minutes: int, names: Sequence[str] = NAMES) -> None:
    """Run the jobs within each minute, one after the other."""
    for _ in range(minutes):
        for name in names:
            await scene.run(name)
            await scene.wait(2)
        await scene.wait(MINUTE - 2 * len(names))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("error", [ErrorClass.DNS_FAILURE, ErrorClass.CONNECT_TIMEOUT])
async def test_without_the_network_there_is_one_incident_about_the_scheduler(
    tmp_path: Path, error: ErrorClass, shared: bool
) -> None:
    async with alerting_program(tmp_path, {name: job_of(name) for name in NAMES}, shared=shared) as scene:
        await pass_minutes(scene, 1)
        scene.network.outage = error
        await pass_minutes(scene, 5)
        assert kinds(scene) == [("opened", "scheduler")]
        (message,) = [each.message for each in scene.channels.messages]
        assert "cannot resolve names" in message.text or "cannot connect to anything" in message.text
        assert {run.reason for name in NAMES for run in (await scene.runs(name))[:5]} == {ReasonCode.BLIND}

        scene.network.outage = None
        scene.network.down("shop-3")
        await pass_minutes(scene, 4)
        assert kinds(scene) == [("opened", "scheduler"), ("resolved", "scheduler"), ("opened", "shop-3")]
        assert [run.counts_for_availability for run in await scene.runs("shop-0")] == [True] * 4 + [False] * 5 + [True]


async def test_after_a_restart_without_the_network_the_third_host_proves_it(tmp_path: Path) -> None:
    jobs = {name: job_of(name, alerts=[{"open_after": 3}]) for name in NAMES}
    async with alerting_program(tmp_path, jobs) as scene:
        scene.network.outage = ErrorClass.DNS_TIMEOUT
        await pass_minutes(scene, 6)
        assert kinds(scene) == [("opened", "scheduler")]


async def test_hosts_that_are_down_while_others_answer_are_announced(tmp_path: Path) -> None:
    async with alerting_program(tmp_path, {name: job_of(name) for name in NAMES}) as scene:
        await pass_minutes(scene, 1)
        scene.network.down(*NAMES[:5], error=ErrorClass.CONNECT_TIMEOUT)
        await pass_minutes(scene, 2)
        assert {subject for kind, subject in kinds(scene) if kind == "opened"} <= set(NAMES)
        members = {each.key.subject for incident in await scene.incidents() for each in incident.members}
        assert members == set(NAMES[:5])


async def test_two_hosts_alone_do_not_prove_it(tmp_path: Path) -> None:
    names = NAMES[:2]
    async with alerting_program(tmp_path, {name: job_of(name) for name in names}) as scene:
        await pass_minutes(scene, 1, names)
        scene.network.outage = ErrorClass.DNS_FAILURE
        await pass_minutes(scene, 2, names)
        assert {subject for _, subject in kinds(scene)} <= set(names)
        assert scene.sent


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("minutes", [-10, 10])
async def test_a_clock_that_is_set_is_one_incident_about_the_scheduler(
    tmp_path: Path, minutes: int, shared: bool
) -> None:
    jobs = {name: job_of(name, alerts=SILENT) for name in NAMES}
    async with alerting_program(tmp_path, jobs, shared=shared) as scene:
        await pass_minutes(scene, 2)
        scene.clock.set_by(timedelta(minutes=minutes))
        await pass_minutes(scene, 5)
        direction = "back" if minutes < 0 else "forward"
        assert kinds(scene) == [("opened", "scheduler")]
        (sent,) = scene.channels.messages
        assert f"the clock of the scheduler was set {direction} by 10" in sent.message.text

        scene.clock.set_by(timedelta(minutes=-minutes))
        await pass_minutes(scene, 3)
        assert kinds(scene) == [("opened", "scheduler"), ("resolved", "scheduler")]


async def test_references_confirm_a_clock_that_was_corrected(tmp_path: Path) -> None:
    setting = {"SCHEDULER_SELF_CHECKS__REFERENCES": "https://time.example"}
    async with alerting_program(tmp_path, {name: job_of(name) for name in NAMES}, **setting) as scene:
        scene.clock.set_by(timedelta(minutes=-10))
        await pass_minutes(scene, 1)
        scene.clock.set_by(timedelta(minutes=10))
        await pass_minutes(scene, 2)
        assert kinds(scene) == [("opened", "scheduler"), ("resolved", "scheduler")]


async def test_channels_of_the_scheduler_are_those_of_all_rules_without_a_route(tmp_path: Path) -> None:
    jobs = {name: job_of(name, alerts=[{"open_after": 1, "notify": ["team"]}]) for name in NAMES}
    async with alerting_program(tmp_path, jobs, {"channels": TEAM["channels"]}) as scene:
        await pass_minutes(scene, 1)
        scene.network.outage = ErrorClass.CONNECT_TIMEOUT
        await pass_minutes(scene, 2)
        assert scene.sent == [("team", "opened", "scheduler")]


@pytest.mark.parametrize("shared", [False, True])
async def test_without_an_identity_jobs_that_need_none_are_announced_as_ever(tmp_path: Path, shared: bool) -> None:
    def bearing(number: int) -> dict[str, object]:
        auth = {"kind": "bearer", "token": {"secret": f"token-{number}"}}
        return job_of(f"api-{number}", check={"kind": "http", "url": f"https://api-{number}.example/", "auth": auth})

    names = [f"api-{number}" for number in range(3)]
    jobs = {"shop-0": job_of("shop-0"), **{name: bearing(number) for number, name in enumerate(names)}}
    async with alerting_program(tmp_path, jobs, shared=shared) as scene:
        scene.network.down(*names, error=ErrorClass.SECRET_UNAVAILABLE)
        await pass_minutes(scene, 2, list(jobs))
        assert kinds(scene) == [("opened", "scheduler")]
        assert "the scheduler obtains no secret: " in scene.channels.messages[0].message.text

        scene.network.down("shop-0")
        await pass_minutes(scene, 2, list(jobs))
        assert kinds(scene)[1:] == [("opened", "shop-0")]
