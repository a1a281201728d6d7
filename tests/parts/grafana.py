"""Grafana's HTTP API on loopback: dashboards, their versions, and folders.

    with running_grafana() as grafana:
        grafana.url, grafana.token
        grafana.dashboards                  # by uid, as stored; a test changes them as a person does
        grafana.saved                       # uids, in the order of writes
        grafana.answer_with = 403           # from now on

As Grafana does, it adds an id, counts versions, and refuses a write with another version than the stored one (412).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.parts.http_server import Answer, Request
from tests.parts.threaded_server import serve_in_thread


class Grafana:
    """What it stores. `url`: without a slash at the end."""

    def __init__(self) -> None:
        self.url = ""
        self.token = "glsa_canary-token"
        self.dashboards: dict[str, dict[str, Any]] = {}
        self.folders: dict[str, dict[str, Any]] = {}
        self.saved: list[str] = []
        self.answer_with: int | None = None

    def answer(self, method: str, path: str, authorization: str, body: Any) -> tuple[int, Any]:
        if self.answer_with is not None:
            return self.answer_with, {"message": f"refused {authorization}"}
        if authorization != f"Bearer {self.token}":
            return 401, {"message": "Invalid API key"}
        kind, _, uid = path.removeprefix("/api/").rpartition("/")
        if (method, path) == ("POST", "/api/dashboards/db"):
            return self._save(body)
        if (method, path) == ("POST", "/api/folders"):
            return 200, self.folders.setdefault(body["uid"], body)
        stored = {"dashboards/uid": self.dashboards, "folders": self.folders}[kind]
        if uid not in stored:
            return 404, {"message": "not found"}
        if method == "DELETE":
            del stored[uid]
            return 200, {"message": "deleted"}
        return 200, {"dashboard": stored[uid], "meta": {}} if kind == "dashboards/uid" else stored[uid]

    def _save(self, body: Any) -> tuple[int, Any]:
        written = body["dashboard"]
        if body["folderUid"] not in self.folders:
            return 400, {"message": "folder not found"}
        stored = self.dashboards.get(written["uid"])
        version = 0 if stored is None else stored["version"]
        if written["version"] != version and not body["overwrite"]:
            return 412, {"message": "The dashboard has been changed by someone else"}
        number = 1 + len(self.dashboards) if stored is None else stored["id"]
        self.dashboards[written["uid"]] = {**written, "id": number, "version": version + 1}
        self.saved.append(written["uid"])
        return 200, {"uid": written["uid"], "version": version + 1, "status": "success"}


@contextmanager
def running_grafana() -> Iterator[Grafana]:
    """Serve it in a thread until the end of the block."""
    grafana = Grafana()

    def answer(request: Request) -> Answer:
        body = request.json() if request.body else None
        status, value = grafana.answer(request.method, request.target, request.headers.get("authorization", ""), body)
        headers = {"Retry-After": "7"} if status == 429 else {}
        return Answer.of_json(value, status, **headers)

    with serve_in_thread(answer) as grafana.url:
        yield grafana
