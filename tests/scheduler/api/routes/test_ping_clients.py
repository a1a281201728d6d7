"""Pings over HTTP, by the cases of others."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.routes.test_pings import PING, heartbeat
from tests.scheduler.api.routes.test_pings import client as open_client

DATA = Path(__file__).parents[3] / "data/heartbeats/pings.json"
CASES = json.loads(DATA.read_text(encoding="utf-8"))["cases"]


async def send(at: ApiClient, after: float, method: str, rest: str, body: str = "", encoding: str = "utf-8") -> None:
    await asyncio.sleep(after)
    answer = await at.request(method, f"{PING}{rest}", content=body.encode(encoding))
    assert answer.status_code == 200, answer.text


def seconds(reported: dict[str, Any], name: str, now: datetime) -> float | None:
    """From now to that instant."""
    return None if reported[name] is None else round((datetime.fromisoformat(reported[name]) - now).total_seconds(), 2)


@pytest.mark.parametrize("case", CASES, ids=[case["what"] for case in CASES])
@virtual_time
async def test_what_pings_make_of_it_is_what_others_make_of_it(case: dict[str, Any]) -> None:
    async with open_client() as at:
        for ping in case["pings"]:
            await send(at, *ping)
        reported, now = await heartbeat(at), at.shop.clock.now()
        for name in ("last_ping", "last_start", "last_fail"):
            since = seconds(reported, name, now)
            reported[f"{name}_before"] = None if since is None else -since
        for name in ("due", "down"):
            reported[f"{name}_in"] = seconds(reported, f"{name}_at", now)
        reported |= {
            "duration_ms": reported["duration_ms"] and round(reported["duration_ms"]),
            "signals": [ping["signal"] for ping in reported["pings"]],
            "bodies": [ping["body"] for ping in reported["pings"]],
            "runs": [ping["run"] for ping in reported["pings"]],
        }

    assert {name: reported[name] for name in case["then"]} == case["then"]
