"""The program behind the API that is fuzzed: embedded on SQLite or Azurite, or in Microsoft's worker on Azurite."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from config.loading import load_configuration
from scheduler.api.app import create_api
from scheduler.hosts.embedded.program import open_embedded_program
from scheduler.identity.api_keys import ApiKey, hash_api_key, parse_api_key
from scheduler.identity.principal import Role
from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.identity import ApiKeys
from scheduler.stores.port import Store
from tests.parts.api_requests import DUE, EXAMPLE_SECRETS, api_requests, example_jobs, prepare
from tests.parts.azurite import Azurite, fresh_prefix
from tests.parts.functions_host import MASTER_KEY
from tests.parts.functions_worker import FunctionsWorker, worker_factory
from tests.parts.fuzzing.bridge import App, LoopThread, Receive, Scope, Send
from tests.parts.http_target import HttpTarget
from tests.scheduler.functions.hosted import Hosted, open_run_queue, write_jobs
from tests.scheduler.functions.hosted import environment as functions_environment

ROOT = Path(__file__).resolve().parents[3]


PLATFORM_METHODS = ("get", "put", "post", "delete", "patch")
"""Methods that reach the program in Azure Functions: no function accepts another one."""
NO_RATE_LIMITS = {f"SCHEDULER_RATE_LIMITS__{name}": "1000000/second" for name in ("READ", "OPERATE", "MANAGE")} | {
    "SCHEDULER_RATE_LIMITS__FAILED_AUTHENTICATION": "1000000/second"
}
"""An answer 429 would hide what the routes do."""
LOOPBACK_TARGETS = {"SCHEDULER_TARGETS__HOSTS": "127.0.0.1,localhost,::1"}
"""A definition in a generated request names any host: the guard denies it before it is resolved."""


@contextmanager
def fuzzed_program(opened: AbstractAsyncContextManager[App]) -> Iterator[App]:
    """Run the program on a loop of its thread; the app can be called from others."""
    stack = AsyncExitStack()
    with LoopThread() as loop:
        app = loop.run(stack.enter_async_context(opened))
        try:
            yield loop.bridge(app)
        finally:
            loop.run(stack.aclose())


def sqlite_store(folder: Path) -> dict[str, str]:
    return {"SCHEDULER_STORE": f"sqlite:///{folder / 'state.db'}"}


def azurite_store(azurite: Azurite) -> dict[str, str]:
    return azurite.settings(fresh_prefix())


@asynccontextmanager
async def embedded_app(folder: Path, store: Mapping[str, str], key: str = "") -> AsyncIterator[App]:
    """The API of the embedded host; runs execute in the same process. `key`: the API key that it requires."""
    own = {"SCHEDULER_ENVIRONMENT": "test", "SCHEDULER_JOBS": str(folder / "jobs")}
    environ = {**NO_RATE_LIMITS, **LOOPBACK_TARGETS, **store, **own}
    if key:
        environ["SCHEDULER_HTTP__AUTHENTICATION"] = "own"
    async with HttpTarget() as target:
        target.on("/health", 200)
        _write_jobs(folder / "jobs", target.url)
        configuration = load_configuration(environ, root=ROOT)
        with environment(EXAMPLE_SECRETS):
            async with open_embedded_program(configuration) as opened:
                for request in api_requests():
                    await prepare(opened.program.store, request)
                if key:
                    await _store_key(opened.program.store, key)
                yield create_api(opened.program)
                await opened.program.worker.drain(0)


async def _store_key(store: Store, key: str) -> None:
    key_id = parse_api_key(key)
    assert key_id is not None
    await ApiKeys(store).insert(ApiKey(key_id, "fuzzing", Role.ADMIN, hash_api_key(key), DUE, "a test"))


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _write_jobs(folder: Path, target: str) -> None:
    folder.mkdir()
    (folder / "jobs.json").write_text(json.dumps({"jobs": example_jobs(target)}))


@asynccontextmanager
async def worker_app(folder: Path, azurite: Azurite) -> AsyncIterator[App]:
    """The API in Microsoft's worker, which needs Python 3.13. What is queued is delivered as the host would."""
    prefix = fresh_prefix()
    async with AsyncExitStack() as stack:
        target = await stack.enter_async_context(HttpTarget())
        target.on("/health", 200)
        write_jobs(folder / "jobs", **example_jobs(target.url))
        queue = await stack.enter_async_context(open_run_queue(azurite.connection_string, prefix))
        settings = functions_environment(azurite.connection_string, prefix, folder / "jobs")
        stack.enter_context(environment({**NO_RATE_LIMITS, **LOOPBACK_TARGETS, **EXAMPLE_SECRETS, **settings}))
        store = await open_azure_tables(connection_string=azurite.connection_string, prefix=prefix)
        stack.push_async_callback(store.aclose)
        for request in api_requests():
            await prepare(store, request)
        worker = await stack.enter_async_context(worker_factory()(ROOT, fresh=("scheduler.hosts.functions",)))
        delivering = asyncio.create_task(_deliver(Hosted(worker, queue, store)))
        stack.push_async_callback(sys.modules["scheduler.hosts.functions"].host.aclose)
        stack.callback(delivering.cancel)
        yield partial(_serve_from_worker, worker)


async def _deliver(hosted: Hosted) -> None:
    """Deliver messages at once, and ticks often enough that health stays ok."""
    while True:
        await hosted.worker.timer("tick")
        for _ in range(400):
            await hosted.deliver()
            await asyncio.sleep(0.05)


async def _serve_from_worker(worker: FunctionsWorker, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    key = headers.pop("x-functions-key", None)
    query = scope["query_string"].decode("latin-1")
    reply = await worker.http(
        scope["method"],
        scope["raw_path"].decode("latin-1") + (f"?{query}" if query else ""),
        key="*" if key == MASTER_KEY else None,
        headers=headers,
        body=(await receive())["body"],
    )
    sent = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": sent})
    await send({"type": "http.response.body", "body": reply.body})
