"""Microsoft's own Python worker (package azure-functions-runtime, Python >= 3.13), driven as the host drives it.

    async def test_...(functions_worker: WorkerFactory) -> None:    # a fixture; the test is marked `worker`
        async with functions_worker(directory) as worker:           # the folder of function_app.py and host.json
            worker.functions                        # by name: Function(bindings, trigger, route, methods, auth_level)
            worker.problems()                       # what the host would refuse: [] is good
            worker.matching("GET", "/api/jobs/a")   # names of all functions that take it; the first gets it
            reply = await worker.http("GET", "/api/jobs?limit=5", key="read")   # key="read": that function's key
            reply.status, reply.headers, reply.body, reply.json(), reply.function, reply.failure
            done = await worker.timer("tick", past_due=True)
            done = await worker.queue("work", "message text", dequeue_count=2)
            done = await worker.event("changed", "Some.Kind", {"Key": "value"})      # Event Grid's own schema
            done.failure                            # None, or the exception's message and trace
            done.outputs                            # {binding: text or bytes}

- Indexing that fails raises IndexingFailed with the worker's reason.
- `fresh=("scheduler.hosts.functions",)`: further modules to import anew, for state that lives in modules.
- Everything runs on the test's own event loop, as in a worker process. Messages are type-strict (worker_messages);
  routing, keys and refusals are played (functions_host). Retries and poison queues are the host's part: not here.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from tests.parts import functions_host, missing, worker_messages
from tests.parts.functions_host import Function
from tests.parts.worker_messages import (
    InvocationRequest,
    InvocationResponse,
    Message,
    ParameterBinding,
    RpcHttp,
    RpcTraceContext,
    StatusResult,
    StreamingMessage,
    TypedData,
    WorkerInitRequest,
)

HOST = "http://localhost:7071"


class IndexingFailed(AssertionError):
    """The worker refused the app: in Azure all of its functions would be missing."""


@dataclass(frozen=True)
class Invocation:
    """How a function ended."""

    failure: str | None
    """Message and stack trace of what it raised."""
    outputs: Mapping[str, str | bytes] = field(default_factory=dict)
    returned: Any = None


@dataclass(frozen=True)
class Reply:
    """What a caller over HTTP would get; header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    function: str | None = None
    """Which function answered; None when the host itself did."""
    failure: str | None = None

    def json(self) -> Any:
        return json.loads(self.body)


class WorkerFactory(Protocol):
    def __call__(self, directory: Path, *, fresh: tuple[str, ...] = ()) -> FunctionsWorker: ...


def worker_factory() -> WorkerFactory:
    """For the fixture `functions_worker`. Skips the test where the worker cannot be had."""
    import pytest

    too_old = sys.version_info < (3, 13)
    if too_old:
        pytest.skip("the worker package needs Python 3.13")
    if importlib.util.find_spec("azure_functions_runtime") is None:
        missing("azure-functions-runtime is not installed")
    return FunctionsWorker


