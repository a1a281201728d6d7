"""`circuits`, `circuits open`, `close` and `reset`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs

YEAR = "2199-01-01T00:00:00Z"
CHECK = {"url": "http://127.0.0.1:9/"}


@pytest.fixture(autouse=True)
def _jobs(job_folder: Path) -> None:
    shared = {"consecutive_failures": 2, "group": "payments"}
    write_jobs(
        job_folder,
        checkout_api={"check": CHECK, "circuit": {"consecutive_failures": 2}},
        pay={"check": CHECK, "circuit": shared},
        plain={"check": CHECK},
        refund={"check": CHECK, "circuit": shared},
    )


def rows() -> list[list[str]]:
    return [line.split("\t") for line in invoke("circuits").lines[1:]]


def test_all_circuits_are_listed_with_the_jobs_that_share_them() -> None:
    assert [(row[0], row[1], row[5]) for row in rows()] == [
        ("checkout-api", "closed", "checkout-api"),
        ("group:payments", "closed", "pay refund"),
    ]
    assert "group:payments" in invoke("circuits", terminal=True).stdout


def test_a_circuit_is_held_open_until_an_instant_and_each_caller_sees_it() -> None:
    output = invoke("circuits", "open", "checkout-api", "--until", YEAR, "--reason", "deployment")

    assert (output.code, output.stderr) == (0, "")
    assert output.stdout.startswith(
        "checkout-api is held open until 2199-01-01 00:00:00Z (set on the command line at 2"
    )
    assert output.stdout.endswith(": deployment)\n")
    assert rows()[0][1:2] + rows()[0][3:5] == ["held_open", YEAR, "deployment"]


def test_a_circuit_is_held_closed_for_a_time() -> None:
    held = json.loads(invoke("circuits", "close", "group:payments", "--for", "90m", "--json").stdout)

    assert (held["state"], held["override"]["open"]) == ("held_closed", False)
    assert held["override"]["until"] > held["override"]["since"]


def test_a_run_of_a_job_whose_circuit_is_held_open_is_rejected() -> None:
    invoke("circuits", "open", "checkout-api", "--reason", "deployment")

    output = invoke("run", "checkout-api")

    assert output.code == 1
    assert "Rejected: the circuit is held open until it is reset (set on the command line" in output.stdout


def test_a_circuit_that_is_reset_is_held_by_no_caller() -> None:
    invoke("circuits", "open", "checkout-api")

    assert invoke("circuits", "reset", "checkout-api").lines == ["checkout-api is closed"]
    assert rows()[0][1] == "closed"
    assert json.loads(invoke("circuits", "--json").stdout)["circuits"][0]["override"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["open", "plain"], 1, "no job has a circuit 'plain'"),
        (["reset", "payments"], 1, "(nearest: group:payments); `circuits` lists all circuits"),
        (["open", "checkout-api", "--for", "soon"], 2, "--for: 'soon' is not a duration"),
        (["open", "checkout-api", "--for", "0s"], 2, "--for: expected a duration longer than 0"),
        (["open", "checkout-api", "--until", "2020-01-01"], 2, "--until: 2020-01-01 00:00:00Z is in the past"),
        (["close", "checkout-api", "--for", "1h", "--until", YEAR], 2, "--for and --until both set the end"),
        (["open", "checkout-api", "--reason", "x" * 501], 2, "--reason: 501 characters, but at most 500"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_reported_with_what_is_wrong(arguments: list[str], code: int, complaint: str) -> None:
    output = invoke("circuits", *arguments)

    assert output.code == code
    assert complaint in output.stderr
