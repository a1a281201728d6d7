"""A caller that is limited to tags cannot use a name with a past of other jobs: past runs keep their tags."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from config.job_files.job_set import JobSet
from jobs.runs.states import Cause, JobStatus, StateChange
from scheduler.audit.stored_trail import StoredAuditTrail
from scheduler.audit.trail import AuditedChange
from scheduler.identity.principal import Caller, ChangeSource
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.gates import Pause
from tests.scheduler.api.access.test_limited_changes import EVERYTHING, OURS, THEIRS, Team, apply, definition, in_set

USED = "The name theirs is used: choose another one."
LETTER = "20260301T120000.000Z.000000000009"
AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def team() -> AsyncIterator[Team]:
    """The job `theirs` of the team shop was deleted."""
    team = Team()
    async with team.client:
        await team.as_root("POST", "/api/jobs", definition("theirs", THEIRS))
        await team.as_root("DELETE", "/api/jobs/theirs", If_Match="*")
        yield team


async def create(team: Team, way: str, name: str) -> Any:
    match way:
        case "post":
            return await team.send("POST", "/api/jobs", definition(name))
        case "put":
            return await team.send("PUT", f"/api/jobs/{name}", definition(name), If_None_Match="*")
        case _:
            return await team.send("POST", "/api/jobs/own-file/duplicate", {"name": name})


@pytest.mark.parametrize("way", ["post", "put", "duplicate"])
async def test_the_name_of_a_deleted_job_of_others_is_used_as_that_of_a_job(team: Team, way: str) -> None:
    refused, used = await create(team, way, "theirs"), await create(team, way, "file-theirs")

    assert (refused.status_code, refused.json()["detail"]) == (409, USED)
    assert refused.json()["detail"].replace("theirs", "file-theirs") == used.json()["detail"]
    assert "theirs" not in team.client.shop.catalog


@pytest.mark.parametrize("adopt", ["false", "true"])
async def test_a_set_cannot_contain_the_name_of_a_deleted_job_of_others(team: Team, adopt: str) -> None:
    plan, applied = await apply(team, {"theirs": in_set(OURS)}, adopt=adopt)

    assert plan.json()["conflicts"] == [{"name": "theirs", "reason": "the name theirs is used: choose another one"}]
    assert (applied.status_code, "theirs" in team.client.shop.catalog) == (409, False)


async def test_a_name_stays_used_if_one_of_its_retained_versions_belonged_to_others(team: Team) -> None:
    await team.as_root("POST", "/api/jobs", definition("theirs", OURS))
    await team.send("DELETE", "/api/jobs/theirs", If_Match="*")

    assert (await create(team, "post", "theirs")).status_code == 409


async def leave_run(team: Team) -> None:
    await team.client.perform("file-theirs")


async def leave_letter(team: Team) -> None:
    ticket = team.client.shop.ticket(0, "file-theirs")
    await team.client.shop.dead_letters.add(DeadLetter("20260301T120000.000Z.000000000001", "ended", AT, ticket))


async def leave_pause(team: Team) -> None:
    await team.client.shop.pauses.set_pause(Pause("file-theirs", AT))


async def leave_state(team: Team) -> None:
    change = StateChange("file-theirs", 1, JobStatus.REMOVED, AT, Cause("removed"))
    await team.client.shop.changes.write(change, "")


async def leave_nothing(team: Team) -> None:
    pass


Leave = Callable[[Team], Awaitable[None]]


@pytest.mark.parametrize(
    ("leave", "status"),
    [(leave_run, 409), (leave_letter, 409), (leave_pause, 409), (leave_state, 409), (leave_nothing, 201)],
)
async def test_what_a_job_of_a_file_has_left_reserves_its_name(team: Team, leave: Leave, status: int) -> None:
    await leave(team)
    await team.client.shop.composer.replace_files(JobSet({}, {}, digest="empty"))

    assert (await create(team, "post", "file-theirs")).status_code == status


async def test_an_own_deleted_name_can_be_used_again(team: Team) -> None:
    await create(team, "post", "ours")
    await team.send("DELETE", "/api/jobs/ours", If_Match="*")

    assert (await create(team, "post", "ours")).status_code == 201


async def test_a_caller_that_sees_all_jobs_can_use_each_name_without_a_job(team: Team) -> None:
    assert (await team.as_root("POST", "/api/jobs", definition("theirs", OURS))).status_code == 201


async def test_a_new_job_does_not_get_the_pause_of_a_former_one(team: Team) -> None:
    await team.as_root("POST", "/api/jobs", definition("theirs", THEIRS))
    await team.as_root("POST", "/api/jobs/theirs/pause", {"reason": "a secret project"})
    await team.as_root("DELETE", "/api/jobs/theirs", If_Match="*")
    await team.as_root("POST", "/api/jobs", definition("theirs", OURS))

    answer = await team.send("GET", "/api/jobs/theirs")

    assert (answer.json()["pause"], "secret project" in answer.text) == (None, False)


async def test_a_restored_job_is_paused_as_before(team: Team) -> None:
    await create(team, "post", "ours")
    await team.send("POST", "/api/jobs/ours/pause", {"reason": "a deployment"})
    await team.send("DELETE", "/api/jobs/ours", If_Match="*")
    await team.send("POST", "/api/jobs/ours/versions/1/restore", If_None_Match="*")

    assert (await team.send("GET", "/api/jobs/ours")).json()["pause"]["reason"] == "a deployment"


@pytest.fixture
async def handed_over() -> AsyncIterator[Team]:
    """A caller that sees all jobs has used the name `theirs` again, for a job of this team."""
    team = Team()
    async with team.client:
        shop = team.client.shop
        await team.as_root("POST", "/api/jobs", definition("theirs", THEIRS))
        await team.client.perform("theirs")
        ticket = shop.ticket(0, "theirs")
        await shop.dead_letters.add(DeadLetter(LETTER, "a secret project", shop.clock.now(), ticket))
        trail = StoredAuditTrail(shop.audit_log, shop.clock, shop.redactor)
        pause = AuditedChange("job.pause", "theirs", "paused: a secret project", ("theirs",))
        await trail.record(Caller(EVERYTHING, ChangeSource.API), pause)
        await team.as_root("DELETE", "/api/jobs/theirs", If_Match="*")
        await team.as_root("POST", "/api/jobs", definition("theirs", OURS))
        yield team


@pytest.mark.parametrize(
    "path",
    [
        "/api/runs",
        "/api/runs?job=theirs",
        "/api/exports/runs",
        "/api/dead-letters",
        "/api/dead-letters?job=theirs",
        "/api/changes",
        "/api/jobs/theirs/changes",
        "/api/exports/changes",
        "/api/audit?job=theirs",
        "/api/audit/export",
        "/api/jobs/theirs",
        "/api/dashboard/jobs/theirs",
    ],
)
async def test_the_past_of_a_name_stays_hidden_when_it_is_used_again(handed_over: Team, path: str) -> None:
    answer = await handed_over.send("GET", path)

    assert answer.status_code == 200
    for canary in ("secret project", LETTER, "20260301T1200"):
        assert canary not in answer.text


async def test_a_dead_letter_of_the_past_of_a_name_cannot_be_replayed(handed_over: Team) -> None:
    one = await handed_over.send("POST", f"/api/dead-letters/{LETTER}/replay")
    all_of_job = await handed_over.send("POST", "/api/dead-letters/replay", {"job": "theirs"})
    discarded = await handed_over.send("DELETE", f"/api/dead-letters/{LETTER}")

    assert (one.status_code, discarded.status_code) == (404, 404)
    assert all_of_job.json().get("dead_letters", []) == []


async def test_own_runs_stay_visible_when_the_job_is_changed_deleted_and_restored(team: Team) -> None:
    await create(team, "post", "ours")
    await team.client.perform("ours")
    await team.send("PATCH", "/api/jobs/ours", {"description": "x"}, If_Match="*")
    await team.send("DELETE", "/api/jobs/ours", If_Match="*")
    await team.send("POST", "/api/jobs/ours/versions/1/restore", If_None_Match="*")

    assert len((await team.send("GET", "/api/runs?job=ours")).json()["runs"]) == 1