class FunctionsWorker:
    """An app in Microsoft's worker; see the module."""

    def __init__(self, directory: Path, *, fresh: tuple[str, ...] = ()) -> None:
        self.functions: dict[str, Function] = {}
        self.capabilities: Mapping[str, str] = {}
        self._directory = directory
        self._fresh = ("function_app", *fresh)
        host = directory / "host.json"
        self._host: dict[str, Any] = json.loads(host.read_text()) if host.exists() else {}

    async def __aenter__(self) -> Self:
        self._state = _worker_state(self._directory, self._fresh)
        self._state.__enter__()
        try:
            await self._index()
        except BaseException:
            self._state.__exit__(None, None, None)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._state.__exit__(None, None, None)

    def problems(self) -> list[str]:
        return functions_host.problems(list(self.functions.values()), self._host)

    def matching(self, method: str, path: str) -> list[str]:
        return [function.name for function, _ in self._matching(method, path)]

    async def http(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | Mapping[str, Any] | list[Any] = b"",
    ) -> Reply:
        """A request through routing and keys. `key`: whose to send, a function's name, or "*" for the master key."""
        found = self._matching(method, path)
        if not found:
            return Reply(404)
        function, params = found[0]
        key_text = None if key is None else functions_host.MASTER_KEY if key == "*" else self.functions[key].key
        if not functions_host.admits(function, key_text):
            return Reply(401)
        headers = {name.lower(): value for name, value in (headers or {}).items()}
        if key_text is not None:
            headers["x-functions-key"] = key_text
        if isinstance(body, (Mapping, list)):
            headers.setdefault("content-type", "application/json")
            body = json.dumps(body)
        raw = body.encode() if isinstance(body, str) else body
        query = {name: value for name, value in parse_qsl(urlsplit(path).query, keep_blank_values=True) if value}
        request = RpcHttp(
            method=method.upper(),
            url=f"{HOST}{path}",
            headers={"host": urlsplit(HOST).netloc, **headers},
            params=params,
            query=query,
            body=TypedData(bytes=raw) if raw else None,
        )
        response = await self._invoke(function, TypedData(http=request), {})
        return _reply(function, response)

    async def timer(self, name: str, *, past_due: bool = False) -> Invocation:
        now = datetime.now(UTC)
        status = {
            "Last": (now - timedelta(minutes=1)).isoformat(),
            "Next": (now + timedelta(minutes=1)).isoformat(),
            "LastUpdated": now.isoformat(),
        }
        data = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": past_due}
        return _invocation(await self._invoke(self.functions[name], TypedData(json=json.dumps(data)), {}))

    async def queue(
        self, name: str, message: str, *, dequeue_count: int = 1, message_id: str | None = None
    ) -> Invocation:
        now = datetime.now(UTC)
        metadata = {
            "Id": TypedData(string=message_id or str(uuid4())),
            "DequeueCount": TypedData(json=str(dequeue_count)),
            "InsertionTime": TypedData(json=json.dumps(now.isoformat())),
            "ExpirationTime": TypedData(json=json.dumps((now + timedelta(days=7)).isoformat())),
            "NextVisibleTime": TypedData(json=json.dumps((now + timedelta(minutes=10)).isoformat())),
            "PopReceipt": TypedData(string="pop-receipt"),
            "QueueTrigger": TypedData(string=message),
        }
        return _invocation(await self._invoke(self.functions[name], TypedData(string=message), metadata))

    async def event(self, name: str, kind: str, data: Mapping[str, Any]) -> Invocation:
        event = {
            "id": str(uuid4()),
            "topic": "/subscriptions/s/resourceGroups/g/providers/p",
            "subject": "subject",
            "eventType": kind,
            "eventTime": datetime.now(UTC).isoformat(),
            "data": dict(data),
            "dataVersion": "1",
            "metadataVersion": "1",
        }
        return _invocation(await self._invoke(self.functions[name], TypedData(json=json.dumps(event)), {}))

    def _matching(self, method: str, path: str) -> list[tuple[Function, dict[str, str]]]:
        prefix = self._host.get("extensions", {}).get("http", {}).get("routePrefix", "api").strip("/")
        below = urlsplit(path).path.strip("/")
        if prefix and below.lower() != prefix.lower() and not below.lower().startswith(f"{prefix.lower()}/"):
            return []
        return functions_host.matching(list(self.functions.values()), method, below[len(prefix) :])

    async def _index(self) -> None:
        runtime = importlib.import_module("azure_functions_runtime")
        request = WorkerInitRequest(
            host_version="4.1040.0",
            function_app_directory=str(self._directory),
            worker_directory="/azure-functions-host",
        )
        started = await runtime.worker_init_request(_Call(worker_init_request=request))
        _demand(started.result)
        self.capabilities = started.capabilities
        indexed = await runtime.functions_metadata_request(_Call(functions_metadata_request=True))
        _demand(indexed.result)
        for each in indexed.function_metadata_results:
            bindings = tuple(json.loads(binding) for binding in each.raw_bindings)
            self.functions[each.name] = Function(each.name, each.function_id, bindings)
        if not self.functions:
            raise IndexingFailed(f"no function was found in {self._directory / 'function_app.py'}")

    async def _invoke(
        self, function: Function, trigger: TypedData, metadata: Mapping[str, TypedData]
    ) -> InvocationResponse:
        runtime = importlib.import_module("azure_functions_runtime")
        trace = f"00-{uuid4().hex}-{uuid4().hex[:16]}-01"
        request = InvocationRequest(
            invocation_id=str(uuid4()),
            function_id=function.id,
            input_data=[ParameterBinding(name=str(function.trigger["name"]), data=trigger)],
            trigger_metadata=metadata,
            trace_context=RpcTraceContext(trace_parent=trace),
        )
        response: InvocationResponse = await runtime.invocation_request(_Call(invocation_request=request))
        return response


