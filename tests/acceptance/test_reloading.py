"""Job files that change under a running program: good and bad edits, one after the other, while fifty runs a second go
on. No run is lost, and none is of two versions."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.parts.host import Host, embedded, job
from tests.parts.http_target import Answer, HttpTarget, Request

STEADY, CHANGED, PER_FILE = 40, 24, 6
"""Jobs. Those that are changed run each second or each other one, so that it is fifty runs a second or more."""
EDITS, BURST = 500, 5
SECONDS = 14.0


def echo(request: Request) -> Answer:
    """Answers with the version that it is asked for."""
    version = request.path.rpartition("/")[2]
    return Answer(200, {"x-version": version}, f"version {version} of {request.headers['x-version']}".encode())


class Target(HttpTarget):
    def answer(self, request: Request) -> Answer:
        return echo(request)


def versioned(target: HttpTarget, name: str, version: int) -> dict[str, Any]:
    """A job whose URL, header, expectation and tag are all of one version."""
    check = {"url": f"{target.url}/{name}/v{version}", "headers": {"x-version": f"v{version}"}}
    expect = [{"status": 200}, {"body_contains": f"version v{version} of v{version}"}]
    return job("", f"every {1 + version % 2}s", check=check, expect=expect, tags={"version": f"v{version}"})


class Edits:
    """The folder's files, and which versions of them were whole."""

    def __init__(self, folder: Path, target: HttpTarget) -> None:
        self.folder = folder
        self.target = target
        self.number = 0

    def write(self, file: int, version: int, *, broken: bool = False, atomic: bool = True) -> None:
        names = [f"job-{file}-{number}" for number in range(PER_FILE)]
        jobs: Mapping[str, Any] = {name: versioned(self.target, name, version) for name in names}
        text = json.dumps({"jobs": jobs})
        if broken:
            text = text[: len(text) // 2] if version % 2 else text.replace('"schedule"', '"shedule"', 1)
        path = self.folder / f"file-{file}.json"
        if atomic:
            (self.folder / ".new").write_text(text)
            os.replace(self.folder / ".new", path)
        else:
            path.write_text(text)

    async def run(self, edits: int, seconds: float) -> None:
        """In bursts of five of a file, as fast as it goes, good and bad ones; a third of the bursts end with a bad one.
        The last one of each file is good."""
        for burst in range(edits // BURST):
            file = burst // 2 % (CHANGED // PER_FILE)
            for number in range(burst * BURST, (burst + 1) * BURST):
                is_last = number % BURST == BURST - 1
                broken = burst % 2 == 0 and burst % 3 == 0 if is_last else number % 2 == 0
                self.write(file, number, broken=broken, atomic=number % 3 != 0)
            await asyncio.sleep(seconds * BURST / edits)
        for file in range(CHANGED // PER_FILE):
            self.write(file, edits + file)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


async def all_runs(host: Host) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    continuation: str | None = ""
    while continuation is not None:
        more = {"continuation": continuation} if continuation else {}
        page = (await host.client.get("/api/runs", params={"limit": "500", **more})).json()
        found += page["runs"]
        continuation = page["continuation"]
    return found


async def until_well(host: Host, part: str = "job_files") -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            health: dict[str, Any] = (await host.client.get("/api/status")).json()
            if {each["name"]: each["status"] for each in health["parts"]}[part] == "ok":
                return health
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_five_hundred_edits_under_load_lose_no_run_and_mix_no_versions(tmp_path: Path) -> None:
    async with Target() as target:
        steady = {f"steady-{number}": job(f"{target.url}/steady/v0", "every 1s") for number in range(STEADY)}
        for name in steady:
            steady[name]["check"]["headers"] = {"x-version": "v0"}
        edits = Edits(tmp_path / "jobs", target)
        edits.folder.mkdir()
        for file in range(CHANGED // PER_FILE):
            edits.write(file, 0)
        async with embedded(tmp_path, steady) as host:
            await target.wait_for_requests(1, timeout=20)
            began = datetime.now(UTC) + timedelta(seconds=1)
            before = (await host.get("/api/status"))["jobs"]
            await asyncio.sleep(1)
            await edits.run(EDITS, SECONDS)
            ended = datetime.now(UTC)
            await asyncio.sleep(3.5)
            health = await until_well(host)
            runs = [run for run in await all_runs(host) if at(run["due_at"]) <= ended]
            jobs = (await host.get("/api/jobs?limit=100"))["jobs"]
            log = host.log()
            await host.stop()

    by_job: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        by_job[run["job"]].append(run)
    seconds = int((ended - began).total_seconds())
    # Jobs that no edit touched: one run at each instant.
    for name in steady:
        due = Counter(at(run["due_at"]) for run in by_job[name] if at(run["due_at"]) >= began)
        assert set(due.values()) == {1}, name
        assert len(due) in (seconds, seconds + 1), name
        assert {run["outcome"] for run in by_job[name]} == {"succeeded"}
    # The others change between each second and each other one: at each even second all versions have a run.
    changed = [run for name, some in by_job.items() if name.startswith("job-") for run in some]
    for name in {run["job"] for run in changed}:
        instants = Counter(at(run["due_at"]) for run in by_job[name])
        assert set(instants.values()) == {1}, name
        even = [instant for instant in instants if instant >= began and instant.second % 2 == 0]
        assert len(even) in (seconds // 2, seconds // 2 + 1), name
    for run in changed:
        if run["outcome"] == "skipped":
            assert "no longer includes this run" in run["message"] or "still running" in run["message"], run
            continue
        # The target tells which version it was asked for; the expectation and the tags are of the definition.
        assert run["outcome"] == "succeeded", run
        assert run["endpoint"].endswith(f"/{run['tags']['version']}"), run
    requested = [request for request in target.requests if request.path.startswith("/job-")]
    assert all(request.path.endswith(f"/{request.headers['x-version']}") for request in requested)
    assert len({run["generation"] for run in changed}) > CHANGED

    assert health["jobs"]["generation"] != before["generation"]
    assert health["jobs"]["count"] == STEADY + CHANGED == len(jobs)
    assert {job["tags"].get("version") for job in jobs} == {None, *(f"v{EDITS + n}" for n in range(4))}
    reloads = [line for line in log if line["Logger"] == "scheduler.catalog.reloading"]
    levels = Counter(line["Level"] for line in reloads)
    assert levels["INFO"] > 10, levels
    assert levels["WARNING"] > 1, levels
    # The same problem is told again only once the files were well in between.
    reported = [(line["Level"], line["Message"]) for line in reloads]
    assert not [one for one, other in pairwise(reported) if one == other and one[0] == "WARNING"]
