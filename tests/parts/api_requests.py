"""A valid request of every route, and what it needs: jobs, secrets and stored rows.

    for request in api_requests():                      # one a route, from the examples in the OpenAPI document
        request.operation_id, request.scope, request.method, request.template       # run_job, operate, POST, a path
        request.path, request.headers, request.body     # what is sent; the body as JSON, or None
    async with embedded(folder, example_jobs(target.url), **EXAMPLE_SECRETS) as host: ...
    await prepare(store, request)                       # stores the run or the dead letter that the request names

A route without an example raises ValueError, which names what lacks one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.runs import Ticket
from scheduler.api.app import describe_routes
from scheduler.api.description.examples import RequestExample, request_examples
from scheduler.identity.api_keys import ApiKey, hash_api_key
from scheduler.identity.principal import Principal, PrincipalKind, Role
from scheduler.stores.dead_letters import DeadLetter, DeadLetters
from scheduler.stores.identity import ApiKeys, Session, StoredSessions, expiry_prefix
from scheduler.stores.port import Store
from scheduler.stores.runs.repository import Runs
from scheduler.stores.stored_jobs.repository import HeadMoved, StoredJobs
from scheduler.stores.stored_jobs.tree import JobWrite
from tests.parts.api_alerting import prepare_alerting

JOB, HEARTBEAT, STORED_JOB = "checkout-api", "nightly-backup", "reports-api"
_DEFINITION = {"check": {"url": "https://reports.example.com/health"}, "enabled": False}
_ROUTES_OF_ONE_JOB = (
    *("patch_job", "delete_job", "duplicate_job"),
    *("list_versions", "get_version", "compare_versions"),
)
NEEDS_STORED_JOB: Mapping[str, Sequence[Mapping[str, Any] | None]] = {
    "create_job": [None],
    "put_job": [None],
    **{key: [_DEFINITION] for key in _ROUTES_OF_ONE_JOB},
    "restore_version": [_DEFINITION, None],
}
"""Versions of the stored job that a route's example needs."""
TOKEN = "2fd4e1c67a2d28fced849ee1bb76e739"
DUE = datetime(2026, 11, 28, 9, tzinfo=UTC)
KEY_ID = "k7f3m2qd9x"
SESSION_ID = "9f86d081884c"
LETTER_ID = "20261128T090000.000Z.5f2c1d9b04aa"
EXAMPLE_SECRETS = {
    "SCHEDULER_SECRET_CHECKOUT_TOKEN": "a-token-of-checkout",
    "SCHEDULER_SECRET_NIGHTLY_BACKUP_TOKEN": TOKEN,
}


def api_requests(document: dict[str, Any] | None = None) -> list[RequestExample]:
    """One request a route of the document; without one, of the current routes."""
    return list(request_examples(document or describe_routes("0")))


def example_jobs(target: str) -> dict[str, Any]:
    """The jobs that the examples name; they check `target`."""
    auth = {"kind": "bearer", "token": {"secret": "checkout-token"}}
    return {
        JOB: {
            "schedule": "0 0 4 * * *",
            "check": {"url": f"{target}/health", "auth": auth},
            "retry": {"attempts": 1},
            "circuit": {"consecutive_failures": 5},
            "tags": {"team": "payments"},
            "alerts": [{"open_after": 3}],
            "slo": {"target": 99.9},
        },
        HEARTBEAT: {"check": {"kind": "heartbeat", "token": {"secret": "nightly-backup-token"}, "period": "24h"}},
    }


async def prepare(store: Store, request: RequestExample, now: datetime | None = None) -> None:
    """Store what the request names, such as the queued run, the dead letter, the API key or the incident.

    `now`: of the clock of the API, else of this machine.
    """
    ticket = Ticket.scheduled(JOB, DUE, "dc29db1e9d4c")
    if "{run_id}" in request.template:
        await Runs(store).enqueue(ticket)
    if "{letter_id}" in request.template:
        await DeadLetters(store).add(DeadLetter(LETTER_ID, "the worker process ended 3 times", DUE, ticket))
    if "{key_id}" in request.template:
        await _store_active_key(ApiKeys(store))
    now = now or datetime.now(UTC)
    if "{session_id}" in request.template:
        await _store_session(StoredSessions(store), now)
    await prepare_alerting(store, request, JOB, now)
    if request.operation_id in NEEDS_STORED_JOB:
        await _store_job(StoredJobs(store), NEEDS_STORED_JOB[request.operation_id])


async def _store_job(jobs: StoredJobs, definitions: Sequence[Mapping[str, Any] | None]) -> None:
    """Give the stored job of the examples these versions; None deletes it."""
    for definition in definitions:
        tree = await jobs.read()
        if definition is not None or tree.find_job(STORED_JOB) is not None:
            with suppress(HeadMoved):  # another request has prepared the same
                await jobs.commit(tree, [JobWrite(STORED_JOB, definition)], DUE, "local:test")


async def _store_session(sessions: StoredSessions, now: datetime) -> None:
    ends_at, anna = now + timedelta(days=1), Principal(PrincipalKind.API_KEY, "anna", Role.VIEWER)
    if SESSION_ID not in {session.handle for session in await sessions.list_all(now)}:
        await sessions.insert(Session(f"{expiry_prefix(ends_at)}-{SESSION_ID}", anna, KEY_ID, ends_at, now), now)


async def _store_active_key(keys: ApiKeys) -> None:
    key = ApiKey(KEY_ID, "deploy", Role.OPERATOR, hash_api_key("none"), DUE, "a test")
    stored = next((each for each in await keys.list_keys() if each.key.id == KEY_ID), None)
    await (keys.insert(key) if stored is None else keys.replace(stored, key))
