"""Statistics and exports over the API."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jobs.runs import Attempt, Outcome, Phases
from scheduler import turns
from scheduler.features.statistics import comparison, exports, routes, slowest
from scheduler.features.statistics.periods import Period
from tests.parts.turns import counted_turns
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import NOON, run_of

JOBS = [entry("checkout", tags={"team": "pay"}), entry("search", tags={"team": "find"}), entry("other")]


ATTEMPT = Attempt(1, NOON, Phases(total_ms=30), 200)


async def store(
    client: ApiClient, job: str, seconds: float, outcome: Outcome = Outcome.SUCCEEDED, **more: object
) -> None:
    ticket = client.shop.ticket(seconds, job)
    await client.store_finished(ticket, replace(run_of(ticket), outcome=outcome, **more))


async def test_the_statistics_of_a_job() -> None:
    async with ApiClient(jobs=JOBS) as client:
        for second in (-120, -60):
            await store(client, "checkout", second)
        await store(client, "checkout", -30, Outcome.FAILED)
        answer = await client.get("/api/jobs/checkout/stats", window="24h", timezone="Europe/Berlin")
    body = answer.json()
    stats = body["stats"]
    assert (answer.status_code, body["job"], stats["runs"], stats["complete"]) == (200, "checkout", 3, True)
    assert stats["outcomes"] == {
        "succeeded": 2,
        "failed": 1,
        "timed_out": 0,
        "rejected": 0,
        "skipped": 0,
        "cancelled": 0,
    }
    assert (stats["success_rate"], stats["uptime"]) == (0.666667, 0.666667)
    assert stats["duration"]["p95"] == pytest.approx(33, rel=0.05)
    assert sum(hour["runs"] for hour in stats["busiest_hours"]) == 3
    assert stats["before"]["runs_change"] == 3
    assert stats["from"] < stats["to"]


async def test_the_statistics_of_all_jobs_and_of_the_values_of_a_tag() -> None:
    async with ApiClient(jobs=JOBS) as client:
        for number, job in enumerate(("checkout", "search", "other"), start=1):
            for second in range(number):
                await store(client, job, -60 - second)
        everything = (await client.get("/api/stats")).json()
        teams = (await client.get("/api/stats", tag="team", window="7d")).json()
        one = (await client.get("/api/stats", tag="team=pay")).json()
    assert (everything["jobs"], everything["stats"]["runs"], everything["by_value"]) == (3, 6, [])
    assert (teams["jobs"], teams["tag"], teams["stats"]["runs"]) == (2, "team", 3)
    assert [(each["value"], each["jobs"], each["stats"]["runs"]) for each in teams["by_value"]] == [
        ("find", 1, 2),
        ("pay", 1, 1),
    ]
    assert (one["jobs"], one["stats"]["runs"], one["by_value"]) == (1, 1, [])


async def test_the_slowest_jobs_hosts_and_tags_with_their_change_to_the_period_before() -> None:
    async with ApiClient(jobs=JOBS) as client:
        for job, seconds, ms in (("checkout", -60, 30), ("search", -60, 500), ("search", -86400 * 1.5, 1000)):
            await store(client, job, seconds, attempts=(replace(ATTEMPT, phases=Phases(total_ms=ms)),))
        by_p95 = (await client.get("/api/stats/slowest")).json()
        by_change = (await client.get("/api/stats/slowest", sort="change", limit="1")).json()
        by_team = (await client.get("/api/stats/slowest", by="tag:team", sort="name", tag="team=pay")).json()
        wrong = await client.get("/api/stats/slowest", by="team")
    assert [(row["value"], row["runs"]) for row in by_p95["rows"]] == [("search", 1), ("checkout", 1)]
    search = by_p95["rows"][0]
    assert (search["p95"], search["p95_before"]) == (pytest.approx(500, rel=0.05), pytest.approx(1000, rel=0.05))
    assert search["p95_change_ratio"] == pytest.approx(search["p95"] / search["p95_before"] - 1, abs=1e-3)
    assert (by_change["groups"], [row["value"] for row in by_change["rows"]]) == (2, ["search"])
    assert [(row["value"], row["jobs"]) for row in by_team["rows"]] == [("pay", 1)]
    assert wrong.json()["errors"][0]["location"] == "query.by"


async def test_what_got_slower_is_first_by_its_ratio_above_a_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slowest, "MIN_USUAL", 2)
    jobs = [entry(name, tags={"team": "pay"}) for name in ("doubled", "little", "more", "rare", "short")]
    times = {"doubled": (100, 200), "little": (1000, 1100), "more": (100, 150), "rare": (100, 900), "short": (2, 9)}
    async with ApiClient(jobs=[*jobs, entry("untagged")]) as client:
        for job, of_job in times.items():
            for ms, days in zip(of_job, (1, 0), strict=True):
                for second in range(1 if job == "rare" else 2):
                    attempts = (replace(ATTEMPT, phases=Phases(total_ms=ms)),)
                    await store(client, job, -60 - second - days * 86400 * 1.1, attempts=attempts)
        await store(client, "untagged", -60)
        found = (await client.get("/api/stats/slowest", sort="slower", tag="team=pay")).json()
        first = (await client.get("/api/stats/slowest", sort="slower", tag="team=pay", limit="1")).json()
    assert [row["value"] for row in found["rows"]] == ["doubled", "more", "rare", "short", "little"]
    assert [row["slower"] for row in found["rows"]] == [True, True, False, False, False]
    assert (first["slower"], len(first["rows"])) == (2, 1)


async def test_two_periods_are_as_long_as_each_other_and_their_figures_have_differences() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await store(client, "checkout", -60, Outcome.FAILED)
        for seconds in (-86400 * 7 - 60, -86400 * 7 - 120):
            await store(client, "checkout", seconds)
        week = (await client.get("/api/stats/comparison", job="checkout", preset="weekday")).json()
        other = (await client.get("/api/stats/comparison", job="checkout", other_job="search", window="7d")).json()
        chosen = (
            await client.get("/api/stats/comparison", tag="team=pay", **{"from": "3h", "other_from": "171h"})
        ).json()
    figures = {figure["name"]: figure for figure in week["figures"]}
    assert (figures["runs"]["this"], figures["runs"]["other"], figures["runs"]["difference"]) == (1, 2, -1)
    assert (figures["success_rate"]["difference"], figures["success_rate"]["worse"]) == (-1, True)
    assert {figure["name"] for figure in week["figures"]} >= {"downtime", "response_time_p95", "lateness_p95"}
    assert (other["this"]["from"], other["other"]["of"]) == (other["other"]["from"], "search")
    for found in (week, other, chosen):
        lengths = {length_of(found[side]) for side in ("this", "other")}
        assert len(lengths) == 1
        assert found["points"]


DAY = 86400


async def store_weeks(client: ApiClient, job: str, times_ms: list[float]) -> None:
    """Store a run now, one a day ago, and one in each week before, with these response times."""
    for ago, ms in zip((0, 1, 7, 14, 21, 28), times_ms, strict=False):
        attempts = (replace(ATTEMPT, phases=Phases(total_ms=ms)),)
        await store(client, job, -60 - ago * DAY, attempts=attempts)


async def test_a_trend_is_against_the_period_before_and_the_median_of_the_same_weekdays() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await store_weeks(client, "checkout", [300, 200, 100, 100, 5000, 100])
        found = (await client.get("/api/stats/comparison", job="checkout", preset="trend", window="24h")).json()
        plain = (await client.get("/api/stats/comparison", job="checkout")).json()
    figures = {figure["name"]: figure for figure in found["figures"]}
    p95 = figures["response_time_p95"]
    assert found["weekdays"] == {"known": True, "summary": "the median of the same weekdays of the 4 weeks before"}
    assert (p95["this"], p95["other"]) == (pytest.approx(300, rel=0.05), pytest.approx(200, rel=0.05))
    assert p95["weekdays"]["other"] == pytest.approx(100, rel=0.05)
    assert p95["weekdays"]["difference_ratio"] == pytest.approx(2, rel=0.15)
    assert p95["weekdays"]["worse"] is True
    assert figures["runs"]["weekdays"]["difference"] == 0
    assert figures["success_rate"]["weekdays"]["worse"] is None
    assert {"response_time_p50", "duration_p50", "duration_p95", "lateness_p95"} <= {*figures}
    assert figures["downtime"]["weekdays"] is None
    assert (plain["weekdays"], plain["figures"][0]["weekdays"]) == (None, None)


async def test_the_same_weekdays_are_not_known_where_history_is_missing() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await store_weeks(client, "checkout", [300, 200, 100, 100])
        short = (await client.get("/api/stats/comparison", job="checkout", preset="trend")).json()
        long = (await client.get("/api/stats/comparison", job="checkout", preset="trend", window="30d")).json()
        first = await client.get(
            "/api/stats/comparison", preset="trend", **{"from": "1970-01-02T02:00", "to": "1970-01-02T02:30"}
        )
    assert short["weekdays"]["summary"] == ("not known: 2 of the 4 weeks before have no runs, or not all are counted")
    assert long["weekdays"]["summary"] == "not known: the period is longer than a week"
    assert all(figure["weekdays"] is None for figure in (*short["figures"], *long["figures"]))
    assert (first.status_code, first.json()["weekdays"]["known"]) == (200, False)


async def test_the_trend_of_many_jobs_is_of_complete_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "MAX_JOBS_OF_HOURS", 2)
    async with ApiClient(jobs=JOBS) as client:
        found = (await client.get("/api/stats/comparison", preset="trend")).json()
        few = (await client.get("/api/stats/comparison", preset="trend", tag="team")).json()
    assert found["this"]["to"].endswith("T00:00:00Z")
    assert found["other"]["to"] == found["this"]["from"]
    assert length_of(found["this"]) == timedelta(days=1) < length_of(few["this"])


def test_the_same_weekdays_have_the_same_local_hours_across_a_change_of_the_clocks() -> None:
    zone = ZoneInfo("Europe/Berlin")
    begin = datetime(2026, 11, 4, 9, tzinfo=zone)
    periods = comparison.list_same_weekdays(Period.covering(begin, begin + timedelta(hours=8)), zone)
    local = [period.since.astimezone(zone) for period in periods]
    assert [(each.day, each.hour) for each in local] == [(28, 9), (21, 9), (14, 9), (7, 9)]
    assert {period.until - period.since for period in periods} == {timedelta(hours=8)}


def length_of(side: dict[str, str]) -> timedelta:
    return datetime.fromisoformat(side["to"]) - datetime.fromisoformat(side["from"])


async def test_the_time_after_a_deployment_is_compared_with_as_much_before_it() -> None:
    async with ApiClient(jobs=JOBS) as client:
        at = client.shop.clock.now() - timedelta(hours=3, minutes=30)
        await client.post_json("/api/markers", {"text": "release 42", "at": at.isoformat(), "tags": {"team": "pay"}})
        found = (await client.get("/api/stats/comparison", job="checkout", preset="deployment")).json()
        none = await client.get("/api/stats/comparison", job="search", preset="deployment")
    assert found["deployment"] == "release 42"
    assert datetime.fromisoformat(found["other"]["to"]) <= at < datetime.fromisoformat(found["this"]["from"])
    assert length_of(found["this"]) == length_of(found["other"]) >= timedelta(hours=3)
    assert (none.status_code, none.json()["errors"][0]["location"]) == (422, "query.preset")


@pytest.mark.parametrize(
    ("path", "query", "status", "location"),
    [
        ("/api/jobs/nothing/stats", {}, 404, None),
        ("/api/stats/comparison", {"job": "nothing"}, 404, None),
        ("/api/stats/comparison", {"job": "checkout", "other_from": "soon"}, 422, "query.from"),
        ("/api/stats", {"window": "2d"}, 400, "query.window"),
        ("/api/stats", {"month": "2026-13"}, 400, "query.month"),
        ("/api/stats", {"month": "2026-11", "from": "24h"}, 422, "query.month"),
        ("/api/stats", {"month": "2026-11", "window": "7d"}, 422, "query.window"),
        ("/api/stats", {"timezone": "Berlin"}, 422, "query.timezone"),
        ("/api/stats", {"from": "nonsense"}, 422, "query.from"),
        ("/api/stats", {"from": "0001-01-01T00:00:00Z", "to": "0001-01-02T00:00:00Z"}, 200, None),
        ("/api/stats", {"to": "9999-12-31T23:59:59Z"}, 200, None),
        ("/api/exports/runs", {"job": "nothing"}, 404, None),
        ("/api/exports/runs", {"format": "xml"}, 400, "query.format"),
        ("/api/exports/stats", {"month": "1969-01"}, 400, "query.month"),
    ],
)
async def test_what_is_wrong_is_named(path: str, query: dict[str, str], status: int, location: str | None) -> None:
    async with ApiClient(jobs=JOBS) as client:
        answer = await client.get(path, **query)
    assert answer.status_code == status, answer.text
    if location is not None:
        assert [error["location"] for error in answer.json()["errors"]] == [location]


async def test_runs_are_exported_as_json_lines_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "RUNS_PER_PAGE", 3)
    monkeypatch.setattr(exports, "LINES_PER_CHUNK", 2)
    async with ApiClient(jobs=JOBS) as client:
        for second in range(8):
            await store(client, "checkout", -60 - second)
        await store(client, "search", -60, Outcome.FAILED)
        await client.enqueue("other", 60)
        answer = await client.get("/api/exports/runs", **{"from": "1h", "to": "2100-01-01"})
        failed = await client.get("/api/exports/runs", outcome="failed")
        of_job = await client.get("/api/exports/runs", job="search")
    *rows, last = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert "attachment" in answer.headers["content-disposition"]
    assert last == {"complete": True, "rows": 10}
    assert len({row["id"] for row in rows}) == 10
    assert [row["outcome"] for row in rows].count("queued") == 1
    assert tuple(rows[1]) == exports.RUN_FIELDS
    assert json.loads(failed.text.splitlines()[0])["job"] == json.loads(of_job.text.splitlines()[0])["job"] == "search"


async def test_a_cell_of_csv_is_no_formula() -> None:
    async with ApiClient(jobs=JOBS) as client:
        evil = '=HYPERLINK("http://evil.example","x")\r\n\x1b[31m\u202e'
        await store(client, "checkout", -60, Outcome.FAILED, message=evil, endpoint=" @cmd", tags={"a": "=1"})
        answer = await client.get("/api/exports/runs", format="csv")
        lines = (await client.get("/api/exports/runs")).text
    header, row, last = csv.reader(io.StringIO(answer.text))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert tuple(header) == exports.RUN_FIELDS
    cells = dict(zip(header, row, strict=True))
    assert cells["message"].startswith("'=HYPERLINK")
    assert cells["message"].isprintable()
    assert (cells["endpoint"], cells["tags"]) == ("' @cmd", '{"a":"=1"}')
    assert last == ["# complete", "1"]
    assert lines.isascii()


async def test_a_month_in_a_time_zone_has_the_runs_of_its_days() -> None:
    async with ApiClient(jobs=JOBS) as client:
        now = client.shop.clock.now()
        month = f"{now:%Y-%m}"
        await store(client, "checkout", -60)
        inside = await client.get("/api/exports/runs", month=month, timezone="Europe/Berlin")
        outside = await client.get("/api/exports/runs", month="2020-01", timezone="Europe/Berlin")
    assert json.loads(inside.text.splitlines()[-1]) == {"complete": True, "rows": 1}
    assert outside.text == '{"complete":true,"rows":0}\n'


async def test_the_statistics_of_each_job_are_exported() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await store(client, "checkout", -60)
        answer = await client.get("/api/exports/stats", window="7d", format="csv")
        selected = await client.get("/api/exports/stats", name="s*")
    header, *rows, last = csv.reader(io.StringIO(answer.text))
    assert tuple(header) == exports.STATS_FIELDS
    assert [(row[0], row[4]) for row in rows] == [("checkout", "1"), ("other", "0"), ("search", "0")]
    assert last == ["# complete", "3"]
    assert [json.loads(line).get("job") for line in selected.text.splitlines()] == ["search", None]


async def test_an_export_that_the_store_cuts_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "RUNS_PER_PAGE", 2)
    monkeypatch.setattr(exports, "LINES_PER_CHUNK", 2)
    async with ApiClient(jobs=JOBS) as client:
        for second in range(8):
            await store(client, "checkout", -60 - second)
        list_runs = client.services.queries.list_runs
        pages = 0

        async def broken(**more: object) -> object:
            nonlocal pages
            pages += 1
            if pages == 3:
                client.break_store()
            return await list_runs(**more)

        monkeypatch.setattr(type(client.services.queries), "list_runs", lambda self, **more: broken(**more))
        cut = await client.get("/api/exports/runs")
        away = await client.get("/api/exports/runs")
    assert (cut.status_code, cut.text.splitlines()[-1]) == (200, '{"complete":false,"rows":4}')
    assert away.status_code == 503


@pytest.mark.parametrize("format", exports.ExportFormat)
async def test_other_tasks_run_between_the_rows_of_a_page(
    format: exports.ExportFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MAX_STEP", 0.0)
    seen = list[int]()

    async def pages() -> exports.Rows:
        yield ({"number": seen.append(counted.number) or each} for each in range(30))

    async with counted_turns() as counted:
        lines = [chunk async for chunk in exports.export_lines(["number"], pages(), format, turns.SharedTurns())]
    assert len(set(seen)) == 30
    assert "".join(lines).count("\n") == 31 + (format is exports.ExportFormat.CSV)


async def test_the_values_of_a_tag_are_the_end_of_the_statistics_and_are_serialized_in_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "MAX_STEP", 0.0)
    seen = list[int]()
    create = routes.view_group
    monkeypatch.setattr(routes, "view_group", lambda group: seen.append(counted.number) or create(group))
    jobs = [entry(f"job-{each}", tags={"team": f"team-{each}"}) for each in range(30)]
    async with ApiClient(jobs=jobs) as client, counted_turns() as counted:
        body = (await client.get("/api/stats", tag="team")).json()
    assert [*body] == ["jobs", "stats", "tag", "by_value"]
    assert sorted(each["value"] for each in body["by_value"]) == sorted(f"team-{each}" for each in range(30))
    assert len(set(seen)) == 30
