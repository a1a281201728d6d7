"""A repeated POST is executed once, and its first response is sent again: also after a crash, and on every store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta

import httpx
import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from scheduler.api.middleware.idempotency import MAX_KEY_LENGTH, Idempotency, mark_secret_response
from scheduler.identity.principal import Principal, PrincipalKind, Role, Tags
from scheduler.stores.idempotency import IDEMPOTENCY_TABLE, MAX_STORED_CHARACTERS, REQUEST_LEASE, IdempotencyRecords
from scheduler.stores.port import Store
from tests.jobs.running.virtual_time import LoopClock, virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import VirtualClock
from tests.scheduler.stores.memory import MemoryData, MemoryStore

KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"


class Place:
    """An app that counts its effects, behind the middleware."""

    def __init__(self, store: Store | None = None, clock: VirtualClock | None = None) -> None:
        self.store = store or MemoryStore()
        self.clock = clock or VirtualClock()
        self.effects: list[bytes] = []
        self.status = 202
        self.body = b'{"id":"checkout@1"}'
        self.has_secret = False
        self.wait: asyncio.Event | None = None
        self.began = asyncio.Event()
        self.records = IdempotencyRecords(self.store)
        self.app = Idempotency(self._act, self.records, self.clock)

    async def _act(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.effects.append((await receive())["body"])
        self.began.set()
        if self.has_secret:
            await mark_secret_response(Request(scope))
        if self.wait is not None:
            await self.wait.wait()
        headers = [
            (b"content-type", b"application/json"),
            (b"operation-location", b"/api/runs/1"),
            (b"set-cookie", b"s"),
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body[:5], "more_body": True})
        await send({"type": "http.response.body", "body": self.body[5:]})

    async def post(
        self,
        body: bytes = b"{}",
        key: str | None = KEY,
        path: str = "/api/jobs/checkout/run",
        principal: str = "deploy",
        tags: Tags = (),
        method: str = "POST",
        headers: Mapping[str, str] = {},
    ) -> httpx.Response:
        async def as_principal(scope: Scope, receive: Receive, send: Send) -> None:
            caller = Principal(PrincipalKind.API_KEY, principal, Role.ADMIN, tags)
            await self.app({**scope, "state": {"principal": caller}}, receive, send)

        sent = {"content-type": "application/json", **headers} | ({} if key is None else {"idempotency-key": key})
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(as_principal), base_url="http://localhost"
        ) as client:
            return await client.request(method, path, content=body, headers=sent)


async def test_a_repeat_gets_the_first_response_and_has_no_effect() -> None:
    place = Place()
    first = await place.post()
    place.status, place.body = 500, b"other"
    repeat = await place.post()

    assert len(place.effects) == 1
    assert (repeat.status_code, repeat.content) == (first.status_code, first.content) == (202, b'{"id":"checkout@1"}')
    assert repeat.headers["operation-location"] == "/api/runs/1"
    assert repeat.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers


async def test_a_cookie_is_not_stored() -> None:
    place = Place()
    assert "set-cookie" in (await place.post()).headers
    assert "set-cookie" not in (await place.post()).headers


@pytest.mark.parametrize(
    "request_", [{"body": b'{"a":1}'}, {"headers": {"content-type": "application/merge-patch+json"}}]
)
async def test_another_request_with_the_key_is_rejected(request_: dict[str, object]) -> None:
    place = Place()
    await place.post()
    refused = await place.post(**request_)  # type: ignore[arg-type]

    assert (refused.status_code, len(place.effects)) == (422, 1)
    assert refused.json()["detail"].endswith("was used for another request. Send this one with a new key.")


async def test_a_key_belongs_to_a_principal_with_its_tags_and_a_path() -> None:
    place = Place()
    await place.post()
    for other in (
        {"principal": "other"},
        {"tags": (("team", "shop"),)},
        {"path": "/api/jobs/other/run"},
        {"key": "another"},
    ):
        assert "idempotent-replayed" not in (await place.post(**other)).headers

    assert len(place.effects) == 5


async def test_a_request_without_the_header_and_other_methods_are_executed_each_time() -> None:
    place = Place()
    for _ in range(2):
        await place.post(key=None)
        await place.post(method="PUT")
        await place.post(path="/api/ping/token")

    assert len(place.effects) == 6


async def test_a_key_with_quotation_marks_is_the_same_key() -> None:
    place = Place()
    await place.post()

    assert "idempotent-replayed" in (await place.post(key=f'"{KEY}"')).headers


@pytest.mark.parametrize("key", ["", '" "', "x" * (MAX_KEY_LENGTH + 1), "a\tb", "ü"])
async def test_an_invalid_key_is_rejected(key: str) -> None:
    place = Place()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(place.app), base_url="http://localhost") as client:
        refused = await client.post("/api/jobs/checkout/run", headers=[(b"idempotency-key", key.encode())])

    assert (refused.status_code, place.effects) == (400, [])
    assert "1 to 255 printable ASCII characters" in refused.json()["detail"]


async def test_a_key_of_the_greatest_length_is_accepted() -> None:
    assert (await Place().post(key="x" * MAX_KEY_LENGTH)).status_code == 202


async def test_a_repeat_while_the_first_request_is_in_progress_is_rejected_with_when_to_retry() -> None:
    place = Place()
    place.wait = asyncio.Event()
    first = asyncio.create_task(place.post())
    await place.began.wait()
    refused = await place.post()
    place.wait.set()
    answered = await first

    assert (refused.status_code, refused.headers["retry-after"]) == (409, "2")
    assert "still in progress" in refused.json()["detail"]
    assert (await place.post()).content == answered.content


async def test_of_many_at_once_one_is_executed() -> None:
    place = Place()
    answers = await asyncio.gather(*(place.post() for _ in range(30)))

    assert len(place.effects) == 1
    assert {answer.status_code for answer in answers} <= {202, 409}


async def test_after_a_crash_a_request_is_not_executed_again() -> None:
    data, clock = MemoryData(), VirtualClock()
    killed = Place(MemoryStore(data), clock)
    killed.wait = asyncio.Event()
    first = asyncio.create_task(killed.post())
    await killed.began.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    restarted = Place(MemoryStore(data), clock)
    assert (await restarted.post()).headers["retry-after"] == "2"
    clock.move(REQUEST_LEASE.total_seconds())
    refused = await restarted.post()
    assert (refused.status_code, restarted.effects) == (409, [])
    assert "retry-after" not in refused.headers
    assert "It is unknown whether it took effect" in refused.json()["detail"]


@virtual_time
async def test_the_lease_of_a_long_request_is_renewed() -> None:
    place = Place()
    place.app = Idempotency(place._act, place.records, LoopClock())
    place.wait = asyncio.Event()
    first = asyncio.create_task(place.post())
    await asyncio.sleep(10 * REQUEST_LEASE.total_seconds())
    assert (await place.post()).headers["retry-after"] == "2"
    place.wait.set()
    await first

    assert (await place.post()).status_code == 202


async def test_the_response_survives_a_restart_and_is_forgotten_after_24_hours() -> None:
    data, clock = MemoryData(), VirtualClock()
    await Place(MemoryStore(data), clock).post()
    clock.move(timedelta(hours=23, minutes=59).total_seconds())
    later = Place(MemoryStore(data), clock)
    assert "idempotent-replayed" in (await later.post()).headers
    clock.move(61)

    assert "idempotent-replayed" not in (await later.post()).headers
    assert len(later.effects) == 1


@pytest.mark.parametrize("status", [400, 404, 409])
async def test_a_rejection_is_the_first_response_too(status: int) -> None:
    place = Place()
    place.status = status
    await place.post()

    assert (await place.post()).headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("status", [500, 503])
async def test_after_a_failure_of_the_server_a_repeat_is_executed(status: int) -> None:
    place = Place()
    place.status = status
    assert (await place.post()).status_code == status
    place.status = 202

    assert (await place.post()).status_code == 202
    assert len(place.effects) == 2


@pytest.mark.parametrize("reason", ["secret", "size"])
async def test_a_body_that_is_not_stored_is_replaced_by_a_note(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = MemoryData()
    place = Place(MemoryStore(data))
    place.status, place.body = 201, b'{"key":"sk-canary"}'
    place.has_secret = reason == "secret"
    if reason == "size":
        monkeypatch.setattr("scheduler.stores.idempotency.MAX_STORED_CHARACTERS", 5)
    assert b"sk-canary" in (await place.post()).content
    repeat = await place.post()

    assert (repeat.status_code, repeat.headers["idempotent-replayed"]) == (201, "true")
    assert repeat.headers["operation-location"] == "/api/runs/1"
    assert "not stored" in repeat.json()["detail"]
    assert len(place.effects) == 1
    assert [row for row in data.rows.values() if "zipped" in row.body] == []


async def test_a_large_response_is_stored_compressed() -> None:
    place = Place()
    place.body = json.dumps([{"name": f"job-{number}", "done": True} for number in range(50_000)]).encode()
    assert len(place.body) > MAX_STORED_CHARACTERS
    await place.post()

    assert (await place.post()).content == place.body


async def test_without_the_store_nothing_is_executed() -> None:
    place = Place(MemoryStore(breaks_after=0))
    refused = await place.post()

    assert (refused.status_code, refused.headers["retry-after"], place.effects) == (503, "5", [])
    assert "so nothing was changed" in refused.json()["detail"]


async def test_a_response_that_cannot_be_stored_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(breaks_after=2)
    place = Place(store)

    assert (await place.post()).status_code == 202
    assert "could not store the response for repeats of POST /api/jobs/checkout/run" in caplog.text


async def test_old_rows_are_deleted() -> None:
    data = MemoryData()
    place = Place(MemoryStore(data))
    for number in range(250):
        await place.post(key=str(number))
    place.clock.move(86400)
    await place.post(key="later")
    assert await place.records.prune(place.clock.now()) == 0
    place.clock.move(86400)

    assert await place.records.prune(place.clock.now()) == 250
    assert len([row for row in data.rows if row[0] == IDEMPOTENCY_TABLE]) == 2


async def test_the_api_starts_one_run_for_a_repeated_request() -> None:
    async with ApiClient() as client:
        answers = [
            await client.request("POST", "/api/jobs/checkout/run", headers={"idempotency-key": KEY}) for _ in range(3)
        ]
        runs = (await client.get("/api/runs")).json()["runs"]

    assert {answer.json()["id"] for answer in answers} == {runs[0]["id"]}
    assert (len(runs), [answer.status_code for answer in answers]) == (1, [202] * 3)
    assert answers[1].headers["x-content-type-options"] == "nosniff"


async def test_a_repeat_for_an_unknown_job_gets_the_same_404() -> None:
    async with ApiClient() as client:
        answers = [
            await client.request("POST", "/api/jobs/nope/run", headers={"idempotency-key": KEY}) for _ in range(2)
        ]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotent-replayed"] == "true"
