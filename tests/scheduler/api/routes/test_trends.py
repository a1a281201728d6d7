"""The trend of a job: when its level changed, and what was deployed near that."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from jobs.runs import Outcome
from scheduler.features.changes.job_markers import JobMarkerReader
from scheduler.features.trends.queries import TrendReader
from scheduler.identity.principal import LOCAL_PRINCIPAL
from scheduler.stores.markers import DeploymentMarker
from scheduler.stores.port import Upsert
from scheduler.stores.runs.keys import HISTORY_TABLE, shard_of_job
from scheduler.stores.runs.rollups.hours import HourCounts
from scheduler.stores.runs.rollups.keys import HOUR_PREFIX, format_hour
from scheduler.stores.runs.rollups.tally import PLACES
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import get_page, visible_text
from tests.scheduler.fakes import VirtualClock, entry

JOBS = [entry("checkout", tags={"team": "pay"}), entry("search", tags={"team": "find"})]
HOUR = timedelta(hours=1)
PAGE = "/api/dashboard/jobs/checkout"


async def count_hours(client: ApiClient, *levels: tuple[float, int]) -> None:
    """Count 20 runs of this response time in each of so many hours before now, the oldest first."""
    await count_each(client, *((times_of(1, milliseconds), count) for milliseconds, count in levels))


async def count_each(client: ApiClient, *levels: tuple[HourCounts, int]) -> None:
    """Store the same counts of each of so many hours before now, the oldest first."""
    now = client.shop.clock.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    bodies = [counts.encode() for counts, count in levels for _ in range(count)]
    for number, body in enumerate(bodies):
        key = f"{HOUR_PREFIX}checkout~{format_hour(now - (len(bodies) - number) * HOUR)}"
        await client.shop.store.apply(Upsert(HISTORY_TABLE, shard_of_job("checkout"), key, body))


def times_of(histogram: int, milliseconds: float) -> HourCounts:
    """Count 20 runs. `histogram`: the index of those of an hour: durations, response times, lateness."""
    counts = HourCounts()
    for each in range(20):
        counts._count(histogram, milliseconds * (1 + each / 100))
    return counts


def failures_of(failed: int) -> HourCounts:
    """Count 100 runs, of which so many failed."""
    counts = HourCounts()
    counts.outcomes[PLACES[Outcome.SUCCEEDED]] = 100 - failed
    counts.outcomes[PLACES[Outcome.FAILED]] = failed
    return counts


MEASURES: dict[str, tuple[HourCounts, HourCounts, str]] = {
    "duration": (times_of(0, 180), times_of(0, 320), "p95 duration was 208 ms until {at}, 369 ms since"),
    "success_rate": (failures_of(0), failures_of(4), "success rate was 100% until {at}, 96% since"),
    "lateness": (times_of(2, 20), times_of(2, 9000), "p95 lateness was 23 ms until {at}, 10.4 s since"),
}


@pytest.mark.parametrize("measure", MEASURES)
async def test_a_change_of_each_measure_is_reported(measure: str) -> None:
    before, after, text = MEASURES[measure]
    async with ApiClient(jobs=JOBS) as client:
        await count_each(client, (before, 100), (after, 50))
        at = client.shop.clock.now().replace(minute=0, second=0, microsecond=0) - 50 * HOUR
        found = (await client.get("/api/jobs/checkout/trend", measure=measure)).json()
        others = (await client.get("/api/jobs/checkout/trend")).json()

    (change,) = found["changes"]
    assert change["text"] == text.format(at=f"{at:%Y-%m-%d %H:%M} UTC")
    assert (change["measure"], change["is_worse"], found["hours"]) == (measure, True, 150)
    assert others["changes"] == []


async def test_a_level_of_the_success_rate_is_the_rate_of_its_runs() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await count_each(client, (failures_of(20), 100), (failures_of(4), 50))
        found = (await client.get("/api/jobs/checkout/trend", measure="success_rate")).json()

    (change,) = found["changes"]
    assert change["before"] == {"runs": 10000, "success_rate": 0.8, "p50_ms": None, "p95_ms": None, "p99_ms": None}
    assert (change["after"]["success_rate"], change["ratio"], change["is_worse"]) == (0.96, 1.2, False)


async def test_a_success_rate_of_0_before_has_no_ratio() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await count_each(client, (failures_of(100), 100), (failures_of(0), 50))
        found = (await client.get("/api/jobs/checkout/trend", measure="success_rate")).json()
    assert [each["ratio"] for each in found["changes"]] == [None]


async def test_an_unknown_measure_is_refused_with_those_that_exist() -> None:
    async with ApiClient(jobs=JOBS) as client:
        answer = await client.get("/api/jobs/checkout/trend", measure="speed")
    assert answer.status_code == 400
    assert "success_rate" in answer.text


@pytest.mark.parametrize(
    ("counts", "headline"),
    [
        ((failures_of(0), failures_of(4)), "Failing more since {at}: success rate 100% to 96%; nothing was"),
        ((failures_of(4), failures_of(0)), "Failing less since {at}: success rate 96% to 100%; nothing was"),
        ((times_of(0, 320), times_of(0, 180)), "Faster since {at}: p95 duration 369 ms to 208 ms; nothing was"),
        ((times_of(2, 20), times_of(2, 9000)), "Later since {at}: p95 lateness 23 ms to 10.4 s; nothing was"),
    ],
)
async def test_the_page_of_a_job_leads_with_the_change_of_any_measure(
    counts: tuple[HourCounts, HourCounts], headline: str
) -> None:
    before, after = counts
    async with ApiClient(jobs=JOBS) as client:
        await count_each(client, (before, 100), (after, 50))
        at = client.shop.clock.now().replace(minute=0, second=0, microsecond=0) - 50 * HOUR
        text = visible_text(await get_page(client, PAGE, period="7d"))
    assert headline.format(at=f"{at:%a %d %b %H:%M}") in text


async def test_pages_do_not_repeat_a_change_of_the_response_time_as_one_of_the_duration() -> None:
    slow, quick = times_of(1, 320), times_of(1, 180)
    slow.histograms[0], quick.histograms[0] = slow.histograms[1], quick.histograms[1]
    async with ApiClient(jobs=JOBS) as client:
        await count_each(client, (quick, 100), (slow, 50))
        found = await client.services.trends.read_recent(LOCAL_PRINCIPAL, "checkout")
    assert [each.measure for each in found] == ["response_time"]


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
