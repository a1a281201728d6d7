"""Azure Resource Manager on loopback: it stores resources, with etags, and adds fields.

with arm_server() as arm:
    arm.url, arm.valid_tokens                       # TOKEN by default
    arm.resources                                   # by path; the component COMPONENT exists
    arm.writes()                                    # ["PUT name", ...] since the last call
    arm.scripted["PUT"] = [ScriptedAnswer(429, headers={"Retry-After": "1"})]   # the next answers, once each
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.parts.http_server import Answer, Request
from tests.parts.threaded_server import serve_in_thread

TOKEN = "arm-token"

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/Shop"
COMPONENT = f"{GROUP}/providers/Microsoft.Insights/components/telemetry"


@dataclass
class ScriptedAnswer:
    """What is answered instead of the usual, once."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class ArmRequest:
    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


class ArmServer:
    """`resources`: by path. `scripted`: answers of the next requests of a method."""

    def __init__(self) -> None:
        self.url = ""
        self.resources: dict[str, dict[str, Any]] = {}
        self.requests: list[ArmRequest] = []
        self.scripted: dict[str, list[ScriptedAnswer]] = {}
        self.valid_tokens = {TOKEN}

    def writes(self) -> list[str]:
        """Return methods and names of what was written, in order, and forget the requests."""
        found = [f"{each.method} {each.path.rpartition('/')[2]}" for each in self.requests if each.method != "GET"]
        self.requests.clear()
        return found

    def answer(self, request: ArmRequest) -> ScriptedAnswer:
        self.requests.append(request)
        if request.headers.get("authorization") not in {f"Bearer {token}" for token in self.valid_tokens}:
            return _make_error(401, "InvalidAuthenticationToken", "The token has expired")
        if self.scripted.get(request.method):
            return self.scripted[request.method].pop(0)
        if request.path.startswith("/operations/"):
            return ScriptedAnswer(200, {"status": "Succeeded"})
        if not request.query.get("api-version"):
            return _make_error(400, "MissingApiVersionParameter", "The api-version is missing")
        return self._answer_resource(request)

    def _answer_resource(self, request: ArmRequest) -> ScriptedAnswer:
        stored = self.resources.get(request.path)
        if request.method == "GET":
            found = _strip_content(stored, request) if stored else None
            return ScriptedAnswer(200, found) if found else _make_error(404, "ResourceNotFound", "It does not exist")
        if request.method == "DELETE":
            return ScriptedAnswer(200 if self.resources.pop(request.path, None) else 204)
        expected = request.headers.get("if-match")
        if expected and (stored is None or stored["etag"] != expected):
            return _make_error(412, "PreconditionFailed", "The etag differs")
        self.resources[request.path] = self._store(request)
        return ScriptedAnswer(200 if stored else 201, self.resources[request.path])

    def _store(self, request: ArmRequest) -> dict[str, Any]:
        """Return a resource as Azure stores it: with added fields, and ids in another case."""
        number = len(self.requests)
        properties = {
            **request.body["properties"],
            "timeModified": f"2031-01-01T00:00:{number:02}Z",
            "revision": number,
        }
        if "scopes" in properties:
            properties["scopes"] = [scope.lower() for scope in properties["scopes"]]
            properties["targetResourceTypes"] = ["microsoft.insights/components"]
        own = {"id": request.path, "name": request.path.rpartition("/")[2], "etag": f'"{number}"', "systemData": {}}
        return {**request.body, **own, "type": "microsoft.insights/x", "properties": properties}


def _strip_content(resource: dict[str, Any], request: ArmRequest) -> dict[str, Any]:
    """Return the resource without the content of a workbook, unless the request demands it."""
    if request.query.get("canFetchContent") == "true":
        return resource
    visible = {key: value for key, value in resource["properties"].items() if key != "serializedData"}
    return {**resource, "properties": visible}


def _make_error(status: int, code: str, message: str) -> ScriptedAnswer:
    return ScriptedAnswer(status, {"error": {"code": code, "message": message}})


@contextmanager
def arm_server() -> Iterator[ArmServer]:
    state = ArmServer()
    state.resources[COMPONENT] = {"id": COMPONENT, "location": "westeurope", "properties": {}}

    def answer(request: Request) -> Answer:
        path, body = request.target.partition("?")[0], request.json() if request.body else None
        found = state.answer(ArmRequest(request.method, path, request.query, body, dict(request.headers)))
        return Answer(found.status, found.headers, json.dumps(found.body).encode())

    with serve_in_thread(answer) as state.url:
        yield state
