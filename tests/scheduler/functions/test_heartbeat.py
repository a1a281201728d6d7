"""Pings in Microsoft's worker: without a key, kept in Azure Tables, and judged by a run on the queue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scheduler.stores.heartbeats import Heartbeats
from tests.scheduler.functions.hosted import Hosted

TOKEN = "2fd4e1c67a2d28fced849ee1bb76e739"
PING = f"/api/ping/{TOKEN}"
CHECK = {"kind": "heartbeat", "token": {"secret": "nightly-token"}, "period": "24h"}


@pytest.fixture(autouse=True)
def _nightly(jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (jobs / "nightly.json").write_text(json.dumps({"jobs": {"nightly": {"schedule": None, "check": CHECK}}}))
    monkeypatch.setenv("SCHEDULER_SECRET_NIGHTLY_TOKEN", TOKEN)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_ping_needs_no_key_and_is_stored(hosted: Hosted, method: str) -> None:
    reply = await hosted.worker.http(method, PING)

    assert (reply.status, reply.function) == (200, "heartbeat")
    assert (await Heartbeats(hosted.store).beat("nightly")).number == 1


@pytest.mark.parametrize(("rest", "state"), [("/", "up"), ("?status=down", "down"), ("/log", "new")])
async def test_every_form_of_the_address_is_a_ping(hosted: Hosted, rest: str, state: str) -> None:
    assert (await hosted.worker.http("GET", f"{PING}{rest}")).status == 200
    assert (await Heartbeats(hosted.store).beat("nightly")).state == state


async def test_a_failure_is_judged_by_a_run_on_the_queue(hosted: Hosted) -> None:
    await hosted.worker.http("POST", f"{PING}/3")
    await hosted.hand_over(await hosted.queue.take_when_visible())

    (run,) = (await hosted.worker.http("GET", "/api/runs?job=nightly", key="read")).json()["runs"]
    assert (run["outcome"], run["error"]) == ("failed", "heartbeat_failed")
    state = (await hosted.worker.http("GET", "/api/jobs/nightly/heartbeat", key="read")).json()
    assert (state["state"], state["exit_code"]) == ("down", 3)


async def test_strangers_are_reported_nothing(hosted: Hosted) -> None:
    reply = await hosted.worker.http("GET", "/api/ping/unknown-token-0001")

    assert (reply.status, reply.function) == (404, "heartbeat")


async def test_while_the_program_cannot_be_opened_pings_may_be_sent_again(hosted: Hosted, jobs: Path) -> None:
    (jobs / "wrong.json").write_text('{"jobs": {"wrong": {"check": {"url": "nonsense"}}}}')

    reply = await hosted.worker.http("GET", PING)

    assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    assert "nonsense" not in reply.body.decode()
    assert TOKEN not in reply.body.decode()
