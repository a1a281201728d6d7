"""A storm of 30 alerts on three hosts, and how many openings and further messages each program makes of it.

Alertmanager groups by host, in real time; ours by the cause, in virtual time. Both collect for GROUP_WAIT.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx

from tests.jobs.incidents.world import START, World
from tests.parts.alertmanager.program import running_alertmanager
from tests.parts.alertmanager.theirs import instant, receive

GROUP_WAIT = 2
HOSTS = ("a.example", "b.example", "c.example")
LENGTH = 12
"""Seconds."""
Event = tuple[float, str, str]
"""When an alert fires, in seconds; its job and host."""


def make_storm(seed: int) -> list[Event]:
    """Return 30 alerts that fire within eight seconds, half a second from the timers."""
    source = random.Random(seed)
    jobs = [(f"job-{number}", HOSTS[number % len(HOSTS)]) for number in range(30)]
    return sorted((source.randrange(8) + 0.5, job, host) for job, host in jobs)


async def messages_of_alertmanager(storm: list[Event]) -> Counter[str]:
    """Return how many messages there are by host."""
    received: list[tuple[float, dict[str, Any]]] = []
    server = await asyncio.start_server(lambda r, w: receive(r, w, received), "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with running_alertmanager(_build_config(url)) as alertmanager:
            async with httpx.AsyncClient(base_url=alertmanager.url, trust_env=False, timeout=10) as client:
                await _play(client, storm)
    return Counter(body["groupLabels"]["host"] for _, body in received)


async def _play(client: httpx.AsyncClient, storm: list[Event]) -> None:
    start = time.time()
    for at, job, host in storm:
        await asyncio.sleep(max(0.0, start + at - time.time()))
        labels = {"alertname": "failed", "job": job, "host": host}
        alert = {"labels": labels, "startsAt": instant(start + at), "endsAt": instant(start + 3600)}
        (await client.post("/api/v2/alerts", json=[alert])).raise_for_status()
    await asyncio.sleep(max(0.0, start + LENGTH - time.time()))


def _build_config(url: str) -> dict[str, Any]:
    route = {"receiver": "us", "group_by": ["host"], "group_wait": f"{GROUP_WAIT}s", "repeat_interval": "365d"}
    return {
        "route": {**route, "group_interval": f"{GROUP_WAIT}s"},
        "receivers": [{"name": "us", "webhook_configs": [{"url": url, "send_resolved": True}]}],
    }


def messages_of_ours(storm: list[Event]) -> tuple[Counter[str], Counter[str]]:
    """Return how many openings and how many messages there are by host."""
    world = World()
    world.group_wait = timedelta(seconds=GROUP_WAIT)
    world.causes = {job: [f"host {host}"] for _, job, host in storm}
    for step in range(LENGTH * 4):
        world.now = START + timedelta(seconds=step / 4)
        world.fail(*(job for at, job, _ in storm if at == step / 4))
        world.run_pass()
    hosts = [(world.incidents[each.incident].cause.removeprefix("host "), str(each.kind)) for each in world.sent]
    return Counter(host for host, kind in hosts if kind == "opened"), Counter(host for host, _ in hosts)
