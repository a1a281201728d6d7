"""Jobs whose `ca_file` is a named pipe without a writer, or an endless device."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from bench._attacks.harness import Attack, Scene, Scheduler
from bench._parts import get_json

JOBS = 10


class CaFilePipe(Attack):
    """Ten jobs have a named pipe as `ca_file`, one has /dev/zero."""

    name = "ca-file-pipe"

    def prepare(self, scheduler: Scheduler) -> None:
        """Make the pipe."""
        pipe = scheduler.folder / "pipe"
        os.mkfifo(pipe)
        scheduler.write_jobs(_attacking_jobs([str(pipe)] * JOBS + ["/dev/zero"]), "pipes.json")

    def strike(self, scene: Scene) -> None:
        """Change the jobs while the program runs, so that it checks their files again."""
        pipe = scene.scheduler.folder / "pipe"
        scene.scheduler.write_jobs(_attacking_jobs([str(pipe)] * (2 * JOBS)), "pipes.json")

    def problems(self, scene: Scene) -> Iterator[str]:
        """Yield what the runs ended with, if that is not the fault of the file."""
        runs = get_json(f"{scene.scheduler.url}/api/runs?job=pipe-00&limit=20")["runs"]
        errors = {run["error"] for run in runs if run["finished_at"]}
        if errors != {"internal_error"}:
            yield f"runs with the pipe ended with {errors or 'nothing'}"


def _attacking_jobs(files: list[str]) -> Mapping[str, Any]:
    job = {"schedule": {"every": "1s"}, "retry": {"attempts": 1}}
    return {
        f"pipe-{number:02}": {**job, "check": {"url": "https://127.0.0.1:9/", "tls": {"ca_file": file}}}
        for number, file in enumerate(files)
    }


ATTACKS = (CaFilePipe(),)
