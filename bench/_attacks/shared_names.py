"""Jobs of one team that use up what those of another team share with them: a group, and the retries of a host."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Any

from bench._attacks.harness import Attack, Scene, Scheduler, serving

_EVERY_FIFTH = itertools.count(1)
RELOADED_WITHIN = 10.0
"""Seconds for the program to read a changed job file."""


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """`/fails` fails, `/silent` never answers, `/flaky` fails once in five requests, all else succeeds."""
    head = await reader.readuntil(b"\r\n\r\n")
    path = head.split(b" ")[1]
    if path == b"/silent":
        await reader.read()
    fails = path == b"/fails" or (path == b"/flaky" and next(_EVERY_FIFTH) % 5 == 0)
    status = b"503 Service Unavailable" if fails else b"200 OK"
    writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    await writer.drain()


class StrangerInGroup(Attack):
    """A stranger names the concurrency group of another team, with a target that never answers."""

    name = "stranger-in-group"
    seconds = 25

    def server(self) -> AbstractContextManager[str]:
        self._url = ""
        return serving(_answer)

    def jobs(self, url: str) -> Mapping[str, Any]:
        self._url = url
        return {}

    def prepare(self, scheduler: Scheduler) -> None:
        jobs = {"checkout": self._job("/well")}
        owner = {"groups": {"checkout": {"jobs": ["checkout*"]}}, "jobs": jobs}
        (scheduler.jobs / "owner.json").write_text(json.dumps(owner))

    def strike(self, scene: Scene) -> float | None:
        scene.scheduler.write_jobs({"stranger": self._job("/silent")}, "stranger.json")
        time.sleep(RELOADED_WITHIN)
        return None

    def problems(self, scene: Scene) -> Iterator[str]:
        runs = runs_of(scene, "checkout")
        skipped = [run for run in runs if run["outcome"] != "succeeded"]
        if not runs or skipped:
            yield f"{len(skipped)} of {len(runs)} runs of the group's owner did not succeed"
        if runs_of(scene, "stranger"):
            yield "the stranger was let into the group"

    def _job(self, path: str) -> Mapping[str, Any]:
        group = {"name": "checkout", "wait": "500ms"}
        return {"schedule": {"every": "1s"}, "check": {"url": f"{self._url}{path}"}, "concurrency_group": group}


class UsedUpRetries(Attack):
    """Ten jobs that always fail at the host of a job that fails in one of four runs and has one retry."""

    name = "retry-budget"
    seconds = 45

    def server(self) -> AbstractContextManager[str]:
        return serving(_answer)

    def jobs(self, url: str) -> Mapping[str, Any]:
        retry = {"attempts": 3, "backoff": "constant", "initial": "20ms", "jitter": "none"}
        strangers = {
            f"stranger-{number}": {"schedule": {"every": "1s"}, "check": {"url": f"{url}/fails"}, "retry": retry}
            for number in range(10)
        }
        return {**strangers, "mine": {"schedule": {"every": "1s"}, "check": {"url": f"{url}/flaky"}, "retry": retry}}

    def problems(self, scene: Scene) -> Iterator[str]:
        runs = runs_of(scene, "mine")
        refused = [run for run in runs if run["outcome"] != "succeeded"]
        if not runs or refused:
            yield f"{len(refused)} of {len(runs)} runs had no retry: {refused[0]['message'] if refused else ''}"
        retries = sum(run["attempt_count"] - 1 for number in range(10) for run in runs_of(scene, f"stranger-{number}"))
        if not retries:
            yield "the strangers had no retries at all"


def runs_of(scene: Scene, job: str) -> list[dict[str, Any]]:
    """Return the newest runs of the job that are finished."""
    try:
        with urllib.request.urlopen(f"{scene.scheduler.url}/api/runs?job={job}&limit=100", timeout=10) as answer:
            runs: list[dict[str, Any]] = json.load(answer)["runs"]
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND:
            return []  # there is no such job
        raise
    return [run for run in runs if run["state"] == "finished"]


ATTACKS = (StrangerInGroup(), UsedUpRetries())
