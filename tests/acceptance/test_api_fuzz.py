"""Schemathesis finds nothing in the API on each store, and it finds planted faults.

With few examples; `./dev bench fuzz` sends 300 an operation. tests/scheduler/functions/test_fuzz_in_worker.py does
the same in Microsoft's worker.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from scheduler.identity.api_keys import create_api_key_text
from scheduler.identity.principal import Role
from tests.parts.azurite import Azurite
from tests.parts.fuzzing.bridge import App, Message, Receive, Scope, Send
from tests.parts.fuzzing.engine import fuzz
from tests.parts.fuzzing.programs import (
    azurite_store,
    embedded_app,
    fuzzed_program,
    sqlite_store,
)

pytestmark = [pytest.mark.timeout(300)]

ENDING_KEYS = ("revoke_key", "rotate_key")
FAULTY = ("list_jobs", "get_job", "run_job", "list_secrets", "get_watchdog")
"""Operations with the planted faults, and those that lead to them."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Log calls of thousands of requests would fill the report of a failed test."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


def test_the_api_on_sqlite_keeps_what_its_document_promises(tmp_path: Path) -> None:
    with fuzzed_program(embedded_app(tmp_path, sqlite_store(tmp_path))) as app:
        found = fuzz(app, examples=3)

    assert found.failures == [], str(found)
    assert found.cases.total() > 500
    assert found.count_successful_operations() >= 30


def test_the_api_on_azurite_keeps_what_its_document_promises(tmp_path: Path, azurite: Azurite) -> None:
    """With an API key, which no generated request may revoke."""
    _, key = create_api_key_text(Role.ADMIN)
    with fuzzed_program(embedded_app(tmp_path, azurite_store(azurite), key)) as app:
        found = fuzz(
            app,
            examples=2,
            phases=("examples", "fuzzing", "stateful"),
            headers={"X-API-Key": key},
            excluded=ENDING_KEYS,
        )

    assert found.failures == [], str(found)
    assert found.count_successful_operations() >= 25


def test_planted_faults_are_found(tmp_path: Path) -> None:
    @asynccontextmanager
    async def faulty_app() -> AsyncIterator[App]:
        async with embedded_app(tmp_path, sqlite_store(tmp_path)) as app:
            yield with_faults(app)

    with fuzzed_program(faulty_app()) as app:
        found = fuzz(app, examples=4, phases=("examples", "fuzzing"), operations=FAULTY)

    failures = "\n".join(found.failures)
    assert "not_a_server_error: Server error" in failures
    assert "/api/jobs/nightly-backup\n    500" in failures
    assert "status_code_conformance: Undocumented status code: Received: 409" in failures
    assert "response_schema_conformance" in failures
    assert '"tick_gap_s" is a required property' in failures


def test_a_seed_gives_the_same_number_of_requests_again(tmp_path: Path) -> None:
    with fuzzed_program(embedded_app(tmp_path, sqlite_store(tmp_path))) as app:
        # The first run loads modules, whose constants are among the values that the later ones try.
        _, one, two = (fuzz(app, examples=3, phases=("fuzzing",), operations=("list_jobs",), seed=12) for _ in range(3))

    assert one.cases == two.cases
    assert one.cases.total() > 0


def with_faults(app: App) -> App:
    """The app with three faults: a 500 on one name, a 409 that no document names, and an answer without a field."""

    async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
        match scope.get("path"):
            case "/api/jobs/nightly-backup":
                await answer(send, 500, {"title": "planted"})
            case "/api/secrets":
                await answer(send, 409, {"title": "planted"})
            case "/api/watchdog":
                await app(scope, receive, without_field(send, "tick_gap_s"))
            case _:
                await app(scope, receive, send)

    return faulty


async def answer(send: Send, status: int, body: object) -> None:
    headers = [(b"content-type", b"application/problem+json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


def without_field(send: Send, name: str) -> Send:
    async def cut(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [each for each in message["headers"] if each[0] != b"content-length"]
            await send({**message, "headers": headers})
        else:
            body = {key: value for key, value in json.loads(message["body"]).items() if key != name}
            await send({**message, "body": json.dumps(body).encode()})

    return cut
