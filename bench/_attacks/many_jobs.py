"""One client stores tens of thousands of jobs, whose metrics, statistics and exports all others wait for."""

from __future__ import annotations

import gzip
import json
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar

from bench._attacks.harness import Attack, Scene
from bench._parts import get_json, percentile

JOBS_OF_SET, SETS = 4000, 8
SETTLES, MEASURED = 10.0, 40.0
"""Seconds after the last set, and of each of the two measurements."""
SCRAPE_INTERVAL = 10.0
MAX_SCRAPE = 10.0
"""Seconds after which Prometheus gives up by default."""
MAX_FACTOR = 1.2
NOISE = 10.0
"""Milliseconds that two measurements of the same program differ by on a machine that does other work."""
_HEALTHY = 20
_PART = 1_000_000
"""Bytes that are read at a time."""


class ManyJobs(Attack):
    """32,000 jobs are stored, and clients scrape their metrics and request their statistics and exports."""

    name = "many-jobs"
    seconds = 20
    environ: ClassVar = {
        "SCHEDULER_STORED_JOBS__LIMIT": str(JOBS_OF_SET * SETS),
        "SCHEDULER_LOG__LEVEL": "warning",
    }
    always_ready = False
    """Only while the metrics are scraped: the sets of 4,000 jobs are not what this attack measures."""
    most_memory = 400
    most_late = 400.0

    def strike(self, scene: Scene) -> float | None:
        for number in range(SETS):
            _store(scene.scheduler.url, number)
        time.sleep(SETTLES)
        self._scrapes: list[float] = []
        self._statistics: list[float] = []
        self._exports: list[float] = []
        self._quiet = time.time()
        time.sleep(MEASURED)
        self._scraped = time.time()
        until = self._scraped + MEASURED
        clients = [
            *(threading.Thread(target=_read, args=(scene, "/api/metrics", self._scrapes, until)) for _ in range(2)),
            threading.Thread(target=_read, args=(scene, "/api/stats?tag=team", self._statistics, until)),
            *(
                threading.Thread(target=_read, args=(scene, f"/api/exports/{of}", self._exports, until))
                for of in ("stats", "runs", "jobs")
            ),
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        self._end = until
        return self._scraped

    def problems(self, scene: Scene) -> Iterator[str]:
        quiet = _lateness(scene, self._quiet, self._scraped)
        scraped = _lateness(scene, self._scraped, self._end)
        before, during = percentile(quiet, 0.99), percentile(scraped, 0.99)
        print(
            f"many-jobs: p50/p99 {percentile(quiet, 0.5):.0f}/{before:.0f} ms without clients, "
            f"{percentile(scraped, 0.5):.0f}/{during:.0f} ms with them; "
            f"scrapes {_show(self._scrapes)}, statistics {_show(self._statistics)}, "
            f"exports {_show(self._exports)}"
        )
        if during > max(before * MAX_FACTOR, before + NOISE):
            yield f"p99 of the healthy runs rose from {before:.0f} to {during:.0f} ms"
        if unready := [status for at, status in scene.ready if self._quiet <= at < self._end and status != 200]:
            yield f"/api/health/ready was to answer 200: {unready}"
        if not self._scrapes or max(self._scrapes) > MAX_SCRAPE:
            yield f"a scrape took {max(self._scrapes, default=0):.1f} s, expected at most {MAX_SCRAPE:g}"


def _store(url: str, number: int) -> None:
    name = f"many-{number}"
    job = {"schedule": "0 0 0 1 1 *", "check": {"url": "http://127.0.0.1:9/"}, "tags": {"team": name}}
    document = {"jobs": {f"{name}-{each:04}": job for each in range(JOBS_OF_SET)}}
    plan = _post(f"{url}/api/sets/{name}/plan", document)
    _post(f"{url}/api/sets/{name}/apply?plan_id={plan['plan_id']}", document)


def _post(url: str, document: Any) -> Any:
    request = urllib.request.Request(url, json.dumps(document).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


def _read(scene: Scene, path: str, seconds: list[float], until: float) -> None:
    """Request the path each SCRAPE_INTERVAL, as Prometheus does. What is not complete at the end is left."""
    while (began := time.time()) < until:
        request = urllib.request.Request(f"{scene.scheduler.url}{path}", headers={"accept-encoding": "gzip"})
        with suppress(OSError), urllib.request.urlopen(request, timeout=MEASURED) as answer:
            page = b""
            while time.time() < until and (part := answer.read(_PART)):
                page += part
            if answer.headers["content-encoding"] == "gzip" and time.time() < until:
                gzip.decompress(page)
        seconds.append(time.time() - began)
        time.sleep(max(0.0, min(began + SCRAPE_INTERVAL, until) - time.time()))


def _lateness(scene: Scene, since: float, until: float) -> Sequence[float]:
    found = []
    period = "&".join(
        f"{key}={datetime.fromtimestamp(at, UTC).isoformat().replace('+00:00', 'Z')}"
        for key, at in (("from", since), ("to", until))
    )
    for number in range(_HEALTHY):
        runs = get_json(f"{scene.scheduler.url}/api/runs?job=late-{number:05}&limit=500&{period}")["runs"]
        found += [run["lateness_ms"] for run in runs if run["state"] == "finished"]
    return found


def _show(seconds: Sequence[float]) -> str:
    return f"{len(seconds)} x {percentile(seconds, 0.5):.2f} s, at most {max(seconds):.2f} s" if seconds else "none"


ATTACKS = (ManyJobs(),)
