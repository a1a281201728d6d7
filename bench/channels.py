"""Are runs late while notification channels hang? Jobs each 10 s on loopback; the machine should be idle.

Some further jobs fail each time and notify channels of seven kinds, whose servers accept connections and
never answer. It is measured without rules, and with them. The last line is JSON: milliseconds of start minus due
instant, and CPU milliseconds a run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench._lateness import Load, figures, finished_runs, summary
from bench._parts import cpu_seconds, finish, get_json, program, show, target
from scheduler.stores.runs.repository import Runs
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite

FAILING = 20
EVERY = 10
SETTLED = 2
"""Rounds before the first one that is measured."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--jobs", type=int, default=1000, help="how many healthy jobs")
    options.add_argument("--seconds", type=int, default=60, help="how long each way is measured")
    chosen = options.parse_args()
    load, seconds = Load(chosen.jobs, EVERY, False), max(EVERY, chosen.seconds // EVERY * EVERY)
    with silent_server() as port:
        before = measure(load, seconds, {}, port)
        hanging = measure(load, seconds, channels(port), port)
    rows = [(name, *found[:3], found[3]) for name, found in (("without rules", before), ("channels hang", hanging))]
    show(("lateness, ms", "p50", "p99", "max", "CPU ms a run"), rows)
    finish(
        p50_ms=hanging[0],
        p99_ms=hanging[1],
        max_ms=hanging[2],
        cpu_ms=hanging[3],
        p50_before_ms=before[0],
        p99_before_ms=before[1],
        cpu_before_ms=before[3],
    )


@contextmanager
def silent_server() -> Iterator[int]:
    """The kernel accepts connections; no program reads them."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:
        yield server.getsockname()[1]


def channels(port: int) -> Mapping[str, Mapping[str, Any]]:
    url = f"http://127.0.0.1:{port}"
    secret = {"secret": "channel-key"}
    return {
        "webhook": {"kind": "webhook", "url": url},
        "teams": {"kind": "teams", "url": {"secret": "channel-url"}},
        "slack": {"kind": "slack", "token": secret, "channel": "C1", "api_url": url},
        "pagerduty": {"kind": "pagerduty", "routing_key": secret, "url": url},
        "opsgenie": {"kind": "opsgenie", "api_key": secret, "url": url},
        "ntfy": {"kind": "ntfy", "server": url, "topic": "bench"},
        "mail": {
            "kind": "email",
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "from": "scheduler@example.com",
            "to": ["team@example.com"],
        },
    }


def measure(
    load: Load, seconds: int, channels: Mapping[str, Mapping[str, Any]], port: int
) -> tuple[float, float, float, float]:
    """Return p50, p99 and maximum of the lateness of the healthy jobs, and the CPU of a run."""
    with tempfile.TemporaryDirectory() as name, target() as url:
        folder = Path(name)
        rule = {"open_after": 1, "notify": list(channels), "remind_every": "1m", "reopen_within": "0s"}
        failing = {
            f"fails-{number}": {
                "schedule": "every 5s",
                "check": {"url": "http://127.0.0.1:9/"},
                "retry": {"attempts": 1},
                "alerts": [rule] if channels else [],
            }
            for number in range(FAILING)
        }
        (folder / "jobs").mkdir()
        if channels:
            (folder / "jobs" / "alerting.json").write_text(json.dumps({"alerting": {"channels": channels}}))
        with program(
            folder,
            load.definitions(url) | failing,
            SCHEDULER_ALERTING__GROUP_WAIT="0s",
            SCHEDULER_SECRETS__UNBOUND="allow",
            SCHEDULER_SECRET_CHANNEL_KEY="bench-key",
            SCHEDULER_SECRET_CHANNEL_URL=f"http://127.0.0.1:{port}/hook",
        ) as (process, api):
            since = (time.time() // EVERY + SETTLED) * EVERY
            time.sleep(max(0.0, since - time.time()))
            before = cpu_seconds(process.pid)
            time.sleep(seconds)
            spent = cpu_seconds(process.pid) - before
            time.sleep(2)
            if channels:
                check_hanging(get_json(f"{api}/api/health"))
            rows = asyncio.run(read_runs(folder / "bench.db"))
        found = figures(load.due(since, seconds), rows, {})
        if not found.recorded:
            sys.exit("nothing was run: is the machine too busy to start the program?")
        return *summary(found.recorded), spent / found.runs * 1000


def check_hanging(health: Any) -> None:
    text = json.dumps(health)
    if "notification" not in text and "channel" not in text:
        sys.exit(f"no channel fails, so nothing was measured: {text[:500]}")


async def read_runs(path: Path) -> Any:
    store = await open_sqlite(path, StoreAccess.READ_ONLY)
    try:
        return await finished_runs(Runs(store))
    finally:
        await store.aclose()


if __name__ == "__main__":
    main()
