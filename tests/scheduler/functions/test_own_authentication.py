"""The Functions host that authenticates callers itself: anonymous for the platform, closed without a key."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from scheduler.features.access.service import ApiKeyManager, NewKey
from scheduler.identity.principal import Role
from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.identity import ApiKeys
from tests.config.clock import ManualClock
from tests.parts.azurite import Azurite
from tests.parts.functions_worker import FunctionsWorker, WorkerFactory
from tests.scheduler.audit.memory_trail import COMMAND_CALLER, MemoryAuditTrail
from tests.scheduler.functions.hosted import ROOT, RunQueue, environment

pytestmark = [pytest.mark.worker, pytest.mark.azurite]
OpenWorker = Callable[[], AbstractAsyncContextManager[FunctionsWorker]]


@pytest.fixture
def own_worker(
    functions_worker: WorkerFactory,
    azurite: Azurite,
    storage_prefix: str,
    queue: RunQueue,
    jobs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> OpenWorker:
    own = {"SCHEDULER_HTTP__AUTHENTICATION": "own"}
    for name, value in (environment(azurite.connection_string, storage_prefix, jobs) | own).items():
        monkeypatch.setenv(name, value)

    @asynccontextmanager
    async def opened() -> AsyncIterator[FunctionsWorker]:
        async with functions_worker(ROOT, fresh=("scheduler.hosts.functions",)) as worker:
            yield worker
            await sys.modules["scheduler.hosts.functions"].host.aclose()

    return opened


@pytest.fixture
async def keys(azurite: Azurite, storage_prefix: str) -> AsyncIterator[dict[str, str]]:
    """Keys of each role by name, and one of another team."""
    store = await open_azure_tables(connection_string=azurite.connection_string, prefix=storage_prefix)
    manager = ApiKeyManager(ApiKeys(store), MemoryAuditTrail(), ManualClock())
    texts = {role.value: (await manager.create(NewKey(role.value, role), COMMAND_CALLER)).key for role in Role}
    other = NewKey("other", Role.ADMIN, (("team", "other"),))
    yield texts | {"other": (await manager.create(other, COMMAND_CALLER)).key}
    await store.aclose()


CELLS = [
    ("GET", "/api/jobs", {"": 401, "viewer": 200, "operator": 200, "admin": 200, "other": 200}),
    ("GET", "/api/jobs/checkout", {"": 401, "viewer": 200, "other": 404}),
    ("POST", "/api/jobs/checkout/pause", {"": 401, "viewer": 403, "operator": 200, "other": 404}),
    ("GET", "/api/keys", {"": 401, "viewer": 403, "operator": 403, "admin": 200}),
    ("DELETE", "/api/dead-letters/20260301T120000.000Z.000000000001", {"": 401, "operator": 403, "admin": 404}),
    ("GET", "/api/status", {"": 401, "viewer": 200, "other": 403}),
    ("GET", "/api/health", {"": 200, "viewer": 200}),
    ("GET", "/api/nothing", {"": 401, "viewer": 404}),
]


async def test_every_function_is_anonymous_and_the_program_decides(
    own_worker: OpenWorker, keys: dict[str, str]
) -> None:
    async with own_worker() as worker:
        levels = {function.auth_level for function in worker.functions.values() if function.is_http}
        found = {
            (method, path, name): (
                await worker.http(method, path, headers={"x-api-key": keys[name]} if name else {})
            ).status
            for method, path, cells in CELLS
            for name in cells
        }
        forged = await worker.http("GET", "/api/jobs", headers={"x-ms-client-principal": "e30="})

    assert levels == {"anonymous"}
    assert found == {(method, path, name): cell for method, path, cells in CELLS for name, cell in cells.items()}
    assert forged.status == 401


@pytest.mark.parametrize("name", ["AzureWebJobs.tick.Disabled", "AzureWebJobs_tick_Disabled"])
async def test_a_slot_or_revision_out_of_service_is_ready_without_keys_in_its_store(
    own_worker: OpenWorker, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "true")
    async with own_worker() as worker:
        replies = [await worker.http("GET", path) for path in ("/api/health/ready", "/api/jobs")]

    assert [reply.status for reply in replies] == [200, 401]


async def test_without_an_identity_nothing_is_served_and_the_cause_is_in_the_log_alone(
    own_worker: OpenWorker, caplog: pytest.LogCaptureFixture
) -> None:
    async with own_worker() as worker:
        replies = [await worker.http("GET", path) for path in ("/api/health", "/api/status", "/api/jobs")]

    assert [reply.status for reply in replies] == [503, 503, 503]
    for reply in replies:
        assert "keys create" not in reply.body.decode()
        assert "log" in reply.json()["detail"]
