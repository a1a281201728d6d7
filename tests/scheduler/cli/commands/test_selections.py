"""`pause`, `resume`, `run` and `circuits reset` with patterns, tags, kinds and states."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scheduler.cli.invocation import invoke

CHECK = {"kind": "tcp", "host": "127.0.0.1", "port": 9}


@pytest.fixture(autouse=True)
def _jobs(job_folder: Path) -> None:
    payments = {"schedule": "every 1m", "check": CHECK, "tags": {"team": "payments"}, "retry": {"attempts": 1}}
    (job_folder / "jobs.yaml").write_text(
        json.dumps(
            {
                "jobs": {
                    "cart": payments,
                    "checkout": {**payments, "circuit": {"consecutive_failures": 3}},
                    "search": {"check": CHECK, "retry": {"attempts": 1}},
                }
            }
        )
    )


def test_jobs_are_paused_by_tag_and_resumed_by_state() -> None:
    assert invoke("pause", "--tag", "team=payments", "--for", "2h").lines[1:] == [
        "cart\tdone\t\t",
        "checkout\tdone\t\t",
    ]
    assert invoke("pause", "ca*", "--dry-run").lines[1:] == ["cart\tselected\t\t"]

    output = invoke("resume", "--state", "paused")

    assert (output.code, output.lines[1:]) == (0, ["cart\tdone\t\t", "checkout\tdone\t\t"])
    assert invoke("resume", "cart", "search", "--json").lines.count('      "result": "unchanged",') == 2


def test_the_runs_of_all_jobs_that_match_are_shown() -> None:
    output = invoke("run", "c*", "chekout")

    assert output.code == 1, "no port is open"
    assert len(output.lines) == 1 + 2
    assert "chekout: There is no job named 'chekout', did you mean checkout?" in output.stderr


def test_circuits_are_reset_where_a_job_has_one() -> None:
    invoke("circuits", "open", "checkout")

    output = invoke("circuits", "reset", "--tag", "team=payments")

    assert (output.code, output.lines[1:]) == (
        1,
        ["cart\trefused\tno_circuit\tThe job has no circuit.", "checkout\tdone\t\t"],
    )
    assert "checkout  closed" in invoke("circuits", terminal=True).stdout.replace("   ", "  ")


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        ((), 2, "give job names, --tag, --kind or --state; --all selects all jobs"),
        (("--all", "cart"), 2, "--all and a filter exclude each other: name cart"),
        (("--kind", "ftp"), 2, "--kind: "),
        (("a b*",), 2, "JOB: 'a b*' cannot match a job name"),
        (("--tag", "team=shop"), 1, "no job matches tag team=shop"),
    ],
)
@pytest.mark.parametrize("command", [("pause",), ("resume",), ("run",), ("circuits", "reset")])
def test_a_selection_of_no_job_changes_nothing(
    command: tuple[str, ...], arguments: tuple[str, ...], code: int, complaint: str
) -> None:
    output = invoke(*command, *arguments)

    assert (output.code, output.stdout) == (code, "")
    assert complaint in output.stderr
