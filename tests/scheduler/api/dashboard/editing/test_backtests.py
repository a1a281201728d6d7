"""POST /api/dashboard/drafts/backtest: what the alert rules of a draft would have notified."""

from __future__ import annotations

from typing import Any

import httpx

from scheduler.catalog.catalog import CatalogJob, JobSnapshot
from tests.scheduler.alerting.backtest.stored_time import store_runs
from tests.scheduler.alerting.replay.live import definitions_of, history_of_letters
from tests.scheduler.api.api_client import ApiClient

RULES: dict[str, Any] = {"alerts": [{"open_after": 4}]}
ALERTING = definitions_of({"checkout": RULES}).book.snapshot


async def backtest(client: ApiClient, days: int = 1, **changes: Any) -> httpx.Response:
    draft = {"name": "checkout", "schedule": "every 1m", "check": {"url": "https://x.example/"}} | changes
    return await client.request("POST", "/api/dashboard/drafts/backtest", json=draft, params={"days": days})


def api_client() -> ApiClient:
    client = ApiClient(jobs=list(ALERTING))
    client.shop.catalog.replace(JobSnapshot(list[CatalogJob](ALERTING), alerting=ALERTING.alerting))
    return client


async def test_stricter_rules_would_have_notified() -> None:
    async with api_client() as client:
        await store_runs(client.shop.store, [history_of_letters("checkout", "SSSSFFSSSSSSSSSSSS")])
        same = (await backtest(client, **RULES)).json()
        stricter = (await backtest(client, alerts=[{"open_after": 2}])).json()
    assert (same["sent"], same["would_be_sent"], same["messages"]) == (0, 0, [])
    assert stricter["would_be_sent"] == 2
    assert stricter["differences"] == {"new": 2}
    assert stricter["by_channel"] == {"mail": [0, 2]}
    assert {each["kind"] for each in stricter["messages"]} == {"opened", "resolved"}
    assert "the last 2 runs failed" in str(stricter["messages"])


async def test_an_invalid_draft_and_too_many_days_are_refused() -> None:
    async with api_client() as client:
        wrong = await backtest(client, alerts=[{"open_after": "x"}])
        long = await backtest(client, days=365)
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["location"] == "body.alerts[0].open_after"
    assert long.status_code == 400
