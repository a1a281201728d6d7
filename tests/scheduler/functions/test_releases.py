"""A pipeline's plan, deploy, verify and rollback against Microsoft's worker, with each kind of authentication.

Azure and time are played (tests.pipeline.azure.world). Each request goes through the routing and the keys of the host
to the program in the worker, whose runs pass a queue in Azurite.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from delivery.app.api import AccessRefused, AppKeys
from delivery.app.http import Response
from delivery.context import Context
from delivery.deploy import deploy
from delivery.environment import KeyVariables
from delivery.errors import UnusableInput
from delivery.rollback import roll_back_to_record
from delivery.status import print_status
from delivery.verify import verify
from scheduler.features.access.service import ApiKeyManager, NewKey
from scheduler.identity.principal import Role
from scheduler.stores.azure.opening import open_azure_tables
from scheduler.stores.identity import ApiKeys
from tests.config.clock import ManualClock
from tests.parts.azurite import Azurite
from tests.parts.functions_worker import FunctionsWorker, WorkerFactory
from tests.parts.http_target import HttpTarget
from tests.parts.proc import free_port
from tests.pipeline.azure.world import NEW, OLD, Behaviour
from tests.pipeline.released import Asked, ServedWorld, open_front, plan_step, serve_first_release
from tests.scheduler.audit.memory_trail import COMMAND_CALLER, MemoryAuditTrail
from tests.scheduler.functions.hosted import ROOT, RunQueue, environment, write_jobs

pytestmark = [pytest.mark.worker, pytest.mark.azurite]

THIRD = NEW.replace("1" * 64, "2" * 64)
KINDS = ("own", "function_keys")
PLATFORMS = ("functions", "container-apps")


class ServedWorker:
    """The worker for the thread of the scripts. `used`: the functions that answered other than with 401."""

    def __init__(self, worker: FunctionsWorker) -> None:
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self.used: set[str] = set()

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        return asyncio.run_coroutine_threadsafe(self._ask(method, target, headers, body), self._loop).result(60)

    async def _ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        sent = {name.lower(): value for name, value in headers.items()}
        function = sent.pop("x-functions-key", "").removeprefix("key-of-")
        key = function if function in self._worker.functions else None
        reply = await self._worker.http(method, target, key=key, headers=sent, body=body)
        if reply.status != 401:
            self.used.add(self._worker.matching(method, target.partition("?")[0])[0])
        return Response(reply.status, reply.body)


class Setting(NamedTuple):
    """A running worker and the keys of a pipeline for it: `plan` has no second key with own authentication."""

    worker: ServedWorker
    header: str
    keys: AppKeys

    def context(self, world: ServedWorld) -> Context:
        context = world.context(self.keys)
        return replace(context, environment=replace(context.environment, keys=KeyVariables(self.header)))

    def plan_context(self, world: ServedWorld) -> Context:
        context = self.context(world)
        return context if self.header == "x-functions-key" else replace(context, keys=replace(self.keys, operate=""))


@pytest.fixture(params=KINDS)
async def setting(
    request: pytest.FixtureRequest,
    functions_worker: WorkerFactory,
    azurite: Azurite,
    storage_prefix: str,
    queue: RunQueue,
    target: HttpTarget,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Setting]:
    jobs = write_jobs(tmp_path / "served", canary={"check": {"url": f"{target.url}/health"}}).parent
    variables = environment(azurite.connection_string, storage_prefix, jobs)
    store = await open_azure_tables(connection_string=azurite.connection_string, prefix=storage_prefix)
    manager = ApiKeyManager(ApiKeys(store), MemoryAuditTrail(), ManualClock())
    own = [
        (await manager.create(NewKey(role.value, role), COMMAND_CALLER)).key for role in (Role.VIEWER, Role.OPERATOR)
    ]
    header, keys = (
        ("X-API-Key", own) if request.param == "own" else ("x-functions-key", ["key-of-read", "key-of-operate"])
    )
    variables |= {"SCHEDULER_HTTP__AUTHENTICATION": request.param}
    variables |= dict(zip(("DEPLOY_READ_KEY", "DEPLOY_OPERATE_KEY"), keys, strict=True))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if request.param == "own":  # a plan of the pipeline has no other key
        monkeypatch.delenv("DEPLOY_OPERATE_KEY")
    async with functions_worker(ROOT, fresh=("scheduler.hosts.functions",)) as worker, delivering(worker, queue):
        await worker.timer("tick")
        yield Setting(ServedWorker(worker), header, AppKeys(header, *keys))
        await sys.modules["scheduler.hosts.functions"].host.aclose()
    await store.aclose()


@asynccontextmanager
async def delivering(worker: FunctionsWorker, queue: RunQueue) -> AsyncIterator[None]:
    """Hand over what is on the queue, as the host does."""

    async def deliver() -> None:
        while True:
            for message in await queue.take_when_visible():
                done = await worker.queue("work", message.content, dequeue_count=message.dequeue_count or 1)
                assert done.failure is None
                await queue.delete(message)

    task = asyncio.create_task(deliver())
    yield
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
def working_copy(tmp_path: Path) -> Path:
    """Job files that add a job, and change the alerts of another one, so that a plan sends each of its requests."""
    canary = {"check": {"url": "http://127.0.0.1:9/"}, "alerts": [{"open_after": 1}]}
    return write_jobs(tmp_path / "copy", canary=canary, new={"check": {"url": "http://127.0.0.1:9/"}})


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_pipeline_releases_to_an_app_that_never_answered_and_rolls_the_next_release_back(
    platform: str, setting: Setting, working_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = {OLD: Behaviour("none", starts=False), NEW: Behaviour("1"), THIRD: Behaviour("2")}
    world = ServedWorld(platform, images=images, served={"1": setting.worker, "2": setting.worker})
    first, second, report = tmp_path / "first.json", tmp_path / "second.json", tmp_path / "plan.md"
    invalid = tmp_path / "invalid.json"
    invalid.write_text('{"jobs": {"shop": {"chek": {}}}}', encoding="utf-8")
    nobody = f"http://127.0.0.1:{free_port()}"

    def steps() -> None:
        context, plans = setting.context(world), setting.plan_context(world)
        assert plan_step(plans, nobody, working_copy, report) == "### Plan of the job files: not available"
        with pytest.raises(UnusableInput, match="chek"):
            plan_step(plans, nobody, invalid, report)
        deploy(context, NEW, "1", first)
        verify(context, "1", first)
        with open_front([setting.worker]) as url:
            title = "### Plan of the job files: 1 added, 1 changed, 0 unchanged"
            assert plan_step(plans, url, working_copy, report) == title
        assert "was not replayed" not in report.read_text(encoding="utf-8")
        deploy(context, THIRD, "2", second)
        verify(context, "2", second)
        roll_back_to_record(context, second)
        assert world.serving_version() == "1"
        print_status(context, as_json=True)

    await asyncio.to_thread(steps)
    assert setting.worker.used == {"health", "read", "operate"}
    status = json.loads(capsys.readouterr().out)
    assert (status["last_tick"] != "", {one["version"] for one in status["deployed"]} >= {"1"}) == (True, True)


@pytest.mark.parametrize("setting", ["function_keys"], indirect=True)
@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_pipeline_releases_over_the_first_release_and_back(
    platform: str, setting: Setting, working_copy: Path, tmp_path: Path
) -> None:
    """0.1.0 has no keys of its own: it is upgraded with function keys, and the authentication is changed after that."""
    async with serve_first_release(tmp_path) as old:
        images = {OLD: Behaviour("0.1.0"), NEW: Behaviour("1")}
        served: dict[str, Asked] = {"0.1.0": old, "1": setting.worker}
        world = ServedWorld(platform, images=images, served=served)
        record, report = tmp_path / "record.json", tmp_path / "plan.md"

        def steps() -> None:
            context = setting.context(world)
            with open_front([old]) as url:
                assert plan_step(context, url, working_copy, report) == "### Plan of the job files: not available"
            deploy(context, NEW, "1", record)
            verify(context, "1", record)
            roll_back_to_record(context, record)
            assert world.serving_version() == "0.1.0"

        await asyncio.to_thread(steps)
    assert setting.worker.used == {"health", "read", "operate"}


REFUSED: dict[str, Callable[[Setting], AppKeys]] = {
    "unknown": lambda setting: replace(setting.keys, read="sch_k7f3m2qd9x_wrong"),
    "read for operate": lambda setting: replace(setting.keys, operate=setting.keys.read),
}


@pytest.mark.parametrize("wrong", REFUSED)
async def test_a_deployment_with_a_refused_key_changes_nothing(setting: Setting, wrong: str, tmp_path: Path) -> None:
    images = {OLD: Behaviour("1"), NEW: Behaviour("2")}
    world = ServedWorld("functions", images=images, served={"1": setting.worker, "2": setting.worker})
    context = setting.context(world)
    context = replace(context, keys=REFUSED[wrong](setting))

    with pytest.raises(AccessRefused, match="the key is missing or lacks the scope"):
        await asyncio.to_thread(deploy, context, NEW, "2", tmp_path / "record.json")

    assert not (tmp_path / "record.json").exists()
    assert [one for one in world.commands if "show" not in one and "list" not in one] == []
