"""The trend of a job: when its level changed, and what was deployed near that."""

from __future__ import annotations

from datetime import UTC, timedelta

from scheduler.stores.markers import DeploymentMarker
from scheduler.stores.port import Upsert
from scheduler.stores.runs.keys import HISTORY_TABLE, shard_of_job
from scheduler.stores.runs.rollups.hours import HourCounts
from scheduler.stores.runs.rollups.keys import HOUR_PREFIX, format_hour
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

JOBS = [entry("checkout", tags={"team": "pay"}), entry("search", tags={"team": "find"})]
HOUR = timedelta(hours=1)


async def count_hours(client: ApiClient, *levels: tuple[float, int]) -> None:
    """Count 20 runs of this response time in each of so many hours before now, the oldest first."""
    now = client.shop.clock.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    values = [milliseconds for milliseconds, count in levels for _ in range(count)]
    changes = []
    for number, milliseconds in enumerate(values):
        counts = HourCounts()
        for each in range(20):
            counts._count(1, milliseconds * (1 + each / 100))
        at = now - (len(values) - number) * HOUR
        key = f"{HOUR_PREFIX}checkout~{format_hour(at)}"
        changes.append(Upsert(HISTORY_TABLE, shard_of_job("checkout"), key, counts.encode()))
    await client.shop.store.apply(*changes)


async def test_a_change_is_reported_with_the_deployment_before_it() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await count_hours(client, (180, 100), (320, 50))
        at = client.shop.clock.now().replace(minute=0, second=0, microsecond=0) - 50 * HOUR
        for text, before in (("checkout 4ebecbce", timedelta(minutes=2)), ("old", timedelta(days=2))):
            await client.services.repositories.markers.put(DeploymentMarker(f"{text}-1", at - before, text))
        found = (await client.get("/api/jobs/checkout/trend", days=14)).json()

    (change,) = found["changes"]
    assert change["at"].startswith(f"{at:%Y-%m-%dT%H}:00:00")
    assert 1.6 < change["ratio"] < 1.9
    assert (change["before"]["runs"], change["after"]["runs"]) == (2000, 1000)
    assert [(each["text"], each["minutes_before"]) for each in change["nearby"]] == [("checkout 4ebecbce", 2.0)]
    assert "; deployment 2 min before: checkout 4ebecbce" in found["summary"]


async def test_without_a_change_it_says_so() -> None:
    async with ApiClient(jobs=JOBS) as client:
        assert "no hour of the last 28 days" in (await client.get("/api/jobs/checkout/trend")).json()["summary"]
        await count_hours(client, (180, 150))
        found = (await client.get("/api/jobs/checkout/trend")).json()
        assert (found["changes"], found["hours"]) == ([], 150)
        assert found["summary"] == "no change of the level in the last 28 days"
        assert (await client.get("/api/jobs/unknown/trend")).status_code == 404
        assert (await client.get("/api/jobs/checkout/trend", days=2)).status_code == 400
        assert (await client.get("/api/jobs/checkout/trend", timezone="Nowhere")).status_code == 422
