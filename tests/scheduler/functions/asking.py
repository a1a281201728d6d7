"""HTTP requests to a FunctionsHost as its HTTP functions hand them over, without the worker."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import azure.functions as func

from scheduler.hosts.functions.triggers import FunctionsHost
from tests.parts.http_functions import find_http_function


@dataclass(frozen=True)
class InvokedFunction:
    """What the API reads of the context of an invocation."""

    function_name: str
    function_directory: str = ""
    invocation_id: str = "an-invocation"
    thread_local_storage: None = None
    trace_context: None = None
    retry_context: None = None


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


async def ask(host: FunctionsHost, method: str, path: str) -> Answered:
    function = find_http_function(method, path.partition("?")[0])
    context = None if function is None else InvokedFunction(function.name)
    request = func.HttpRequest(method=method, url=f"http://localhost{path}", body=b"")
    response = await host.handle_http(request, context)  # type: ignore[arg-type]
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answered(response.status_code, headers, response.get_body())
