"""`pause` and `resume`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs

YEAR = "2199-01-01T00:00:00Z"


@pytest.fixture(autouse=True)
def _jobs(job_folder: Path) -> None:
    write_jobs(job_folder, checkout_api={"schedule": "every 1m", "check": {"url": "http://127.0.0.1:9/"}})


def pause_column() -> str:
    names, row = (line.split("\t") for line in invoke("jobs").lines[:2])
    return row[names.index("pause")]


def test_a_job_is_paused_until_an_instant_and_each_caller_sees_it() -> None:
    output = invoke("pause", "checkout-api", "--until", YEAR, "--reason", "deployment")

    assert (output.code, output.stderr) == (0, "")
    assert output.lines == ["checkout-api is paused until 2199-01-01 00:00:00 UTC: deployment"]
    assert pause_column() == "paused until 2199-01-01 00:00:00Z: deployment"
    assert "paused until 2199-01-01 00:00:00 UTC: deployment" in invoke("jobs", terminal=True).stdout


def test_a_job_is_paused_for_a_time() -> None:
    output = invoke("pause", "checkout-api", "--for", "90m", "--json")

    pause = json.loads(output.stdout)["pause"]
    assert pause["until"] > pause["since"]
    assert re.search(r"paused until \d\d:\d\d:\d\d UTC|paused until \d{4}-", invoke("jobs", terminal=True).stdout)


def test_a_job_that_is_resumed_is_not_paused_any_more() -> None:
    invoke("pause", "checkout-api")
    assert pause_column() == "paused until it is resumed"

    assert invoke("resume", "checkout-api").lines == ["checkout-api was resumed"]
    assert pause_column() == ""
    output = invoke("resume", "checkout-api")
    assert (output.code, output.lines) == (0, ["checkout-api was not paused"])


def test_a_pause_without_an_end_reports_it() -> None:
    assert invoke("pause", "checkout-api", terminal=True).lines == ["checkout-api is paused until it is resumed"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("checkout-api", "--for", "soon"), "--for: 'soon' is not a duration"),
        (("checkout-api", "--for", "0s"), "--for: expected a duration longer than 0"),
        (("checkout-api", "--for", "30"), "--for: '30' is not a duration: write it like 500ms, 10s, 2m or 1h30m"),
        (("checkout-api", "--for", "99999999d"), "--for: the end would be after the year 9999"),
        (("checkout-api", "--until", "soon"), "--until: expected an instant in ISO 8601"),
        (("checkout-api", "--until", "2020-01-01"), "--until: 2020-01-01 00:00:00Z is in the past"),
        (("checkout-api", "--until", YEAR, "--for", "1h"), "--for and --until both set the end"),
        (("checkout-api", "--reason", "x" * 501), "--reason: 501 characters, but at most 500"),
        (("chekout-api",), "did you mean checkout-api?"),
    ],
)
def test_what_cannot_be_is_refused_with_2(arguments: tuple[str, ...], complaint: str) -> None:
    output = invoke("pause", *arguments)

    assert (output.code, output.stdout) == (2, "")
    assert complaint in output.stderr
    assert pause_column() == ""


def test_a_pause_that_changes_nothing_yet_reports_it(job_folder: Path) -> None:
    check = {"check": {"url": "http://127.0.0.1:9/"}}
    write_jobs(job_folder, asked=check, off=check | {"schedule": "every 1m", "enabled": False})

    asked, off = invoke("pause", "asked"), invoke("pause", "off")

    assert (asked.code, asked.stderr) == (0, "asked has no schedule: a pause does not skip requested runs\n")
    assert (off.code, off.stderr) == (0, "off is disabled: it does not run on its schedule, paused or not\n")


def test_a_job_is_unknown_cannot_be_resumed() -> None:
    assert invoke("resume", "nobody").code == 2
