"""What the charts of a job compare its runs with, and the numbers of each chart as CSV."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.alerting.rule import AlertRule
from jobs.runs import Outcome, Phases
from scheduler.api.dashboard.chart_reading import list_limits, read_context
from scheduler.api.dashboard.job_charts import ChartContext, draw_job_charts
from scheduler.api.dashboard.rendering.axes import TimeAxis
from scheduler.api.dashboard.rendering.charts import Chart
from scheduler.api.dashboard.rendering.formatting import NOTHING, milliseconds, percent
from scheduler.features.statistics.sums import RunSeries, SeriesPoint, sum_runs_of_period
from scheduler.stores.runs.rollups.tally import Tally
from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, visible_text
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import run_of

ONCE: dict[str, Any] = {"retry": {"attempts": 1}}
PAGE = "/api/dashboard/jobs/checkout"
HOUR = timedelta(hours=1)
SINCE = datetime(2026, 3, 1, 6, tzinfo=UTC)


async def store_runs(client: ApiClient, *minutes_ago: float, total_ms: float = 100.0) -> None:
    """Runs that took so long: a tenth of it each for DNS and the connection, three for the answer."""
    for minutes in minutes_ago:
        ticket = client.shop.ticket(-60.0 * minutes)
        run = run_of(ticket)
        phases = Phases(total_ms / 10, total_ms / 10, None, 3 * total_ms / 10, total_ms)
        await client.store_finished(ticket, replace(run, attempts=(replace(run.attempts[0], phases=phases),)))


@virtual_time
async def test_the_csv_of_a_chart_has_the_numbers_of_the_table() -> None:
    async with ApiClient(answer(), REFUSED, answer(), jobs=[entry(**ONCE)]) as client:
        for hours in (-3.0, -1.5, -0.1):
            await client.perform(seconds=hours * 3600)
        page = await get_page(client, PAGE, period="24h")
        links = [link for link in find_links(page) if "csv=" in link]
        sent = {link.split("csv=")[1].split("&")[0]: await client.get(link.replace("&amp;", "&")) for link in links}

    rows = {key: [*csv.DictReader(io.StringIO(each.text))] for key, each in sent.items()}
    assert all(each.headers["content-type"].startswith("text/csv") for each in sent.values())
    assert "attachment" in sent["runs"].headers["content-disposition"]
    columns = [
        ("runs", lambda row: f"{int(row['down']) + int(row['succeeded'])}"),
        ("runs", lambda row: row["down"]),
        ("success", lambda row: percent(float(row["success_ratio"]))),
        *(("response_time", lambda row, p=p: milliseconds(float(row[f"{p}_ms"]))) for p in ("p50", "p95", "p99")),
        ("lateness", lambda row: milliseconds(float(row["p95_ms"]))),
    ]
    table = page.split('id="numbers-table"')[1].split("<tbody>")[1].split("</tbody>")[0]
    shown = [re.findall(r'<td class="number">([^<]*)</td>', row) for row in table.split("</tr>") if "<td" in row]
    read = [[form(row) for row in reversed(rows[key])] for key, form in columns]
    assert shown == [list(row) for row in zip(*read, strict=True)]
    assert len(shown) == 3
    assert all(NOTHING not in row for row in shown)


@virtual_time
async def test_an_unknown_chart_is_named() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        await client.perform()
        sent = await client.get(PAGE, csv="x")
    assert sent.status_code == 400
    assert "response_time, runs, success, lateness" in sent.text


@virtual_time
async def test_incidents_windows_and_limits_are_drawn_and_named_below() -> None:
    alerts = [{"name": "slow", "when": {"response_time_above": "50ms", "window": "30m"}}]
    async with ApiClient(jobs=[entry(alerts=alerts, slo={"target": 99.0})]) as client:
        await store_runs(client, *range(1, 50, 5))
        window = {"select": {"jobs": "checkout"}, "for": "30m", "reason": "rollout <b>", "change_id": "CHG0042"}
        await client.post_json("/api/windows", window)
        await client.shop.clock.sleep(60)
        page = await get_page(client, PAGE)

    assert '<g class="chart-band maintenance"><title>maintenance ' in page
    assert "rollout &lt;b&gt;" in page
    assert "1 time of incidents and maintenance, shaded in the charts" in visible_text(page)
    assert "slow: p95 above 50 ms" in page
    assert "objective 99 %" in page


def test_limits_are_those_of_the_rules_that_name_a_number() -> None:
    conditions = [
        {"response_time_above": "2s"},
        {"lateness_above": "1m"},
        {"success_rate_below": "95%"},
        {"failed": True},
    ]
    rules = [AlertRule.model_validate({"name": f"r{number}", "when": when}) for number, when in enumerate(conditions)]
    limits = list_limits(entry(slo={"target": 99.5}).job, rules)
    assert {key: [(each.value, each.text) for each in found] for key, found in limits.items()} == {
        "response_time": [(2000.0, "r0: p95 above 2 s")],
        "lateness": [(60_000.0, "r1: above 60 s")],
        "success": [(0.95, "r2: below 95 %"), (0.995, "objective 99.5 %")],
    }


@virtual_time
async def test_the_period_before_and_usual_times_are_compared() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        await store_runs(client, *(24 * 60 * day - 30 - minute for day in (3, 4) for minute in range(0, 24, 2)))
        await store_runs(client, 24 * 60 + 30, total_ms=400.0)
        now = client.shop.clock.now()
        context = await read_context(client.services, "checkout", now - 24 * HOUR, now + HOUR)

    assert context.shift == timedelta(days=1)
    assert context.before is not None
    assert context.before.total.runs == 1
    low, high = context.usual[(now + 0.6 * HOUR).hour]
    assert (low, high) == pytest.approx((100, 100), rel=0.05)


def draw(series: RunSeries, context: ChartContext | None = None, hours: int = 6) -> dict[str, Chart]:
    axis = TimeAxis(SINCE, SINCE + hours * HOUR, UTC)
    return {each.spec.key: each for each in draw_job_charts(series, axis, SINCE, context or ChartContext())}


def tally_of(**outcomes: int) -> Tally:
    tally = Tally()
    for name, count in outcomes.items():
        tally.outcomes[list(Outcome).index(Outcome(name))] = count
    tally.response_time.add(100.0)
    return tally


def test_runs_are_columns_of_each_result_and_success_leaves_out_what_did_not_run() -> None:
    points = [SeriesPoint(SINCE, tally_of(succeeded=3, failed=1, skipped=2)), SeriesPoint(SINCE + HOUR, Tally())]
    charts = draw(RunSeries(HOUR, points), hours=2)
    assert {line.name: list(line.values) for line in charts["runs"].spec.lines} == {
        "down": [1, None],
        "succeeded": [3, None],
        "others": [2, None],
    }
    assert charts["success"].spec.lines[0].values == [0.75, None]
    assert charts["success"].spec.lines[0].total == 0.75


def test_legends_have_the_numbers_of_the_whole_period() -> None:
    tallies = [tally_of(succeeded=1) for _ in range(3)]
    tallies[2].response_time.add(9000.0)
    points = [SeriesPoint(SINCE + number * HOUR, tally) for number, tally in enumerate(tallies)]
    (p50, *_) = draw(RunSeries(HOUR, points))["response_time"].lines
    assert p50.total == milliseconds(tallies[0].response_time.quantile(0.5))


def test_the_line_of_the_period_before_is_shifted_and_omitted_where_spans_differ() -> None:
    points = [SeriesPoint(SINCE + number * HOUR, tally_of(succeeded=1)) for number in range(3)]
    before = RunSeries(HOUR, [replace(points[1], start=points[1].start - timedelta(days=1))])
    shifted = draw(RunSeries(HOUR, points), ChartContext(before, timedelta(days=1)))["response_time"]
    other = draw(RunSeries(HOUR, points), ChartContext(replace(before, span=2 * HOUR), timedelta(days=1)))

    ghost = shifted.spec.lines[-1]
    assert ghost.name == "p50 1 d before"
    assert [value is None for value in ghost.values] == [True, False, True]
    assert len(other["response_time"].spec.lines) == 3


@virtual_time
async def test_phases_of_a_short_period_are_stacked_to_the_mean_response_time() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        await store_runs(client, 10, 20, total_ms=100.0)
        await store_runs(client, 30, total_ms=400.0)
        now = client.shop.clock.now()
        short = await client.services.stats.read_series("checkout", now - HOUR, now)
        day = await client.services.stats.read_series("checkout", now - 24 * HOUR, now)

    phases = draw(replace(short, points=short.points))["phases"]
    names = [line.name for line in phases.spec.lines]
    sums = [sum(value or 0.0 for value in row.values) for row in phases.rows]
    assert names == ["DNS", "connect", "TLS", "first byte", "body"]
    assert sums == pytest.approx([400.0, 100.0, 100.0])
    assert phases.rows[0].values == pytest.approx([40.0, 40.0, 0.0, 120.0, 200.0])
    assert "phases" not in draw(day)


def test_runs_without_phases_have_no_such_chart() -> None:
    assert "phases" not in draw(sum_runs_of_period([], SINCE, SINCE + HOUR))
