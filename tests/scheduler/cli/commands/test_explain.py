"""`explain`: schedules in plain English."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scheduler.cli.invocation import invoke

JOBS = """
jobs:
  backup:
    schedule: {cron: 0 30 2 * * *, timezone: Europe/Berlin, dst: {gap: end}}
    check: {url: "http://127.0.0.1:9/health"}
  on-demand:
    check: {url: "http://127.0.0.1:9/health"}
  sleeping:
    enabled: false
    schedule: {every: 1m}
    check: {url: "http://127.0.0.1:9/health"}
"""


@pytest.fixture
def _jobs(job_folder: Path) -> None:
    (job_folder / "jobs.yaml").write_text(JOBS)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("*/5 * * * *",), "Every fifth minute of every hour"),
        (("every 5m",), "Every 5 minutes"),
        (("{every: 5m, offset: 30s}",), "Every 5 minutes, 30 seconds after the full 5 minutes"),
        (("0 0 3 * * *", "--timezone", "Europe/Berlin"), "At 03:00 every day, Europe/Berlin time"),
        (
            ("0 3 * * *", "--timezone", "Europe/Berlin", "--repeat", "both"),
            "At 03:00 every day, Europe/Berlin time (a time that DST repeats is due both times)",
        ),
    ],
)
def test_an_expression_is_explained_on_one_line(words: tuple[str, ...], text: str) -> None:
    output = invoke("explain", *words)

    assert (output.code, output.stderr, output.lines) == (0, "", [text])


@pytest.mark.usefixtures("_jobs")
def test_a_job_is_explained_by_its_schedule() -> None:
    output = invoke("explain", "backup")

    assert output.lines == [
        "At 02:30 every day, Europe/Berlin time (a time that DST skips is due at the end of the gap)"
    ]


@pytest.mark.usefixtures("_jobs")
def test_a_job_that_never_starts_by_itself_is_reported() -> None:
    on_demand, sleeping = invoke("explain", "on-demand"), invoke("explain", "sleeping")

    assert (on_demand.code, on_demand.stdout) == (0, "")
    assert "on-demand has no schedule" in on_demand.stderr
    assert sleeping.lines == ["Every minute"]
    assert "sleeping is disabled" in sleeping.stderr


def test_json_has_the_schedule_next_to_the_text() -> None:
    assert json.loads(invoke("explain", "@daily", "--json").stdout) == {
        "job": None,
        "schedule": "@daily",
        "text": "At 00:00 every day",
    }


@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (("0 0 L * *",), "is Quartz, not NCRONTAB"),
        (("* * * * *", "--timezone", "Europe/Berln"), "did you mean Europe/Berlin"),
        (("",), "empty"),
    ],
)
def test_what_cannot_be_explained_ends_with_2(words: tuple[str, ...], reported: str) -> None:
    output = invoke("explain", *words)

    assert (output.code, output.stdout) == (2, "")
    assert reported in output.stderr


def test_its_help_has_examples() -> None:
    assert "Examples:\n    explain checkout-api" in invoke("explain", "--help").stdout
    assert "explain" in invoke("--help").stdout
