"""A job that steers the scheduler's own API, to pause the jobs of others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench._attacks.harness import Attack, Scene, Scheduler
from bench._parts import get_json

VICTIMS = 20
SPELLINGS = ("127.0.0.1", "localhost", "0x7f000001", "127.1")


class OwnApi(Attack):
    """Jobs post to the scheduler's own API to pause the healthy jobs, and read it."""

    name = "own-api"

    def prepare(self, scheduler: Scheduler) -> None:
        """The port is known only now."""
        scheduler.write_jobs(_attacking_jobs(scheduler.port), "own-api.json")

    def problems(self, scene: Scene) -> Iterator[str]:
        """Yield each attack that reached the API, and each healthy job that is paused."""
        for spelling in SPELLINGS:
            runs = f"{scene.scheduler.url}/api/runs?job=read-{spelling}"
            if get_json(f"{runs}&outcome=succeeded")["runs"]:
                yield f"the API was read by way of {spelling}"
            errors = {run["error"] for run in get_json(f"{runs}&outcome=failed")["runs"]}
            if errors != {"target_denied"}:
                yield f"runs by way of {spelling} ended with {errors or 'nothing'}"
        paused = [job["name"] for job in get_json(f"{scene.scheduler.url}/api/jobs?state=paused")["jobs"]]
        if paused:
            yield f"{len(paused)} jobs are paused: {', '.join(paused[:3])}"


def _attacking_jobs(port: int) -> Mapping[str, Any]:
    every_second, once = {"every": "1s"}, {"attempts": 1}
    jobs: dict[str, Any] = {}
    for number in range(VICTIMS):
        host = SPELLINGS[number % len(SPELLINGS)]
        url = f"http://{host}:{port}/api/jobs/late-{number:05}/pause"
        check = {"url": url, "method": "POST", "body": {"json": {}}}
        jobs[f"pause-{number:02}"] = {"schedule": every_second, "check": check, "retry": once}
    for host in SPELLINGS:
        check = {"url": f"http://{host}:{port}/api/jobs"}
        jobs[f"read-{host}"] = {"schedule": every_second, "check": check, "retry": once}
    return jobs


ATTACKS = (OwnApi(),)
