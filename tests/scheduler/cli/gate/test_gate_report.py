"""The report of a gate for a pull request, and in JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from syrupy.assertion import SnapshotAssertion

from scheduler.features.gate.judgement import GatePolicy, JobEvidence, RunSample, judge
from scheduler.features.gate.report import gate_to_json, summarize, write_gate
from scheduler.features.gate.watching import GateReport, GateRequest

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def report(*evidence: JobEvidence, is_early: bool = True, notes: tuple[str, ...] = ()) -> GateReport:
    request = GateRequest([], NOW, NOW, 600.0, 3600.0)
    ended_at = NOW + timedelta(seconds=90)
    return GateReport(request, evidence, judge(evidence, GatePolicy()), ended_at, is_early, notes)


def runs(succeeded: int, failed: int, ms: float = 100.0) -> list[RunSample]:
    return [RunSample(True, ms)] * succeeded + [RunSample(False, ms)] * failed


REFUSED = report(
    JobEvidence("checkout|api", runs(359, 1), runs(2, 4)),
    JobEvidence("ledger", runs(360, 0), runs(40, 0, ms=400.0)),
    JobEvidence("new", [], runs(4, 0)),
    notes=("not started: `x` @team",),
)


def test_the_comment(text_snapshot: SnapshotAssertion) -> None:
    assert write_gate(REFUSED, "4ebecbce", ZoneInfo("Europe/Berlin")) == text_snapshot


def test_json_has_the_figures() -> None:
    found = json.loads(gate_to_json(REFUSED))

    assert (found["accepted"], found["early"], found["ended_at"]) == (False, True, "2026-11-28T12:01:30Z")
    assert found["jobs"][0]["after"] == {"runs": 6, "failed": 4, "p50_ms": 100.0, "p95_ms": 100.0}
    assert found["jobs"][2]["before"] == {"runs": 0, "failed": 0, "p50_ms": None, "p95_ms": None}
    assert {each["job"] for each in found["findings"]} >= {"checkout|api", "ledger"}


def test_an_accepted_deployment() -> None:
    accepted = report(JobEvidence("a", runs(360, 0), runs(40, 0)), is_early=False)

    assert summarize(accepted) == "accepted after 1 min 30 s: 40 runs are not worse than before the deployment"
    assert write_gate(accepted, "", UTC).startswith("### Deployment accepted\n")
