"""For a caller that is limited to tags, other jobs do not exist: in lists, pages, counts, suggestions and changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from config.job_files.job_set import JobSet
from scheduler.authentication.port import Authenticated, Authentication, AuthenticationMode, RequestCredentials
from scheduler.identity.principal import Principal, PrincipalKind, Role
from scheduler.stores.dead_letters import DeadLetter
from tests.jobs.running.run_parts import REFUSED
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

PAYMENTS = Principal(PrincipalKind.API_KEY, "payments", Role.ADMIN, (("team", "payments"),))
OURS, THEIRS = "checkout-ours", "checkout-theirs"
LETTERS = {OURS: "20260301T120000.000Z.000000000001", THEIRS: "20260301T120000.000Z.000000000002"}
SHARED = {"consecutive_failures": 3, "group": "gateway"}


class Fixed:
    """Everyone is this principal."""

    mode = AuthenticationMode.OWN

    def __init__(self, principal: Principal) -> None:
        self.principal = principal

    async def authenticate(self, request: RequestCredentials) -> Authenticated:
        return Authenticated(self.principal)


@pytest.fixture
async def client() -> AsyncIterator[ApiClient]:
    jobs = [
        entry(OURS, tags={"team": "payments"}, circuit=SHARED, retry={"attempts": 1}),
        entry(THEIRS, tags={"team": "shop"}, circuit=SHARED, retry={"attempts": 1}),
        entry("own-circuit", tags={"team": "payments"}, circuit={"consecutive_failures": 3}),
    ]
    async with ApiClient(REFUSED, jobs=jobs, authentication=Authentication(Fixed(PAYMENTS))) as found:
        for job in (OURS, THEIRS):
            await found.perform(job)
            ticket = found.shop.ticket(100, job)
            at = datetime(2026, 3, 1, tzinfo=UTC)
            letter = DeadLetter(LETTERS[job], "the worker ended", at, ticket)
            await found.shop.dead_letters.add(letter)
        yield found


@pytest.mark.parametrize(
    "path",
    [
        "/api/jobs",
        "/api/runs",
        "/api/dead-letters",
        "/api/circuits",
        "/api/dashboard",
        "/api/jobs?name=checkout-*",
        "/api/runs?outcome=failed",
        f"/api/jobs/{OURS}",
        f"/api/dashboard/jobs/{OURS}",
        "/api/audit",
        "/api/changes",
        "/api/exports/changes",
        "/api/exports/runs",
        "/api/exports/stats",
    ],
)
async def test_other_jobs_are_absent(client: ApiClient, path: str) -> None:
    answer = await client.get(path)

    assert answer.status_code == 200
    assert "theirs" not in answer.text.replace("<wbr>", "")
    assert "ours" in answer.text.replace("<wbr>", "") or path == "/api/audit"


async def test_statistics_are_those_of_the_jobs_of_the_caller(client: ApiClient) -> None:
    found = (await client.get("/api/stats", tag="team")).json()

    assert (found["jobs"], found["stats"]["runs"]) == (2, 1)
    assert [each["value"] for each in found["by_value"]] == ["payments"]


@pytest.mark.parametrize(
    "path",
    [
        f"/api/jobs/{THEIRS}",
        f"/api/runs?job={THEIRS}",
        f"/api/dead-letters?job={THEIRS}",
        f"/api/dead-letters/{LETTERS[THEIRS]}",
        f"/api/jobs/{THEIRS}/downtime",
        f"/api/jobs/{THEIRS}/uptime",
        f"/api/jobs/{THEIRS}/stats",
        f"/api/jobs/{THEIRS}/changes",
        f"/api/changes?job={THEIRS}",
        f"/api/exports/runs?job={THEIRS}",
        f"/api/dashboard/jobs/{THEIRS}",
    ],
)
async def test_another_job_is_missing_like_one_that_never_existed(client: ApiClient, path: str) -> None:
    answer = await client.get(path)
    other = path.replace(THEIRS, "checkout-theirx").replace("02", "03")
    unknown = await client.get(other)

    assert (answer.status_code, unknown.status_code) == (404, 404)
    known_text, unknown_text = answer.json()["detail"], unknown.json()["detail"]
    assert known_text.replace(THEIRS, "").replace("02", "03") == unknown_text.replace("checkout-theirx", "")


async def test_a_run_of_another_job_cannot_be_read_or_cancelled(client: ApiClient) -> None:
    run = (await client.enqueue(THEIRS, 50)).ticket.id

    for method, path in (("GET", f"/api/runs/{run}"), ("POST", f"/api/runs/{run}/cancel")):
        assert (await client.request(method, path)).status_code == 404
    assert (await client.shop.runs.find(run)).run is None  # type: ignore[union-attr]


async def test_a_replay_of_all_letters_concerns_own_jobs_only(client: ApiClient) -> None:
    answer = await client.post_json("/api/dead-letters/replay", {"reason": "worker", "dry_run": True})

    assert "theirs" not in answer.text
    assert [letter["job"] for letter in answer.json()["dead_letters"]] == [OURS]


async def test_a_letter_of_another_job_cannot_be_discarded(client: ApiClient) -> None:
    answer = await client.request("DELETE", f"/api/dead-letters/{LETTERS[THEIRS]}")

    assert answer.status_code == 404
    assert await client.shop.dead_letters.find(LETTERS[THEIRS]) is not None


async def test_a_circuit_that_others_share_is_visible_but_cannot_be_changed(client: ApiClient) -> None:
    view = (await client.get("/api/circuits/group:gateway")).json()
    shared = await client.post_json("/api/circuits/group:gateway/open", {})
    own = await client.post_json("/api/circuits/own-circuit/open", {})

    assert view["jobs"] == [OURS]
    assert (shared.status_code, own.status_code) == (409, 200)


async def test_a_job_that_gets_the_tag_exists_from_then_on(client: ApiClient) -> None:
    assert (await client.get(f"/api/jobs/{THEIRS}")).status_code == 404

    job = entry(THEIRS, tags={"team": "payments"}).job
    await client.shop.composer.replace_files(JobSet({THEIRS: job}, {THEIRS: "jobs.yaml:1"}, digest="another"))

    assert (await client.get(f"/api/jobs/{THEIRS}")).status_code == 200
    assert (await client.get(f"/api/jobs/{OURS}")).status_code == 404


async def test_the_services_of_a_set_of_tags_are_built_once(client: ApiClient) -> None:
    other = Principal(PrincipalKind.ENTRA, "ada", Role.VIEWER, PAYMENTS.tags)

    assert client.services.for_principal(PAYMENTS) is client.services.for_principal(other)


async def test_health_has_no_messages_for_a_caller_that_is_limited_to_tags(client: ApiClient) -> None:
    from scheduler.health import HealthStatus

    client.add_health_part("watchdog", HealthStatus.DEGRADED, f"{THEIRS} is overdue")

    for path in ("/api/health", "/api/dashboard"):
        assert "overdue" not in (await client.get(path)).text
