"""`stats` and `export`: figures and rows of runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.parts.http_target import HttpTarget
from tests.scheduler.cli.invocation import invoke, invoke_concurrently
from tests.scheduler.cli.job_files import write_jobs


async def test_a_run_is_counted_and_exported(job_folder: Path) -> None:
    async with HttpTarget() as target:
        check = {"check": {"url": f"{target.url}/health"}, "tags": {"team": "pay"}}
        write_jobs(job_folder, checkout_api=check, other=f"{target.url}/health")
        await invoke_concurrently("run", "checkout-api")

        shown = await invoke_concurrently("stats", "checkout-api", "--window", "7d")
        by_team = await invoke_concurrently("stats", "--tag", "team", "--json")
        terminal = await invoke_concurrently("stats", terminal=True)
        slowest = await invoke_concurrently("stats", "--slowest", "tag:team", "--sort", "slower")
        compared = await invoke_concurrently("stats", "checkout-api", "--with", "other")
        trend = await invoke_concurrently("stats", "checkout-api", "--trend", terminal=True)
        runs = await invoke_concurrently("export", "runs", "--format", "csv")
        stats = await invoke_concurrently("export", "stats", "--name", "checkout-*")

    header, row = [line.split("\t") for line in shown.lines]
    assert dict(zip(header, row, strict=True))["succeeded"] == "1"
    assert "runs due from" in shown.stderr
    answer = json.loads(by_team.stdout)
    assert (answer["tag"], answer["by_value"][0]["value"], answer["stats"]["runs"]) == ("team", "pay", 1)
    assert "from" in answer["stats"]
    assert "100.000%" in terminal.stdout
    assert [line.split("\t")[:3] for line in slowest.lines] == [["value", "jobs", "runs"], ["pay", "1", "1"]]
    assert "the first 1 of 1, 0 got slower: runs due from" in slowest.stderr
    assert "this: checkout-api" in compared.stderr
    assert compared.lines[1].split("\t")[:4] == ["runs", "runs", "1", "0"]
    assert "weekdays: not known: 4 of the 4 weeks before have no runs" in trend.stderr
    assert "not known" in trend.stdout
    assert [line.split(",")[1] for line in runs.stdout.splitlines()] == ["job", "checkout-api", "1"]
    assert [json.loads(line).get("job") for line in stats.stdout.splitlines()] == ["checkout-api", None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("stats", "--window", "2d"), "--window: expected one of 24h, 7d, 30d, 90d, 365d, got '2d'"),
        (("stats", "--month", "2026-13"), "--month: "),
        (("stats", "--timezone", "Nowhere"), "--timezone: "),
        (("stats", "--slowest", "team"), "--slowest: expected job, host or tag:KEY, got 'team'"),
        (("stats", "checkout-api", "--compare", "deployment"), "--compare: no deployment is marked"),
        (("stats", "--sort", "slower"), "--sort: expected with --slowest"),
        (("stats", "--trend", "--compare", "week"), "--trend: expected without --compare"),
        (("stats", "nothing"), "there is no job named 'nothing'"),
        (("export", "runs", "--window", "7d"), "--window, --name and --tag apply to stats"),
        (("export", "stats", "--job", "a"), "--job and --outcome apply to runs"),
        (("export", "runs", "--outcome", "good"), "--outcome: expected one of"),
        (("export", "runs", "--from", "2026-11-02", "--month", "2026-11"), "--month: "),
    ],
)
def test_what_is_wrong_is_named(job_folder: Path, arguments: tuple[str, ...], message: str) -> None:
    write_jobs(job_folder, checkout_api="http://127.0.0.1:9/health")

    output = invoke(*arguments)

    assert output.code == 2
    assert message in output.stderr
