"""`jobs`: what is in force, when it runs next, how it went last."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scheduler.features.jobs import commands
from tests.parts.http_target import HttpTarget
from tests.scheduler.cli.invocation import invoke, invoke_concurrently
from tests.scheduler.cli.job_files import write_jobs

URL = "http://127.0.0.1:9/health"


@pytest.fixture
def _jobs(job_folder: Path) -> None:
    write_jobs(
        job_folder,
        checkout_api={"schedule": "0 0 0 1 1 *", "check": {"url": f"{URL}?key=1"}},
        off={"enabled": False, "schedule": {"every": "1m"}, "check": {"url": URL}},
        on_demand=URL,
        never={"schedule": "0 0 0 30 2 *", "check": {"url": URL}},
    )


@pytest.mark.usefixtures("_jobs")
def test_jobs_are_lines_of_tabs_in_a_pipe() -> None:
    output = invoke("jobs")

    rows = [line.split("\t") for line in output.lines]
    assert (output.code, output.stderr) == (0, "")
    titles = ["name", "schedule", "next_at", "latest", "latest_at", "endpoint", "pause", "depends_on"]
    assert rows[0] == [*titles, "status", "target", "reason"]
    assert rows[1][0:2] == ["checkout-api", "0 0 0 1 1 *"]
    assert rows[1][2].endswith("-01-01T00:00:00.000Z")
    assert rows[1][3:] == ["", "", URL, "", "", "unknown", f"GET {URL}", ""]
    assert [row[0] for row in rows[2:]] == ["never", "off", "on-demand"]
    assert {row[2] for row in rows[2:]} == {""}


@pytest.mark.usefixtures("_jobs")
def test_a_terminal_reports_when_each_job_runs_next_or_why_not() -> None:
    rows = {line.split()[0]: line for line in invoke("jobs", terminal=True).lines if line.strip()}

    assert "in " in rows["checkout-api"]
    assert "-01-01 00:00:00 UTC" in rows["checkout-api"]
    assert "disabled" in rows["off"]
    assert "on demand" in rows["on-demand"]
    assert "never" in rows["never"].removeprefix("never")


@pytest.mark.usefixtures("_jobs")
def test_json_is_what_the_api_lists() -> None:
    reported = json.loads(invoke("jobs", "--json").stdout)

    assert [job["name"] for job in reported["jobs"]] == ["checkout-api", "never", "off", "on-demand"]
    assert reported["jobs"][0]["endpoint"] == URL
    assert reported["continuation"] is None


async def test_the_latest_run_is_shown(job_folder: Path) -> None:
    async with HttpTarget() as target:
        write_jobs(job_folder, checkout_api=f"{target.url}/health")
        await invoke_concurrently("run", "checkout-api")

        assert (await invoke_concurrently("jobs")).lines[1].split("\t")[3] == "succeeded"
        assert re.search(r"succeeded, (now|\d+ s ago)", (await invoke_concurrently("jobs", terminal=True)).stdout)


async def test_a_job_that_is_down_and_one_that_waits_for_it_show_why(job_folder: Path) -> None:
    async with HttpTarget() as target:
        target.on("/broken", 503)
        check: dict[str, Any] = {"check": {"url": f"{target.url}/broken?key=c4nary"}, "retry": {"attempts": 1}}
        write_jobs(
            job_folder,
            database=check,
            report={"check": {"url": target.url}, "depends_on": ["database"]},
        )
        await invoke_concurrently("run", "database")
        piped = {line.split("\t")[0]: line.split("\t") for line in (await invoke_concurrently("jobs")).lines}
        shown = (await invoke_concurrently("jobs", terminal=True)).stdout

    assert piped["database"][8:] == [
        "down",
        f"GET {target.url}/broken",
        "Answered 503 Service Unavailable, expected 2xx.",
    ]
    assert piped["report"][8] == "waiting for database"
    assert piped["report"][10].startswith("dependency run database@")
    assert "waiting for database" in " ".join(shown.split())
    assert "c4nary" not in shown


@pytest.mark.usefixtures("_jobs")
def test_many_jobs_are_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_PAGE", 1)

    assert len(invoke("jobs").lines) == 5


def test_a_job_shows_what_it_depends_on(job_folder: Path) -> None:
    write_jobs(
        job_folder,
        database={"schedule": {"every": "1m"}, "check": {"url": URL}},
        report={"check": {"url": URL}, "depends_on": [{"job": "database", "condition": "failed"}]},
        mail={"schedule": {"every": "1m"}, "check": {"url": URL}, "depends_on": ["database"]},
    )

    piped = {line.split("\t")[0]: line.split("\t") for line in invoke("jobs").lines}
    shown = {line.split()[0]: line for line in invoke("jobs", terminal=True).lines if line.strip()}

    assert (piped["report"][1], piped["report"][7]) == ("", "database (failed)")
    assert "after database (failed)" in shown["report"]
    assert "on demand" not in shown["report"]
    assert "every 1m if database" in shown["mail"]


@pytest.fixture
def _tagged(job_folder: Path) -> None:
    write_jobs(
        job_folder,
        checkout_api={"check": {"url": URL}, "tags": {"team": "payments"}},
        checkout_page={"check": {"url": URL}, "tags": {"team": "web"}},
        zone={"check": {"kind": "dns", "name": "a.example"}, "tags": {"team": "web"}, "enabled": False},
    )


@pytest.mark.usefixtures("_tagged")
@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--name", "checkout-*"], ["checkout-api", "checkout-page"]),
        (["--kind", "dns"], ["zone"]),
        (["--tag", "team=web"], ["checkout-page", "zone"]),
        (["--tag", "team", "--state", "enabled"], ["checkout-api", "checkout-page"]),
        (["--state", "disabled", "--state", "paused"], ["zone"]),
        (["--outcome", "none", "--kind", "http", "--name", "*page"], ["checkout-page"]),
    ],
)
def test_jobs_are_chosen_by_options(options: list[str], names: list[str]) -> None:
    output = invoke("jobs", *options)

    assert (output.code, output.stderr) == (0, "")
    assert [line.split("\t")[0] for line in output.lines[1:]] == names


@pytest.mark.usefixtures("_tagged")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--tag", "team=web", "--kind", "tls"],
            "no job matches kind tls and tag team=web; matches among 3 jobs: kind tls 0, tag team=web 2",
        ),
        (
            ["--kind", "dns", "--outcome", "failed"],
            "no job matches kind dns and outcome failed; matches among 3 jobs: kind dns 1, without the outcome 1",
        ),
        (["--outcome", "failed"], "no job matches outcome failed; matches among 3 jobs: 0"),
        (
            ["--tag", "team=wev"],
            "no job matches tag team=wev; matches among 3 jobs: tag team=wev 0 (did you mean team=web?)",
        ),
        (
            ["--name", "checkout-apy", "--kind", "http"],
            "no job matches name checkout-apy and kind http; matches among 3 jobs: name checkout-apy 0 "
            "(did you mean checkout-api?), "
            "kind http 2",
        ),
    ],
)
def test_a_list_without_jobs_reports_which_filter_left_them_out(options: list[str], message: str) -> None:
    piped, shown = invoke("jobs", *options), invoke("jobs", *options, terminal=True)

    assert (piped.code, len(piped.lines), piped.stderr) == (0, 1, f"{message}\n")
    assert (shown.code, shown.stdout, shown.stderr) == (0, "", f"{message}\n")


@pytest.mark.usefixtures("_tagged")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kind", "htp"], "--kind: 'htp' is not allowed, did you mean http?; allowed: http, steps"),
        (["--state", "on"], "--state: 'on' is not allowed; allowed: enabled, paused, disabled"),
        (["--tag", "=web"], "--tag: '=web' has no tag name; use a form such as team or team=payments"),
    ],
)
def test_an_unknown_value_of_an_option_ends_with_2(options: list[str], message: str) -> None:
    output = invoke("jobs", *options)

    assert (output.code, output.stdout) == (2, "")
    assert output.stderr.startswith(message)


def test_without_any_job_the_list_reports_where_they_are_searched(job_folder: Path) -> None:
    output = invoke("jobs")

    assert (output.code, output.stderr) == (0, "there are no jobs: check SCHEDULER_JOBS\n")
