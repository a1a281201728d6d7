"""Takes scenarios through Alertmanager, all of them at once in real time, and collects its notifications."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.parts.alertmanager.program import running_alertmanager
from tests.parts.alertmanager.scenarios import LENGTH, PARENT, Scenario

GROUP_INTERVAL = 1
NEVER = "365d"


@dataclass(frozen=True, order=True)
class Sent:
    """A notification: seconds since the start of the scenarios, `firing` or `resolved`, and the job."""

    at: float
    status: str
    job: str


async def notifications_of(scenarios: Sequence[Scenario]) -> dict[int, list[Sent]]:
    """Return the notifications of each scenario, in their order."""
    received: list[tuple[float, dict[str, Any]]] = []
    server = await asyncio.start_server(lambda r, w: receive(r, w, received), "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        config = build_config(scenarios, f"http://127.0.0.1:{port}/")
        with running_alertmanager(config) as alertmanager:
            async with httpx.AsyncClient(base_url=alertmanager.url, trust_env=False, timeout=10) as client:
                start = time.time() + 1
                await _silence(client, scenarios, start)
                await _play(client, scenarios, start)
                await asyncio.sleep(max(0.0, start + LENGTH - time.time()))
    finally:
        server.close()
    sent: dict[int, list[Sent]] = defaultdict(list)
    for at, body in received:
        for alert in body["alerts"]:
            labels = alert["labels"]
            sent[int(labels["scenario"])].append(Sent(at - start, alert["status"], labels["job"]))
    return {number: sorted(each) for number, each in sent.items()}


def build_config(scenarios: Sequence[Scenario], url: str) -> dict[str, Any]:
    """Return a configuration with a route for each scenario. A job is a group, as its incident is ours."""
    routes = [
        {
            "matchers": [f'scenario="{each.number}"'],
            "receiver": "us",
            "group_by": ["scenario", "job"],
            "group_wait": f"{each.group_wait}s",
            "group_interval": f"{GROUP_INTERVAL}s",
            "repeat_interval": NEVER if each.repeat_interval is None else f"{each.repeat_interval}s",
            **({"mute_time_intervals": ["always"]} if each.is_muted else {}),
        }
        for each in scenarios
    ]
    return {
        "route": {"receiver": "us", "routes": routes},
        "receivers": [{"name": "us", "webhook_configs": [{"url": url, "send_resolved": True}]}],
        "time_intervals": [{"name": "always", "time_intervals": [{"months": ["1:12"]}]}],
        "inhibit_rules": [
            {
                "source_matchers": [f'job="{PARENT}"'],
                "target_matchers": ['inhibited="yes"', f'job!="{PARENT}"'],
                "equal": ["scenario"],
            }
        ],
    }


async def _silence(client: httpx.AsyncClient, scenarios: Sequence[Scenario], start: float) -> None:
    for scenario in scenarios:
        for silence in scenario.silences:
            matchers = [
                {"name": "scenario", "value": str(scenario.number), "isRegex": False, "isEqual": True},
                {"name": "job", "value": silence.job, "isRegex": False, "isEqual": True},
            ]
            body = {
                "matchers": matchers,
                "startsAt": instant(start + silence.start),
                "endsAt": instant(start + silence.end),
                "createdBy": "test",
                "comment": "test",
            }
            (await client.post("/api/v2/silences", json=body)).raise_for_status()


async def _play(client: httpx.AsyncClient, scenarios: Sequence[Scenario], start: float) -> None:
    """Post each alert when it starts, and again when it ends."""
    events: dict[float, list[dict[str, Any]]] = defaultdict(list)
    for scenario in scenarios:
        for failure in scenario.failures:
            labels = {"alertname": "failed", "scenario": str(scenario.number), "job": failure.job}
            labels["inhibited"] = "yes" if scenario.is_inhibited else "no"
            alert = {"labels": labels, "startsAt": instant(start + failure.start)}
            events[failure.start].append({**alert, "endsAt": instant(start + 3600)})
            if failure.end is not None:
                events[failure.end].append({**alert, "endsAt": instant(start + failure.end)})
    for at in sorted(events):
        await asyncio.sleep(max(0.0, start + at - time.time()))
        (await client.post("/api/v2/alerts", json=events[at])).raise_for_status()


def instant(seconds: float) -> str:
    """Format an instant of time.time() for the API."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()


async def receive(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: list[tuple[float, dict[str, Any]]]
) -> None:
    """Serve a connection of Alertmanager, and add the bodies of its notifications to `received`, with their times."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            body = await reader.readexactly(int(fields[b"content-length"]))
            received.append((time.time(), json.loads(body)))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        writer.close()