class _Call:
    """The envelope in which the proxy worker hands a request to the package."""

    def __init__(self, **request: Message | bool) -> None:
        self.request = StreamingMessage(request_id=str(uuid4()), **request)
        self.properties = {"host": "127.0.0.1", "protos": worker_messages}


@contextmanager
def _worker_state(directory: Path, fresh: tuple[str, ...]) -> Iterator[None]:
    """The worker's own globals, and ours that indexing changes, as in a new process; put back at the end."""
    runtime = importlib.import_module("azure_functions_runtime")
    path, modules = list(sys.path), {name: sys.modules.pop(name, None) for name in fresh}
    _reset(runtime)
    importlib.invalidate_caches()
    sys.path.insert(0, str(directory))
    runtime.start_threadpool_executor()
    try:
        yield
    finally:
        runtime.stop_threadpool_executor()
        sys.path[:] = path
        for name, module in modules.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


def _reset(runtime: Any) -> None:
    handle_event, functions = runtime.handle_event, runtime.functions
    handle_event._functions, handle_event._metadata_result = functions.Registry(), None
    telemetry = runtime.otel.otel_manager
    telemetry.set_azure_monitor_available(False)
    telemetry.set_otel_libs_available(False)
    telemetry.set_context_api(None)
    telemetry.set_trace_context_propagator(None)


def _demand(result: StatusResult) -> None:
    if result.status != StatusResult.Success:
        raise IndexingFailed(f"{result.exception.message}\n{result.exception.stack_trace}")


def _failure(response: InvocationResponse) -> str | None:
    if response.result.status == StatusResult.Success:
        return None
    return f"{response.result.exception.message}\n{response.result.exception.stack_trace}"


def _value(data: TypedData) -> Any:
    kind = data.WhichOneof("data")
    return None if kind is None else getattr(data, kind)


def _invocation(response: InvocationResponse) -> Invocation:
    outputs = {each.name: _value(each.data) for each in response.output_data}
    return Invocation(_failure(response), outputs, _value(response.return_value))


def _reply(function: Function, response: InvocationResponse) -> Reply:
    failure = _failure(response)
    if failure is not None:
        return Reply(500, function=function.name, failure=failure)
    value = _value(response.return_value)
    if not isinstance(value, RpcHttp):
        text = value if isinstance(value, str) else ""
        return Reply(200, {"content-type": "text/plain; charset=utf-8"}, text.encode(), function.name)
    body = _value(value.body) or b""
    headers = {name.lower(): text for name, text in value.headers.items()}
    cookies = [f"{each.name}={each.value}" for each in value.cookies]
    if cookies:
        headers["set-cookie"] = "\n".join(cookies)
    return Reply(int(value.status_code), headers, body.encode() if isinstance(body, str) else body, function.name)
