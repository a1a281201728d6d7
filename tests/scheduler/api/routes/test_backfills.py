"""POST /api/jobs/{name}/backfill."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

import pytest

from jobs.runs.outcomes import Reason, ReasonCode
from tests.jobs.running.run_parts import answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient as BaseClient
from tests.scheduler.api.dashboard.test_overview_page import get_page, visible_text
from tests.scheduler.fakes import START, entry


class BackfillClient(BaseClient):
    """Its jobs have been in force for long."""

    async def __aenter__(self) -> Self:
        client = await super().__aenter__()
        client.shop.in_force(START - timedelta(days=30_000))
        return client


BACKFILL = "/api/jobs/checkout/backfill"
HALF_A_MINUTE = {"from": "2026-03-01T11:59:30Z", "to": "2026-03-01T12:00:00Z"}


@virtual_time
async def test_what_never_ran_is_queued_and_listed() -> None:
    async with BackfillClient() as client:
        ran = await client.perform(seconds=-20)

        accepted = await client.post_json(BACKFILL, HALF_A_MINUTE)
        await client.shop.worker.wait_until_idle()
        runs = (await client.get("/api/runs", job="checkout")).json()["runs"]

    reported = accepted.json()
    assert (accepted.status_code, reported["job"], reported["dry_run"], reported["already_run"]) == (
        202,
        "checkout",
        False,
        1,
    )
    assert [run["due_at"][11:19] for run in reported["runs"]] == ["11:59:30", "11:59:50", "12:00:00"]
    assert {run["id"] for run in runs} == {ran, *(run["id"] for run in reported["runs"])}
    assert {run["outcome"] for run in runs} == {"succeeded"}
    assert [run["trigger"] for run in runs] == ["backfill", "backfill", "schedule", "backfill"]


@virtual_time
async def test_skipped_instants_are_counted_and_run_or_left() -> None:
    async with BackfillClient() as client:
        await client.shop.worker.skip_recorder.record_skipped(
            client.shop.ticket(-10), Reason(ReasonCode.MISSED, "it was left out")
        )
        body = HALF_A_MINUTE | {"dry_run": True}

        run, left = [
            (await client.post_json(BACKFILL, body | {"leave_skipped": leave})).json() for leave in (False, True)
        ]

    assert ([len(reported["runs"]) for reported in (run, left)], run["skipped"], left["skipped"]) == ([4, 3], 1, 1)


@virtual_time
async def test_a_dry_run_queues_nothing_and_the_end_is_now_if_none_is_given() -> None:
    async with BackfillClient() as client:
        reported = (await client.post_json(BACKFILL, {"from": "2026-03-01T11:59:50", "dry_run": True})).json()

        assert (await client.get("/api/runs")).json()["runs"] == []

    assert (reported["dry_run"], len(reported["runs"])) == (True, 2)


@pytest.mark.parametrize(
    ("body", "complaint", "status"),
    [
        ({}, "body.from: is missing", 400),
        ({"from": "yesterday"}, "body.from: 'yesterday' is not an ISO 8601 instant", 400),
        (
            {"from": "2026-03-01T11:00:00Z", "to": "2026-03-01T10:00:00Z"},
            "body.from: 2026-03-01 11:00:00Z is after",
            422,
        ),
        (
            {"from": "2026-03-01T11:00:00Z", "to": "2026-03-02T10:00:00Z"},
            "body.to: 2026-03-02 10:00:00Z is in the",
            422,
        ),
        ({"from": "2026-03-01T11:00:00Z"}, "body.limit: the range needs 361 runs, more than the limit of 100", 422),
        ({"from": "1970-01-02"}, "body.from: the range has more than 10000 due instants", 422),
        (HALF_A_MINUTE | {"limit": 1001}, "body.limit: 1001 is too large: at most 1000", 400),
        (HALF_A_MINUTE | {"dryrun": True}, "body.dryrun: unknown key", 400),
        (HALF_A_MINUTE | {"since": "2026-03-01"}, "body.since: unknown key", 400),
    ],
)
@virtual_time
async def test_what_cannot_be_requested_is_refused_and_nothing_is_queued(
    body: object, complaint: str, status: int
) -> None:
    async with BackfillClient() as client:
        refused = await client.post_json(BACKFILL, body)

        assert (await client.get("/api/runs")).json()["runs"] == []

    assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")
    assert refused.json()["detail"].startswith(complaint)


@virtual_time
async def test_what_is_refused_everywhere_is_refused_here() -> None:
    async with BackfillClient(jobs=[entry(), entry("asked", schedule=None)]) as client:
        refused = [
            await client.post_json("/api/jobs/nobody/backfill", HALF_A_MINUTE),
            await client.post_json("/api/jobs/asked/backfill", HALF_A_MINUTE),
            await client.request("POST", BACKFILL, json=HALF_A_MINUTE, params={"limit": "3"}),
            await client.request("POST", BACKFILL, json=HALF_A_MINUTE, headers={"Sec-Fetch-Site": "cross-site"}),
        ]

    assert [answer.status_code for answer in refused] == [404, 409, 400, 403]


@virtual_time
async def test_instants_before_the_first_version_need_a_field_of_their_own() -> None:
    async with BaseClient() as client:
        refused = await client.post_json(BACKFILL, HALF_A_MINUTE)
        accepted = await client.post_json(BACKFILL, HALF_A_MINUTE | {"before_first_version": True})

    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("body.from: 4 of 4 due instants, the first at 2026-03-01 11:59:30Z")
    assert (accepted.status_code, len(accepted.json()["runs"])) == (202, 4)


@virtual_time
async def test_a_backfill_is_no_uptime_no_latest_run_and_no_outage() -> None:
    async with BackfillClient(answer(500)) as client:
        await client.post_json(BACKFILL, HALF_A_MINUTE)
        await client.shop.worker.wait_until_idle()
        runs = (await client.get("/api/runs")).json()["runs"]
        uptime = (await client.get("/api/jobs/checkout/uptime")).json()
        job = (await client.get("/api/jobs/checkout")).json()
        page = visible_text(await get_page(client))

    assert {(run["trigger"], run["outcome"]) for run in runs} == {("backfill", "failed")}
    assert (uptime["runs"], uptime["since"], job["latest"]) == (0, None, None)
    assert "No job has run yet" in page
