"""`markers`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs

CHECK = {"url": "http://127.0.0.1:9/"}


@pytest.fixture(autouse=True)
def _jobs(job_folder: Path) -> None:
    payments = {"check": CHECK, "tags": {"team": "payments"}}
    write_jobs(job_folder, checkout_api=payments, search={"check": CHECK, "tags": {"team": "web"}})


def test_a_marker_is_created_and_listed_for_the_jobs_that_it_concerns() -> None:
    created = invoke("markers", "create", " checkout 4ebecbce ", "--tag", "team:payments")
    assert created.lines[0].endswith(", 1 job")
    other = json.loads(invoke("markers", "create", "web 1", "--tag", "team=web", "--json").stdout)
    assert (other["text"], other["jobs"]) == ("web 1", ["search"])

    header, newest, oldest = invoke("markers", "list").lines
    assert header.split("\t") == ["at", "text", "tags", "author", "id"]
    assert newest.split("\t")[1:3] == ["web 1", "team=web"]
    assert oldest.split("\t")[1:3] == ["checkout 4ebecbce", "team=payments"]
    assert [line.split("\t")[1] for line in invoke("markers", "list", "--job", "checkout-api").lines[1:]] == [
        "checkout 4ebecbce"
    ]
    listed = json.loads(invoke("markers", "list", "--limit", "1", "--json").stdout)["markers"]
    assert [each["text"] for each in listed] == ["web 1"]
    assert invoke("audit", "list").lines[1].split("\t")[4] == "marker.create"


def test_a_marker_that_concerns_no_job_is_warned_about() -> None:
    created = invoke("markers", "create", "x", "--tag", "team=nobody")
    assert (created.code, "concerns no job" in created.stderr) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "  "], "--text: is blank"),
        (["create", "x", "--tag", "payments"], "--tag: 'payments' is not a tag with a value"),
        (["create", "x", "--tag", "team=a", "--tag", "team=b"], "no job has both"),
        (["create", "x", "--at", "soon"], "--at"),
        (["create", "x", "--at", "2020-01-01"], "--at: 2020-01-01 00:00:00Z is more than 366 days ago"),
        (["list", "--job", "checkout"], "checkout-api"),
        (["list", "--from", "soon"], "--from"),
    ],
)
def test_what_is_wrong_with_an_argument_is_named(arguments: list[str], message: str) -> None:
    refused = invoke("markers", *arguments)
    assert refused.code == 2
    assert message in refused.stderr
