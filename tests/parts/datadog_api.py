"""Datadog's API on loopback: dashboards, monitors and SLOs.

    with running_datadog() as datadog:
        datadog.url, datadog.api_key, datadog.app_key
        datadog.stored["monitor"]           # by id, as stored; a test changes them as a person does
        datadog.writes                      # method and path of each write
        datadog.answer_with = 403           # from now on
        datadog.limited = 2                 # the next two requests get 429, with datadog.reset as the wait

As Datadog does, it adds ids, times, defaults and ids of widgets, and wraps SLOs in `data`. It refuses an unknown type
of monitors, and to delete an SLO that a monitor uses (409).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.parts.http_server import Answer, Request
from tests.parts.threaded_server import serve_in_thread

_MONITOR_TYPES = {"query alert", "service check", "slo alert"}


class DatadogStore:
    """What it stores. `url`: without a slash at the end."""

    def __init__(self) -> None:
        self.url = ""
        self.api_key, self.app_key = "canary-api-key", "canary-app-key"
        self.stored: dict[str, dict[str, dict[str, Any]]] = {"dashboard": {}, "monitor": {}, "slo": {}}
        self.writes: list[str] = []
        self.answer_with: int | None = None
        self.limited = 0
        self.reset = "0"
        self._numbers = itertools.count(101)

    def answer(self, method: str, target: str, keys: tuple[str, str], body: Any) -> tuple[int, Any]:
        if self.limited:
            self.limited -= 1
            return 429, {"errors": ["Rate limit of requests exceeded"]}
        if self.answer_with is not None:
            return self.answer_with, {"errors": [f"refused {keys[0]} {keys[1]}"]}
        if keys != (self.api_key, self.app_key):
            return 403, {"errors": ["Forbidden"]}
        url = urlsplit(target)
        _, _, _, kind, *rest = url.path.split("/")
        stored = self.stored[kind]
        query = parse_qs(url.query)
        if method == "GET" and not rest:
            return 200, self._list(kind, query)
        if method == "POST":
            self.writes.append(f"POST {kind}")
            return self._write(kind, self._new_id(kind), body)
        if rest[0] not in stored:
            return 404, {"errors": ["not found"]}
        if method == "GET":
            return 200, _wrap(kind, stored[rest[0]], in_list=False)
        self.writes.append(f"{method} {kind}")
        if method == "DELETE":
            used = kind == "slo" and any(rest[0] in one["query"] for one in self.stored["monitor"].values())
            return (409, {"errors": ["it is used"]}) if used else (200, {"deleted": stored.pop(rest[0])["id"]})
        return self._write(kind, rest[0], body)

    def _new_id(self, kind: str) -> str:
        number = next(self._numbers)
        return str(number) if kind == "monitor" else f"{kind}-{number}"

    def _list(self, kind: str, query: dict[str, list[str]]) -> Any:
        if kind == "dashboard":
            return {
                "dashboards": [
                    {key: one[key] for key in ("id", "title", "description")} for one in self.stored[kind].values()
                ]
            }
        tag = (query.get("monitor_tags") or query.get("tags_query") or [""])[0]
        found = [one for one in self.stored[kind].values() if tag in one["tags"]]
        return {"data": found} if kind == "slo" else found

    def _write(self, kind: str, tool_id: str, body: Any) -> tuple[int, Any]:
        if kind == "monitor" and body["type"] not in _MONITOR_TYPES:
            return 400, {"errors": ["The value provided for parameter 'type' is invalid"]}
        found: dict[str, Any] = {**body, "id": int(tool_id) if kind == "monitor" else tool_id, "created_at": 1}
        if kind == "monitor":
            found["options"] = {"new_host_delay": 300, "silenced": {}, **body["options"]}
            found |= {"overall_state": "No Data", "of_a_newer_api": True}
        for widget in body.get("widgets", ()):
            widget.setdefault("id", next(self._numbers))
        self.stored[kind][tool_id] = found
        return 200, _wrap(kind, found, in_list=True)


def _wrap(kind: str, value: Any, *, in_list: bool) -> Any:
    if kind != "slo":
        return value
    return {"data": [value] if in_list else value, "errors": []}


@contextmanager
def running_datadog() -> Iterator[DatadogStore]:
    """Serve it in a thread until the end of the block."""
    datadog = DatadogStore()

    def answer(request: Request) -> Answer:
        keys = request.headers.get("dd-api-key", ""), request.headers.get("dd-application-key", "")
        body = request.json() if request.body else None
        status, value = datadog.answer(request.method, request.target, keys, body)
        headers = {"X-RateLimit-Reset": datadog.reset} if status == 429 else {}
        return Answer.of_json(value, status, **headers)

    with serve_in_thread(answer) as datadog.url:
        yield datadog
