"""`plan --alerts-since`: what changed alerts of stored jobs would have notified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scheduler.cli.commands.test_stored_jobs import API, apply, plan, write_set
from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs

QUIET: dict[str, Any] = {**API, "alerts": []}
LOUD = {**API, "alerts": [{"notify": "hook", "open_after": 1, "triggers": ["manual"]}]}
OPTION = ("--alerts-since", "7d")


@pytest.fixture
def failed(job_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The set `reports` has a job without alerts, whose only run has failed."""
    monkeypatch.setenv("SCHEDULER_ALERTING__GROUP_WAIT", "0s")
    write_jobs(job_folder, checkout=API)
    hook = {"kind": "webhook", "url": "http://127.0.0.1:9/"}
    (job_folder / "alerting.json").write_text(json.dumps({"alerting": {"channels": {"hook": hook}}}))
    file = write_set(job_folder.parent / "reports.json", reports_api=QUIET)
    assert apply(file).code == 0
    assert invoke("run", "reports-api").code == 1
    return file


def test_the_plan_shows_what_changed_alerts_would_have_notified(failed: Path) -> None:
    write_set(failed, reports_api=LOUD)

    text, fields, without = plan(failed, *OPTION), plan(failed, *OPTION, "--json"), plan(failed, "--json")

    assert (text.code, fields.code, without.code) == (3, 3, 3), text.stderr
    assert "alerts of reports-api: what was notified, and what would be" in text.stdout
    assert "\treports-api\tfailed\thook\topened\tnew\t" in text.stdout
    assert text.lines[-1].startswith("plan hash: ")
    (message,) = json.loads(fields.stdout)["alerts"]["messages"]
    assert (message["channel"], message["difference"], message["was"]) == ("hook", "new", None)
    assert "alerts" not in json.loads(without.stdout)


def test_a_plan_that_changes_no_alerts_reads_no_history(failed: Path) -> None:
    write_set(failed, reports_api={**QUIET, "description": "x"})

    assert "alerts: no job changes its alerts" in plan(failed, *OPTION).stdout
    assert json.loads(plan(failed, *OPTION, "--json").stdout)["alerts"] is None
    assert plan(failed, "--alerts-since", "x").code == 2
