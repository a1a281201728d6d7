"""HTTP requests to a FunctionsHost as its HTTP functions hand them over, without the worker."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import azure.functions as func

from scheduler.hosts.functions.triggers import FunctionsHost


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


async def ask(host: FunctionsHost, method: str, path: str) -> Answered:
    response = await host.handle_http(func.HttpRequest(method=method, url=f"http://localhost{path}", body=b""), None)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answered(response.status_code, headers, response.get_body())
