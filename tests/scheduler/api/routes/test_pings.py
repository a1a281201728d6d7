"""/api/ping/{token} and what comes of it: how the heartbeat is, runs at once, and nothing told to strangers."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

import pytest

from scheduler.features.heartbeats.service import (
    FORCED_READS_PER_MINUTE,
    MAX_PING_BODY,
    MAX_PINGS_PER_MINUTE,
    MIN_REREAD_PAUSE_S,
    OLD_TOKEN_LIFETIME_S,
    REREAD_AFTER_S,
)
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.test_overview_page import get_page, visible_text
from tests.scheduler.fakes import entry

TOKEN = "2fd4e1c67a2d28fced849ee1bb76e739"
PING = f"/api/ping/{TOKEN}"


def nightly(name: str = "nightly", secret: str = "nightly-token", **more: Any) -> Any:
    check = {"kind": "heartbeat", "token": {"secret": secret}, "period": "24h", "grace": "1h"}
    return entry(name, more.pop("schedule", None), check=check | more.pop("check", {}), **more)


def client(*jobs: Any, token: str = TOKEN, keyed: bool = False) -> ApiClient:
    found = ApiClient(jobs=jobs or [nightly()], requires_key=keyed)
    found.shop.tokens.values = {"nightly-token": token}
    return found


async def heartbeat(at: ApiClient, name: str = "nightly") -> dict[str, Any]:
    answer = await at.get(f"/api/jobs/{name}/heartbeat")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def outcomes(at: ApiClient) -> list[tuple[str, str | None]]:
    """Of the runs so far, oldest first."""
    await at.shop.worker.wait_until_idle()
    runs = (await at.get("/api/runs")).json()["runs"]
    return [(run["outcome"], run["error"]) for run in reversed(runs)]


@virtual_time
async def test_a_ping_is_answered_shortly_and_shown() -> None:
    async with client() as at:
        answer = await at.request("GET", PING, headers={"User-Agent": "curl/8.5"})
        reported = await heartbeat(at)

    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, "OK", "text/plain; charset=utf-8")
    assert (reported["state"], reported["ping_count"], reported["secret"]) == ("up", 1, "nightly-token")
    assert (reported["due_at"], reported["down_at"]) == ("2026-03-02T12:00:00Z", "2026-03-02T13:00:00Z")
    assert reported["summary"].startswith("The last ping arrived at 2026-03-01 12:00:00Z")
    (ping,) = reported["pings"]
    assert (ping["signal"], ping["agent"], ping["exit_code"]) == ("success", "curl/8.5", None)


@pytest.mark.parametrize(
    ("method", "path", "state", "signal", "code"),
    [
        ("HEAD", PING, "up", "success", None),
        ("POST", PING, "up", "success", None),
        ("GET", f"{PING}/start", "started", "start", None),
        ("POST", f"{PING}/start", "started", "start", None),
        ("GET", f"{PING}/fail", "down", "fail", None),
        ("GET", f"{PING}/0", "up", "success", 0),
        ("GET", f"{PING}/3", "down", "fail", 3),
        ("POST", f"{PING}/255", "down", "fail", 255),
        ("GET", f"{PING}?rid=a&cache=no", "up", "success", None),
        ("GET", f"{PING}/", "up", "success", None),
        ("HEAD", f"{PING}/", "up", "success", None),
        ("POST", f"{PING}/", "up", "success", None),
        ("GET", f"{PING}/log", "new", "log", None),
        ("POST", f"{PING}?status=down", "down", "fail", None),
        ("HEAD", f"{PING}/?status=down", "down", "fail", None),
        ("POST", f"{PING}?status=up", "up", "success", None),
    ],
)
async def test_every_way_to_ping_means_what_it_reports(
    method: str, path: str, state: str, signal: str, code: int | None
) -> None:
    async with client() as at:
        assert (await at.request(method, path)).status_code == 200
        reported = await heartbeat(at)

    assert (reported["state"], reported["pings"][0]["signal"], reported["pings"][0]["exit_code"]) == (
        state,
        signal,
        code,
    )


@pytest.mark.parametrize("rest", ["longer-than-any-result", "0?rid=1&rid=2", "0?rid=none"])
async def test_no_answer_to_a_wrong_ping_repeats_the_token(rest: str) -> None:
    async with client() as at:
        answer = await at.get(f"/api/ping/mistyped-token-1/{rest}")

    assert answer.status_code >= 400
    assert "mistyped" not in answer.text


@pytest.mark.parametrize(
    "path", ["/api/ping/unknown-token-1234", f"{PING}/256", f"{PING}/-1", f"{PING}/done", f"{PING}/٣", f"{PING}/0/1"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_what_is_no_ping_gets_the_answer_of_no_address(method: str, path: str) -> None:
    async with client() as at:
        answer, nothing = await at.request(method, path), await at.get("/api/nothing")
        reported = await heartbeat(at)

    assert answer.status_code == 404
    if method == "GET":
        assert answer.json()["detail"] == nothing.json()["detail"]
    assert reported["ping_count"] == 0


async def test_a_run_id_of_another_form_is_refused() -> None:
    async with client() as at:
        assert (await at.get(PING, rid="a b")).status_code == 400


async def test_a_status_that_is_neither_up_nor_down_is_refused_and_not_counted_as_a_success() -> None:
    async with client() as at:
        answer, reported = await at.get(PING, status="error"), await heartbeat(at)
    assert (answer.status_code, reported["ping_count"]) == (400, 0)


async def test_a_text_in_the_address_is_stored_if_nothing_is_posted() -> None:
    async with client() as at:
        await at.get(PING, status="down", msg="disk full")
        await at.request("POST", PING, params={"msg": "in the address"}, content=b"posted")
        assert [ping["body"] for ping in (await heartbeat(at))["pings"]] == ["posted", "disk full"]


@virtual_time
async def test_a_start_and_its_end_are_timed_by_their_run() -> None:
    async with client() as at:
        await at.get(f"{PING}/start", rid="r1")
        await asyncio.sleep(90)
        await at.get(PING, rid="r1")
        assert (await heartbeat(at))["duration_ms"] == 90_000


async def test_what_comes_with_a_ping_is_stored_without_secrets_and_cut() -> None:
    async with client() as at:
        at.shop.redactor.add_permanent("hunter22")
        body = b"password=hunter22 \xff" + b"x" * 20_000
        await at.request("POST", f"{PING}/1", content=body)
        (ping,) = (await heartbeat(at))["pings"]

    assert ping["body"].startswith("password=*** \ufffdxxx")
    assert len(ping["body"]) == MAX_PING_BODY


async def test_a_body_without_end_is_cut_off() -> None:
    async with client() as at:
        assert (await at.request("POST", PING, content=b"x" * 5_000_000)).status_code == 200


# --- before the first ping ---


@virtual_time
async def test_a_heartbeat_that_was_never_pinged_has_not_succeeded() -> None:
    async with client() as at:
        await at.perform("nightly")
        runs = (await at.get("/api/runs")).json()["runs"]
        job = (await at.get("/api/jobs/nightly")).json()
        uptime = (await at.get("/api/jobs/nightly/uptime")).json()
        page = visible_text(await get_page(at))

    ((outcome, message),) = [(run["outcome"], run["message"]) for run in runs]
    assert (outcome, message) == ("skipped", "No ping has arrived yet.")
    assert job["latest"]["outcome"] == "skipped"
    assert (uptime["runs"], uptime["since"]) == (0, None)
    assert "new: No ping has arrived yet." in page


@virtual_time
async def test_the_first_run_after_the_first_ping_has_succeeded() -> None:
    async with client() as at:
        await at.perform("nightly")
        await asyncio.sleep(60)
        await at.get(PING)
        await at.perform("nightly")
        assert await outcomes(at) == [("skipped", None), ("succeeded", None)]


# --- runs at once ---


@virtual_time
async def test_a_failure_and_what_fixes_it_are_judged_at_once_and_once() -> None:
    async with client() as at:
        for path in (PING, f"{PING}/3", f"{PING}/4", PING, PING):
            await at.get(path)
            await at.shop.worker.wait_until_idle()
            await asyncio.sleep(1)
        found = await outcomes(at)

    assert found == [("failed", "heartbeat_failed"), ("succeeded", None)]


@virtual_time
async def test_the_first_ping_after_a_missing_one_is_judged_at_once() -> None:
    async with client() as at:
        await at.get(PING)
        await asyncio.sleep(25 * 3600)
        await at.perform("nightly")
        await asyncio.sleep(1)
        await at.get(PING)
        found = await outcomes(at)

    assert found == [("failed", "heartbeat_missing"), ("succeeded", None)]


@pytest.mark.parametrize("why", ["paused", "disabled"])
@virtual_time
async def test_pings_of_a_job_that_does_not_run_are_stored_and_not_judged(why: str) -> None:
    async with client(nightly(enabled=why != "disabled")) as at:
        if why == "paused":
            await at.post("/api/jobs/nightly/pause")
        await at.get(f"{PING}/3")
        reported, found = await heartbeat(at), await outcomes(at)

    assert found == []
    assert (reported["ping_count"], reported["state"]) == (1, "paused" if why == "paused" else "down")


@virtual_time
async def test_what_fell_due_in_a_pause_is_not_missing_once_the_job_is_resumed() -> None:
    async with client() as at:
        await at.get(PING)
        await asyncio.sleep(3600)
        await at.post("/api/jobs/nightly/pause")
        await asyncio.sleep(30 * 3600)
        await at.post("/api/jobs/nightly/pause")  # again, after it fell due
        await asyncio.sleep(30 * 3600)
        await at.post("/api/jobs/nightly/resume")
        reported = await heartbeat(at)
        await at.perform("nightly")
        found = await outcomes(at)

    assert (reported["state"], reported["due_at"]) == ("up", "2026-03-05T01:00:00Z")
    assert found == [("succeeded", None)]


@virtual_time
async def test_a_program_that_never_pings_is_notified_of_if_the_job_reports_when_it_must() -> None:
    job = nightly(check={"first_within": "48h"}, schedule={"every": "1m"})
    async with client(job) as at:
        await at.shop.marks.record_all([("nightly", job.job.schedule)], at.shop.clock.now())
        early = await heartbeat(at)
        await asyncio.sleep(48 * 3600)
        await at.perform("nightly")
        late = await heartbeat(at)
        await asyncio.sleep(1)
        await at.get(PING)
        found = await outcomes(at)

    assert (early["state"], early["down_at"]) == ("new", "2026-03-03T12:00:00Z")
    assert (late["state"], late["summary"][:24]) == ("down", "No ping has ever arrived")
    assert found == [("failed", "heartbeat_missing"), ("succeeded", None)]


@virtual_time
async def test_the_start_of_another_run_fixes_none_that_is_overdue() -> None:
    async with client() as at:
        for path in (PING, f"{PING}/start", f"{PING}/start"):
            await at.get(path)
            await asyncio.sleep(3600)
            await at.perform("nightly")
        await at.get(PING)
        found = await outcomes(at)

    missing = ("failed", "heartbeat_missing")
    assert found == [("succeeded", None), missing, missing, ("succeeded", None)]


async def test_two_jobs_may_wait_for_the_same_pings() -> None:
    async with client(nightly("a"), nightly("b", check={"grace": "5m"})) as at:
        await at.get(PING)
        assert [(await heartbeat(at, name))["ping_count"] for name in "ab"] == [1, 1]


# --- limits ---


@virtual_time
async def test_too_many_pings_in_a_minute_are_counted_and_not_stored() -> None:
    async with client() as at:
        for _ in range(MAX_PINGS_PER_MINUTE + 5):
            assert (await at.get(PING)).text == "OK"
        assert (await heartbeat(at))["ping_count"] == MAX_PINGS_PER_MINUTE
        await asyncio.sleep(60)
        await at.get(PING)
        assert (await heartbeat(at))["ping_count"] == MAX_PINGS_PER_MINUTE + 6


@virtual_time
async def test_a_storm_of_good_pings_hides_no_failure() -> None:
    async with client() as at:
        for _ in range(MAX_PINGS_PER_MINUTE + 5):
            await at.get(PING)
        await at.get(f"{PING}/fail")
        assert (await heartbeat(at))["state"] == "down"


# --- tokens ---


@virtual_time
async def test_after_a_rotation_both_tokens_are_accepted_and_the_old_one_ends() -> None:
    other = "a" * 32
    async with client() as at:
        await at.get(PING)
        at.shop.tokens.values = {"nightly-token": other}
        await asyncio.sleep(MIN_REREAD_PAUSE_S + 1)
        assert [(await at.get(f"/api/ping/{token}")).status_code for token in (other, TOKEN)] == [200, 200]
        await asyncio.sleep(OLD_TOKEN_LIFETIME_S + REREAD_AFTER_S)
        assert [(await at.get(f"/api/ping/{token}")).status_code for token in (other, TOKEN)] == [200, 404]


async def test_strangers_do_not_make_the_secrets_be_read_again_and_again() -> None:
    async with client() as at:
        for number in range(20):
            await at.get(f"/api/ping/unknown-token-{number:04}")
        assert at.shop.tokens.requested == ["nightly-token"]


@virtual_time
@pytest.mark.parametrize("heartbeats", [60, 300])
async def test_strangers_make_a_bounded_number_of_reads_past_what_is_stored_and_of_all_secrets_in_turn(
    heartbeats: int,
) -> None:
    names = [f"token-{number}" for number in range(heartbeats)]
    async with client(*(nightly(f"job-{name}", name) for name in names)) as at:
        at.shop.tokens.values = {name: f"{name:x>32}" for name in names}
        await at.get("/api/ping/unknown-token-0000")
        minutes = 5
        for number in range(60 * minutes):
            await at.get(f"/api/ping/unknown-token-{number:04}")
            await asyncio.sleep(1)

    reads = Counter(at.shop.tokens.renewed_names)
    assert reads.total() <= FORCED_READS_PER_MINUTE * (minutes + 1)
    assert set(reads) == set(names)
    assert max(reads.values()) - min(reads.values()) <= 1


async def test_while_a_token_cannot_be_read_a_ping_may_be_sent_again() -> None:
    async with client() as at:
        at.shop.tokens.values = {}
        answer = await at.get(PING)
        troubles = at.services.operations.pings.token_errors()

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["detail"] == "Pings are not accepted now. Send the ping again."
    assert troubles == {"nightly-token": "There is no secret nightly-token"}


async def test_a_token_that_could_be_guessed_is_not_accepted() -> None:
    async with client(token="short") as at:
        assert (await at.get("/api/ping/short")).status_code == 503
        (trouble,) = at.services.operations.pings.token_errors().values()
    assert trouble == "secret nightly-token is too short for a token: at least 16 characters"


async def test_a_job_that_is_no_heartbeat_has_none() -> None:
    async with ApiClient() as at:
        answer = await at.get("/api/jobs/checkout/heartbeat")
    assert (answer.status_code, "no heartbeat" in answer.json()["detail"]) == (409, True)


async def test_no_log_and_no_answer_shows_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "scheduler")
    async with client() as at:
        await at.get(f"{PING}/1")
        at.break_store()
        answer = await at.get(PING)

    assert answer.status_code == 503
    assert TOKEN not in answer.text
    assert "could not accept a ping" in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("keyed", "source"), [(True, "203.0.113.7"), (False, "127.0.0.1")], ids=["functions", "embedded"]
)
async def test_the_sender_is_who_the_front_end_reports_and_only_there(keyed: bool, source: str) -> None:
    async with client(keyed=keyed) as at:
        await at.request("GET", PING, headers={"X-Forwarded-For": "10.9.9.9, 203.0.113.7:51000"})
        (ping,) = (await heartbeat(at))["pings"]
    assert ping["source"] == source


@pytest.mark.parametrize(
    ("output", "source"),
    [
        ("1.1.1.1", "1.1.1.1"),
        ("1.1.1.1:1234", "1.1.1.1"),
        ("2001::1", "2001::1"),
        ("2001:db8::12:1", "2001:db8::12:1"),
        ("[2001:db8::12]:443", "[2001:db8::12]"),
        ("::ffff:1.1.1.1", "::ffff:1.1.1.1"),
    ],
)
async def test_the_port_behind_the_sender_is_skipped_and_nothing_of_its_address(output: str, source: str) -> None:
    async with client(keyed=True) as at:
        await at.request("GET", PING, headers={"X-Forwarded-For": output})
        (ping,) = (await heartbeat(at))["pings"]
    assert ping["source"] == source


async def test_the_page_reports_in_words_how_a_heartbeat_is() -> None:
    async with client() as at:
        assert "new: No ping has arrived yet." in visible_text(await get_page(at))
        await at.get(PING)
        page = await at.request("GET", "/api/dashboard", headers={"cache-control": "no-cache"})
        assert "up: The last ping arrived at" in visible_text(page.text)
