"""Datadog's intake on loopback: v2 series, v2 logs, v1 check runs, v1 distribution points, v1 events.

    async with DatadogIntake() as datadog:              # (api_key="...", now=clock) for another key or virtual time
        configuration.host = datadog.url                # covers every endpoint of datadog_api_client
        configuration.api_key["apiKeyAuth"] = datadog.api_key
        datadog.series, datadog.logs, datadog.checks, datadog.distributions, datadog.events  # entries in order
        datadog.refused                                 # why payloads were refused

It refuses what Datadog refuses: a wrong key 403, too large 413, wrong fields, points out of the window and unknown
types 400. A partly wrong payload is refused as a whole.
"""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tests.parts.http_server import Answer, Request
from tests.parts.service import Service

Entry = dict[str, Any]

HOUR, MINUTE = 3600, 60

_INFLATE: Mapping[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}
_WIRE_LIMIT = {"/api/v2/series": 500_000}
_LIMIT = 5_000_000


class DatadogIntake(Service):
    """Keeps every entry it accepts."""

    def __init__(self, *, api_key: str = "datadog-api-key", now: Callable[[], float] = time.time) -> None:
        """`now`: seconds since the epoch, for the age of points."""
        super().__init__()
        self.api_key = api_key
        self.series: list[Entry] = []
        self.logs: list[Entry] = []
        self.checks: list[Entry] = []
        self.distributions: list[Entry] = []
        self.events: list[Entry] = []
        self.refused: list[str] = []
        self._now = now
        self._intakes: Mapping[str, tuple[list[Entry], Callable[[Any], Iterable[str]], Answer]] = {
            "/api/v2/series": (self.series, self._series_problems, Answer.of_json({"errors": []}, 202)),
            "/api/v2/logs": (self.logs, self._log_problems, Answer.of_json({}, 202)),
            "/api/v1/check_run": (self.checks, self._check_problems, Answer.of_json({"status": "ok"}, 202)),
            "/api/v1/events": (self.events, self._event_problems, Answer.of_json({"status": "ok"}, 202)),
            "/api/v1/distribution_points": (
                self.distributions,
                self._distribution_problems,
                Answer.of_json({"status": "ok"}, 202),
            ),
        }

    def handle(self, request: Request) -> Answer:
        if request.path not in self._intakes or request.method != "POST":
            return Answer.of_json({"errors": ["Not found"]}, 404)
        if request.headers.get("dd-api-key") != self.api_key:
            return self._refuse(403, "Forbidden")
        body = _INFLATE.get(request.headers.get("content-encoding", ""), bytes)(request.body)
        if len(request.body) > _WIRE_LIMIT.get(request.path, _LIMIT) or len(body) > _LIMIT:
            return self._refuse(413, "Payload too large")
        stored, problems_of, accepted = self._intakes[request.path]
        entries = _entries(json.loads(body))
        problems = list(problems_of(entries))
        if problems:
            return self._refuse(400, *problems)
        stored += entries
        return accepted

    def _refuse(self, status: int, *problems: str) -> Answer:
        self.refused += problems
        return Answer.of_json({"errors": list(problems)}, status)

    def _age_problem(self, what: str, at: float, oldest: float) -> Iterator[str]:
        if not self._now() - oldest <= at <= self._now() + 10 * MINUTE:
            yield f"{what}: timestamp {at} is out of the window"

    def _series_problems(self, entries: list[Entry]) -> Iterator[str]:
        for entry in entries:
            metric = entry.get("metric")
            if not metric or not entry.get("points"):
                yield "metric and points are required"
                continue
            if entry.get("type", 0) not in (0, 1, 2, 3):
                yield f"{metric}: unknown type {entry['type']!r}"
            if entry.get("type") in (1, 2) and not entry.get("interval"):
                yield f"{metric}: a count or a rate needs an interval"
            yield from _tag_problems(metric, entry.get("tags", []))
            for point in entry["points"]:
                if not isinstance(point.get("value"), (int, float)):
                    yield f"{metric}: a point's value must be a number"
                yield from self._age_problem(metric, point.get("timestamp", 0), HOUR)

    def _distribution_problems(self, entries: list[Entry]) -> Iterator[str]:
        for entry in entries:
            metric = entry.get("metric", "")
            yield from _tag_problems(metric, entry.get("tags", []))
            for at, values in entry.get("points", []):
                if not isinstance(values, list):
                    yield f"{metric}: a distribution point has a list of values"
                yield from self._age_problem(metric, at, HOUR)

    def _log_problems(self, entries: list[Entry]) -> Iterator[str]:
        if len(entries) > 1000:
            yield "more than 1000 logs in one call"
        for entry in entries:
            if not isinstance(entry.get("message"), str):
                yield "a log needs a message"
            if len(json.dumps(entry)) > 1_000_000:
                yield "a log is larger than 1 MB"

    def _event_problems(self, entries: list[Entry]) -> Iterator[str]:
        for entry in entries:
            if not entry.get("title") or not isinstance(entry.get("text"), str):
                yield "an event needs a title and a text"
            if len(entry.get("text", "")) > 4000 or len(entry.get("aggregation_key", "")) > 100:
                yield "a text has at most 4000 characters, an aggregation key 100"
            if entry.get("alert_type", "info") not in ("error", "warning", "info", "success"):
                yield f"unknown alert type {entry['alert_type']!r}"
            yield from _tag_problems("event", entry.get("tags", []))
            yield from self._age_problem("event", entry.get("date_happened", self._now()), 18 * HOUR)

    def _check_problems(self, entries: list[Entry]) -> Iterator[str]:
        for entry in entries:
            name = entry.get("check")
            if not name or "host_name" not in entry or not isinstance(entry.get("tags"), list):
                yield "check, host_name, status and tags are required"
                continue
            if entry.get("status") not in (0, 1, 2, 3):
                yield f"{name}: unknown status {entry.get('status')!r}"
            yield from _tag_problems(name, entry["tags"])
            if "timestamp" in entry:
                yield from self._age_problem(name, entry["timestamp"], 10 * MINUTE)


def _entries(payload: Any) -> list[Entry]:
    """Series come as {"series": [...]}, the rest as a list; a single log or check may come alone."""
    if isinstance(payload, dict):
        payload = payload.get("series", [payload])
    return list(payload)


def _tag_problems(what: str, tags: list[str]) -> Iterator[str]:
    for tag in tags:
        if not isinstance(tag, str) or not tag or len(tag) > 200:
            yield f"{what}: a tag is a text of at most 200 characters, not {tag!r}"
