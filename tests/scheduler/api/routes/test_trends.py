"""The trend of a job: when its level changed, and what was deployed near that."""

from __future__ import annotations

from datetime import UTC, timedelta

from scheduler.features.changes.job_markers import JobMarkerReader
from scheduler.features.trends.queries import TrendReader
from scheduler.identity.principal import LOCAL_PRINCIPAL
from scheduler.stores.markers import DeploymentMarker
from scheduler.stores.port import Upsert
from scheduler.stores.runs.keys import HISTORY_TABLE, shard_of_job
from scheduler.stores.runs.rollups.hours import HourCounts
from scheduler.stores.runs.rollups.keys import HOUR_PREFIX, format_hour
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import get_page, visible_text
from tests.scheduler.fakes import VirtualClock, entry

JOBS = [entry("checkout", tags={"team": "pay"}), entry("search", tags={"team": "find"})]
HOUR = timedelta(hours=1)
PAGE = "/api/dashboard/jobs/checkout"


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


async def test_the_page_of_a_job_marks_a_change_and_leads_with_the_newest() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await count_hours(client, (180, 100), (320, 50))
        at = client.shop.clock.now().replace(minute=0, second=0, microsecond=0) - 50 * HOUR
        await client.services.repositories.markers.put(
            DeploymentMarker("1", at - timedelta(minutes=2), "checkout <41>")
        )
        page = await get_page(client, PAGE, period="7d")
        narrow = await get_page(client, PAGE, period="24h")

    text = visible_text(page)
    assert f"Slower since {at:%a %d %b %H:%M}: p95 208 ms to 369 ms; deployment 2 min before: checkout <41>" in text
    assert 'class="chart-marker level"' in page
    assert f"p95 208 ms until {at:%a %d %b %H:%M}, 369 ms since" in text
    assert "checkout <41>" not in page, "escaped"
    assert "Slower since" in narrow
    assert 'class="chart-marker level"' not in narrow, "outside of the period"


async def test_pages_find_the_changes_of_a_job_once_an_hour_and_show_later_marks_at_once() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await count_hours(client, (180, 100), (320, 50))
        services, clock = client.services, VirtualClock(client.shop.clock.now())
        markers = JobMarkerReader(services.audit_queries, services.markers)
        trends = TrendReader(services.catalog, services.runs, markers, clock)
        first = await trends.read_recent(LOCAL_PRINCIPAL, "checkout", UTC)
        await count_hours(client, (180, 150))
        at = first[0].at - timedelta(minutes=2)
        await client.services.repositories.markers.put(DeploymentMarker("1", at, "checkout"))
        again = await trends.read_recent(LOCAL_PRINCIPAL, "checkout", UTC)
        assert (len(first), [each.at for each in again]) == (1, [first[0].at])
        assert [each.text for each in again[0].nearby] == ["checkout"]
        clock.move(3601)
        assert await trends.read_recent(LOCAL_PRINCIPAL, "checkout", UTC) == []
