"""How late do runs start? Jobs each 10 s against a loopback target, on a machine that should be idle."""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from bench._parts import finish, get_json, percentile, program, show, target


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, default=1, help="how many jobs")
    options.add_argument("--every", type=int, default=10, help="seconds between two due instants")
    options.add_argument("--seconds", type=int, default=120, help="how long it is measured")
    chosen = options.parse_args()

    with tempfile.TemporaryDirectory() as folder, target() as url:
        jobs = {
            f"late-{number}": {
                "schedule": {"every": f"{chosen.every}s"},
                "check": {"url": f"{url}/{number}"},
            }
            for number in range(chosen.jobs)
        }
        with program(Path(folder), jobs) as (_, api):
            time.sleep(chosen.seconds + 1)
            runs = _all_runs(api)
            arrivals = get_json(f"{url}/arrivals")
    report(runs, arrivals, chosen.every)


def _all_runs(api: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    query = ""
    while True:
        page = get_json(f"{api}/api/runs?limit=500{query}")
        found += [run for run in page["runs"] if run["outcome"] is not None]
        if page["continuation"] is None:
            return found
        query = f"&continuation={page['continuation']}"


def report(runs: list[dict[str, Any]], arrivals: dict[str, list[float]], every: int) -> None:
    """Lateness as the program recorded it, and as the target's own clock saw the requests come."""
    lateness = [run["lateness_ms"] for run in runs]
    seen = [at % every * 1000 for path, times in arrivals.items() if path != "/ready" for at in times]
    failed = sum(run["outcome"] != "succeeded" for run in runs)
    instants = len({datetime.fromisoformat(run["due_at"]) for run in runs})
    print(f"{len(runs)} runs at {instants} due instants, {failed} did not succeed")
    rows = [
        (name, percentile(values, 0.5), percentile(values, 0.99), max(values))
        for name, values in (("start minus due", lateness), ("arrival at the target minus due", seen))
    ]
    show(("milliseconds", "p50", "p99", "max"), rows)
    finish(p50_ms=rows[0][1], p99_ms=rows[0][2], max_ms=rows[0][3], runs=len(runs))


if __name__ == "__main__":
    main()
