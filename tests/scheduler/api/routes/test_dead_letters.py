"""/api/dead-letters: read, replay, discard."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.stores.dead_letters import DeadLetter
from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import START, entry

JOBS = [entry(dead_letter=True, retry={"attempts": 1}), entry("other", dead_letter=True, retry={"attempts": 1})]
LETTERS = "/api/dead-letters"


async def letter_of(client: ApiClient, seconds: float = 0.0, job: str = "checkout") -> str:
    """The id of a run that is given up."""
    await client.perform(job, seconds)
    await client.shop.clock.sleep(0.01)
    letters: list[dict[str, Any]] = (await client.get(LETTERS)).json()["dead_letters"]
    return str(letters[0]["id"])


@virtual_time
async def test_a_run_that_was_abandoned_is_listed() -> None:
    async with ApiClient(REFUSED, jobs=JOBS) as client:
        run_id = await client.perform()

        (letter,) = (await client.get(LETTERS)).json()["dead_letters"]

    assert letter == {
        "id": letter["id"],
        "at": "2026-03-01T12:00:00Z",
        "reason": "checkout.internal:443 refused the connection.",
        "error": "connection_refused",
        "job": "checkout",
        "run_id": run_id,
        "trigger": "schedule",
        "due_at": "2026-03-01T12:00:00Z",
        "attempt_count": 1,
        "state": "waiting",
        "replayed_by": None,
        "replayed_at": None,
        "url": f"/api/dead-letters/{letter['id']}",
    }


@virtual_time
async def test_one_is_shown_with_all_that_is_known() -> None:
    async with ApiClient(RuntimeError("what nobody thought of"), jobs=JOBS) as client:
        letter_id = await letter_of(client)

        letter = (await client.get(f"{LETTERS}/{letter_id}")).json()

    assert letter["correlation_id"] == letter["run_id"]
    assert [attempt["error"] for attempt in letter["attempts"]] == ["internal_error"]
    assert letter["definition"]["dead_letter"] is True
    assert "RuntimeError: what nobody thought of" in letter["traceback"]


async def test_a_message_that_was_no_ticket_is_shown() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await client.shop.dead_letters.add(DeadLetter.from_message("no batch", "not a batch of tickets", START))
        (listed,) = (await client.get(LETTERS)).json()["dead_letters"]

        letter = (await client.get(listed["url"])).json()
        refused = await client.post(f"{listed['url']}/replay")

    assert (letter["message"], letter["job"], letter["run_id"], letter["definition"]) == ("no batch", None, None, None)
    assert refused.status_code == 409
    assert "not a ticket" in refused.json()["detail"]


@virtual_time
async def test_pages_and_a_jobs_letters() -> None:
    async with ApiClient(REFUSED, jobs=JOBS) as client:
        for seconds in range(5):
            await letter_of(client, seconds, "other" if seconds == 2 else "checkout")

        paged = await client.get_all(LETTERS, "dead_letters", limit=2)
        of_other = (await client.get(LETTERS, job="other")).json()

    assert len(paged) == 5
    assert [letter["id"] for letter in paged] == sorted((letter["id"] for letter in paged), reverse=True)
    assert ([letter["job"] for letter in of_other["dead_letters"]], of_other["continuation"]) == (["other"], None)


@virtual_time
async def test_a_replay_is_accepted_with_its_run_and_the_letter_reports_it() -> None:
    async with ApiClient(REFUSED, answer(), jobs=JOBS) as client:
        original = await client.perform()
        letter_id = (await client.get(LETTERS)).json()["dead_letters"][0]["id"]
        await client.shop.clock.sleep(60)

        requested_at = client.shop.clock.now()
        accepted = await client.post(f"{LETTERS}/{letter_id}/replay")
        await client.shop.worker.wait_until_idle()
        run = (await client.get(accepted.headers["Operation-Location"])).json()
        letter = (await client.get(f"{LETTERS}/{letter_id}")).json()
        again = await client.post(f"{LETTERS}/{letter_id}/replay")

    assert (accepted.status_code, accepted.json()["trigger"]) == (202, "replay")
    assert (run["outcome"], run["correlation_id"], run["lateness_ms"]) == ("succeeded", original, 0)
    assert (letter["state"], letter["replayed_by"]) == ("replayed", run["id"])
    assert datetime.fromisoformat(letter["replayed_at"]) == requested_at
    assert (again.status_code, again.headers["content-type"]) == (409, "application/problem+json")
    assert run["id"] in again.json()["detail"]


@virtual_time
async def test_many_are_replayed_after_a_read() -> None:
    async with ApiClient(*[REFUSED] * 3, answer(), jobs=JOBS) as client:
        for seconds in range(3):
            await letter_of(client, seconds)
        requested = {"job": "checkout", "reason": "refused", "limit": 2, "per_second": 1}

        checked = await client.post_json(f"{LETTERS}/replay", requested | {"dry_run": True})
        accepted = await client.post_json(f"{LETTERS}/replay", requested)
        await client.shop.worker.wait_until_idle()
        runs = (await client.get("/api/runs")).json()["runs"]

    reported = accepted.json()
    assert (checked.json()["dry_run"], reported["dry_run"]) == (True, False)
    assert [letter["state"] for letter in checked.json()["dead_letters"]] == ["waiting"] * 2
    assert [each["id"] for each in checked.json()["dead_letters"]] == [each["id"] for each in reported["dead_letters"]]
    assert (accepted.status_code, reported["remaining"], reported["unknown_jobs"]) == (202, 1, [])
    replays = [run for run in runs if run["trigger"] == "replay"]
    assert [run["outcome"] for run in replays] == ["succeeded"] * 2
    assert {run["id"] for run in replays} == {letter["replayed_by"] for letter in reported["dead_letters"]}


@pytest.mark.parametrize(
    ("body", "complaint", "status"),
    [
        ({}, "body.job: no filter is given: set at least one of job, reason, after and before", 422),
        ({"job": "a b"}, "body.job: 'a b' has the wrong form", 400),
        ({"job": "checkout", "limit": 1001}, "body.limit: 1001 is too large: at most 1000", 400),
        ({"job": "checkout", "per_second": 0}, "body.per_second: 0 must be more than 0", 400),
        ({"after": "yesterday"}, "body.after: 'yesterday' is not an ISO 8601 instant", 400),
        ({"jobs": ["checkout"]}, "body.jobs: unknown key", 400),
        (None, "body: is missing", 400),
    ],
)
async def test_what_cannot_be_asked_for_is_refused(body: object, complaint: str, status: int) -> None:
    async with ApiClient(jobs=JOBS) as client:
        refused = await (
            client.post(f"{LETTERS}/replay") if body is None else client.post_json(f"{LETTERS}/replay", body)
        )

    assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")
    assert refused.json()["detail"].startswith(complaint)


@virtual_time
async def test_a_discarded_letter_is_gone() -> None:
    async with ApiClient(REFUSED, jobs=JOBS) as client:
        url = f"{LETTERS}/{await letter_of(client)}"

        done = await client.request("DELETE", url)
        again = await client.request("DELETE", url)

        assert (await client.get(LETTERS)).json()["dead_letters"] == []

    assert (done.status_code, done.content, again.status_code) == (204, b"", 404)


async def test_what_is_missing_is_reported() -> None:
    async with ApiClient(jobs=JOBS) as client:
        answers = [
            await client.get(f"{LETTERS}/x"),
            await client.post(f"{LETTERS}/20260301T120000.000Z.0123456789ab/replay"),
            await client.get(LETTERS, job="nobody"),
            await client.post_json(f"{LETTERS}/replay", {"job": "nobody"}),
        ]

    assert [answered.status_code for answered in answers] == [404] * 4
    assert "There is no dead letter" in answers[1].json()["detail"]


@pytest.mark.parametrize(
    ("query", "status"), [("continuation=x", 422), ("limit=0", 400), ("job=a%20b", 400), ("state=waiting", 400)]
)
async def test_parameters_that_cannot_be_used_are_refused(query: str, status: int) -> None:
    async with ApiClient(jobs=JOBS) as client:
        refused = await client.get(f"{LETTERS}?{query}")

    assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json")


@virtual_time
async def test_a_page_of_another_site_changes_nothing() -> None:
    foreign = {"Sec-Fetch-Site": "cross-site"}
    async with ApiClient(REFUSED, jobs=JOBS) as client:
        url = f"{LETTERS}/{await letter_of(client)}"

        refused = [
            await client.request("DELETE", url, headers=foreign),
            await client.request("POST", f"{url}/replay", headers=foreign),
            await client.request("POST", f"{LETTERS}/replay", headers=foreign, json={"job": "checkout"}),
        ]

        assert (await client.get(url)).json()["state"] == "waiting"

    assert [answered.status_code for answered in refused] == [403] * 3


@virtual_time
async def test_old_letters_go_with_time() -> None:
    async with ApiClient(REFUSED, jobs=JOBS) as client:
        await letter_of(client)

        removed = await client.shop.dead_letters.prune(START + timedelta(days=31), 30 * 86400)

        assert (await client.get(LETTERS)).json()["dead_letters"] == []
    assert removed == 1
