"""POST /api/jobs/{name}/pause and /resume, and where a pause is seen."""

from __future__ import annotations

import pytest

from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.test_overview_page import get_page, visible_text

PAUSE, RESUME = "/api/jobs/checkout/pause", "/api/jobs/checkout/resume"
UNTIL_TWO = {"until": "2026-03-01T14:00:00Z", "reason": " deployment "}


@virtual_time
async def test_a_pause_is_answered_with_the_job_as_it_is_now() -> None:
    async with ApiClient() as client:
        done = await client.post_json(PAUSE, UNTIL_TWO)

        listed = (await client.get("/api/jobs")).json()["jobs"][0]

    assert done.status_code == 200
    assert done.json()["pause"] == {
        "since": "2026-03-01T12:00:00Z",
        "until": "2026-03-01T14:00:00Z",
        "reason": "deployment",
        "summary": "paused until 2026-03-01 14:00:00Z: deployment",
    }
    assert (done.json()["next_at"], done.json()["upcoming"][0]) == ("2026-03-01T14:00:00Z",) * 2
    assert listed["pause"] == done.json()["pause"]


@virtual_time
async def test_a_pause_needs_no_body_and_then_has_no_end() -> None:
    async with ApiClient() as client:
        paused = (await client.post(PAUSE)).json()

    assert (paused["pause"]["until"], paused["pause"]["reason"]) == (None, "")
    assert (paused["next_at"], paused["upcoming"]) == (None, [])


@virtual_time
async def test_a_job_is_resumed_as_often_as_one_likes() -> None:
    async with ApiClient() as client:
        await client.post(PAUSE)

        answers = [await client.post(RESUME) for _ in range(2)]

    assert [(answer.status_code, answer.json()["pause"]) for answer in answers] == [(200, None)] * 2
    assert answers[0].json()["next_at"] == "2026-03-01T12:00:10Z"


@virtual_time
async def test_an_instant_is_read_with_its_offset_and_as_utc_without_one() -> None:
    async with ApiClient() as client:
        ends = [
            (await client.post_json(PAUSE, {"until": until})).json()["pause"]["until"]
            for until in ("2026-03-01T15:00:00+01:00", "2026-03-01T14:00:00")
        ]

    assert ends == ["2026-03-01T14:00:00Z"] * 2


@pytest.mark.parametrize(
    ("body", "complaint", "status"),
    [
        ({"until": "2026-03-01T11:59:59Z"}, "body.until: 2026-03-01 11:59:59Z is in the past", 422),
        ({"until": "tomorrow"}, "body.until: 'tomorrow' is not an ISO 8601 instant: use a form such as", 400),
        ({"until": 1772373600}, "body.until: 1772373600 is not an ISO 8601 instant: use a form such as", 400),
        ({"reason": "x" * 501}, "body.reason: it is too long: at most 500 characters", 400),
        ({"till": "2026-03-01T14:00:00Z"}, "body.till: unknown key", 400),
        ([], "body: a list is not a mapping", 400),
    ],
)
@virtual_time
async def test_a_body_that_cannot_be_used_is_refused_and_nothing_is_paused(
    body: object, complaint: str, status: int
) -> None:
    async with ApiClient() as client:
        refused = await client.post_json(PAUSE, body)

        assert (await client.get("/api/jobs/checkout")).json()["pause"] is None

    assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")
    assert refused.json()["detail"].startswith(complaint)


async def test_a_body_that_is_no_json_is_refused() -> None:
    async with ApiClient() as client:
        refused = await client.request("POST", PAUSE, content=b"{", headers={"Content-Type": "application/json"})

    assert refused.status_code == 400
    assert "body" in refused.json()["detail"]


@pytest.mark.parametrize("action", ["pause", "resume"])
async def test_what_is_refused_everywhere_is_refused_here(action: str) -> None:
    async with ApiClient() as client:
        unknown = await client.post(f"/api/jobs/chekout/{action}")
        parameter = await client.post(f"/api/jobs/checkout/{action}", until="2026-03-01T14:00:00Z")
        foreign = await client.request("POST", f"/api/jobs/checkout/{action}", headers={"Sec-Fetch-Site": "cross-site"})

        assert (await client.get("/api/jobs/checkout")).json()["pause"] is None

    assert [answer.status_code for answer in (unknown, parameter, foreign)] == [404, 400, 403]


@virtual_time
async def test_a_pause_that_cannot_be_stored_is_reported_with_when_to_come_back() -> None:
    async with ApiClient() as client:
        client.break_store()

        refused = await client.post_json(PAUSE, UNTIL_TWO)

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")


@virtual_time
async def test_the_dashboard_shows_until_when_a_job_is_paused() -> None:
    async with ApiClient() as client:
        await client.post_json(PAUSE, UNTIL_TWO)

        text = visible_text(await get_page(client))

    assert "paused until 14:00:00: deployment" in text


@pytest.mark.parametrize(
    ("until", "status"), [("0001-01-01T00:31:49.039600+18:07", 422), ("9999-12-31T23:59:59-01:00", 200)]
)
async def test_an_instant_whose_offset_leads_out_of_the_calendar_is_the_nearest_one(until: str, status: int) -> None:
    async with ApiClient() as desk:
        answer = await desk.post_json(PAUSE, {"until": until})

    assert answer.status_code == status, answer.text
