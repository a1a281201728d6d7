"""GET /api/circuits, /api/circuits/{key}, POST open, close and reset; and where a circuit is seen."""

from __future__ import annotations

import logging

import pytest

from jobs.runs import Outcome
from tests.jobs.running.run_parts import REFUSED
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.test_overview_page import get_page, visible_text
from tests.scheduler.fakes import entry

CHECKOUT = "/api/circuits/checkout"
ONCE = {"consecutive_failures": 1, "open_for": "60s"}
SHARED = {"consecutive_failures": 2, "group": "payments"}
ONE_TRY = {"attempts": 1}
UNTIL_ONE = {"until": "2026-03-01T13:00:00Z", "reason": " deployment "}


def client(*steps: object) -> ApiClient:
    jobs = [
        entry(circuit=ONCE, retry=ONE_TRY),
        entry("pay", circuit=SHARED, retry=ONE_TRY),
        entry("plain"),
        entry("refund", circuit=SHARED, retry=ONE_TRY),
    ]
    return ApiClient(*steps, jobs=jobs)  # type: ignore[arg-type]


async def outcome_of(client: ApiClient, job: str = "checkout", seconds: float = 0.0) -> tuple[Outcome, str]:
    record = await client.shop.runs.find(await client.perform(job, seconds))
    assert record is not None
    assert record.run is not None
    return record.run.outcome, record.run.message


@virtual_time
async def test_circuits_are_listed_by_key_a_page_at_a_time() -> None:
    async with client() as open_client:
        listed = await open_client.get_all("/api/circuits", "circuits", limit=1)

    assert [(one["key"], one["jobs"], one["state"]) for one in listed] == [
        ("checkout", ["checkout"], "closed"),
        ("group:payments", ["pay", "refund"], "closed"),
    ]


@virtual_time
async def test_a_circuit_that_opened_reports_since_when_why_and_when_it_is_tried_again() -> None:
    async with client(REFUSED) as open_client:
        await open_client.perform()
        reported = (await open_client.get(CHECKOUT)).json()

    assert (reported["state"], reported["since"], reported["reason"], reported["retry_at"]) == (
        "open",
        "2026-03-01T12:00:00Z",
        "1 failure in a row",
        "2026-03-01T12:01:00Z",
    )
    assert reported["summary"] == (
        "open since 2026-03-01 12:00:00Z: 1 failure in a row; next probe at 2026-03-01 12:01:00Z"
    )


@virtual_time
async def test_a_circuit_that_is_held_open_rejects_and_reports_how_it_came_why_and_until_when() -> None:
    async with client() as open_client:
        held = await open_client.post_json(f"{CHECKOUT}/open", UNTIL_ONE)
        outcome, message = await outcome_of(open_client)

    assert held.status_code == 200
    assert (held.json()["state"], held.json()["retry_at"]) == ("held_open", "2026-03-01T13:00:00Z")
    assert held.json()["override"] == {
        "open": True,
        "since": "2026-03-01T12:00:00Z",
        "until": "2026-03-01T13:00:00Z",
        "reason": "deployment",
        "source": "over the API",
    }
    assert (outcome, outcome.down) == (Outcome.REJECTED, True)
    assert message == (
        "Rejected: the circuit is held open until 2026-03-01 13:00:00Z (set over the API "
        "at 2026-03-01 12:00:00Z: deployment)."
    )


@virtual_time
async def test_a_circuit_that_is_held_closed_lets_all_runs_through_until_its_end() -> None:
    async with client(REFUSED) as open_client:
        await open_client.post_json(f"{CHECKOUT}/close", UNTIL_ONE)
        outcomes = [(await outcome_of(open_client, seconds=seconds))[0] for seconds in (0, 10, 20)]
        reported = (await open_client.get(CHECKOUT)).json()

    assert outcomes == [Outcome.FAILED] * 3
    assert (reported["state"], reported["consecutive_failures"]) == ("held_closed", 0)


@virtual_time
async def test_a_reset_lets_the_next_run_through_and_forgets_what_was_counted() -> None:
    async with client(REFUSED) as open_client:
        await open_client.perform()
        await open_client.post(f"{CHECKOUT}/open")
        reported = (await open_client.post_json(f"{CHECKOUT}/reset", {"reason": "mended"})).json()
        outcome, _ = await outcome_of(open_client, seconds=10)

    assert (reported["state"], reported["reason"], reported["override"], reported["summary"]) == (
        "closed",
        "",
        None,
        "closed",
    )
    assert outcome is Outcome.FAILED


@virtual_time
async def test_jobs_of_a_group_share_what_their_runs_report() -> None:
    async with client(REFUSED) as open_client:
        await open_client.perform("pay")
        await open_client.perform("refund")
        outcome, _ = await outcome_of(open_client, "pay", 10)

    assert outcome is Outcome.REJECTED


@virtual_time
async def test_a_circuit_that_no_one_has_is_reported_with_the_one_that_was_meant() -> None:
    async with client() as open_client:
        answers = [await open_client.get(f"/api/circuits/{key}") for key in ("plain", "payments", "chekout")]

    assert [answer.status_code for answer in answers] == [404] * 3
    assert [answer.json()["detail"] for answer in answers] == [
        "No job has a circuit 'plain'.",
        "No job has a circuit 'payments' (nearest: group:payments).",
        "No job has a circuit 'chekout' (nearest: checkout).",
    ]


@pytest.mark.parametrize("way", ["open", "close"])
@virtual_time
async def test_an_end_in_the_past_is_refused(way: str) -> None:
    async with client() as open_client:
        answer = await open_client.post_json(f"{CHECKOUT}/{way}", {"until": "2026-03-01T11:00:00Z"})

    assert (answer.status_code, answer.json()["errors"][0]["location"]) == (422, "body.until")


@virtual_time
async def test_every_change_is_in_the_log_with_its_way_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "scheduler.audit")
    async with client() as open_client:
        await open_client.post_json(f"{CHECKOUT}/open", UNTIL_ONE)
        await open_client.post(f"{CHECKOUT}/close")
        await open_client.post_json(f"{CHECKOUT}/reset", {"reason": "mended"})

    assert [record.message for record in caplog.records if record.name == "scheduler.audit"] == [
        "circuit checkout is held open until 2026-03-01 13:00:00Z: deployment, requested over the API",
        "circuit checkout is held closed until it is reset, requested over the API",
        "circuit checkout was reset: mended, requested over the API",
    ]


@virtual_time
async def test_a_job_and_the_page_show_a_circuit_that_is_not_closed() -> None:
    async with client() as open_client:
        await open_client.post_json(f"{CHECKOUT}/open", UNTIL_ONE)
        job = (await open_client.get("/api/jobs/checkout")).json()
        other = (await open_client.get("/api/jobs/plain")).json()
        page = visible_text(await get_page(open_client))

    assert (job["circuit"]["key"], job["circuit"]["state"]) == ("checkout", "held_open")
    assert other["circuit"] is None
    assert "circuit held open since 12:00:00: deployment; next probe 13:00:00" in page


@virtual_time
async def test_without_the_store_nothing_is_changed_and_the_answer_reports_it() -> None:
    async with client() as open_client:
        open_client.break_store()
        answers = [await open_client.get("/api/circuits"), await open_client.post(f"{CHECKOUT}/open")]

    assert [answer.status_code for answer in answers] == [503] * 2
