"""The result of a gate as figures, JSON and Markdown. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jobs.formats import describe_milliseconds, describe_span, format_count, format_iso_instant
from scheduler.features.delivery.markdown import cell, code, format_in_zone, join_sections, table
from scheduler.features.gate.judgement import find_quantile

if TYPE_CHECKING:
    from scheduler.features.gate.judgement import GateFinding, JobEvidence, RunSample
    from scheduler.features.gate.watching import GateReport

MAX_ROWS: Final = 200
"""Jobs in the table of the comment."""


class SideFigures(NamedTuple):
    """Of the runs before or after a deployment. The percentiles are those of runs that succeeded."""

    runs: int
    failed: int
    p50_ms: float | None
    p95_ms: float | None

    @classmethod
    def from_samples(cls, samples: Sequence[RunSample]) -> SideFigures:
        times = [run.milliseconds for run in samples if run.succeeded]
        p50, p95 = (find_quantile(times, share) if times else None for share in (0.5, 0.95))
        return cls(len(samples), len(samples) - len(times), p50, p95)


def summarize(report: GateReport) -> str:
    """`refused after 1 min 30 s, before the end: 2 findings`."""
    took = describe_span((report.ended_at - report.request.started_at).total_seconds())
    runs = sum(len(each.after) for each in report.evidence)
    if report.is_accepted:
        return f"accepted after {took}: {format_count(runs, 'run is', 'runs are')} not worse than before the deployment"
    count = len(report.findings)
    early = ", before the end, because the result is certain" if report.is_early else ""
    return f"refused after {took}{early}: {format_count(count, 'finding')}"


def describe_finding(finding: GateFinding) -> str:
    """`checkout-api: 5 of 6 runs failed, before the deployment 0 of 360 runs`."""
    return f"{finding.job or 'all jobs'}: {finding.message}"


def gate_to_json(report: GateReport) -> str:
    """Return all of it. Instants are UTC."""
    request = report.request
    return json.dumps(
        {
            "accepted": report.is_accepted,
            "early": report.is_early,
            "deployed_at": _iso(request.deployed_at),
            "started_at": _iso(request.started_at),
            "ended_at": _iso(report.ended_at),
            "findings": [
                {"kind": each.kind, "job": each.job or None, "message": each.message} for each in report.findings
            ],
            "jobs": [_to_document(each) for each in report.evidence],
            "notes": list(report.notes),
        },
        indent=2,
    )


def write_gate(report: GateReport, marker: str, zone: tzinfo) -> str:
    """Return a comment in Markdown. `marker`: of the deployment; empty without one."""
    verdict = "accepted" if report.is_accepted else "refused"
    title = f"### Deployment {code(marker) + ' ' if marker else ''}{verdict}"
    at = format_in_zone(report.request.deployed_at, zone)
    before = describe_span(report.request.before)
    lead = f"Deployed at {at}, compared with {before} before. {summarize(report).capitalize()}."
    reasons = [[cell(each.job) if each.job else "all jobs", cell(each.message, 400)] for each in report.findings]
    rows = [[cell(each.name), *list_figures(each.after), *list_figures(each.before)] for each in report.evidence]
    titles = ["Job", "Runs", "Failed", "Median", "p95", "Runs before", "Failed", "Median", "p95"]
    rest = [f"{len(rows) - MAX_ROWS} more jobs are not listed."] if len(rows) > MAX_ROWS else []
    return join_sections(
        (
            [title, "", lead],
            table(["Job", "Finding"], reasons[:MAX_ROWS]) if reasons else [],
            table(titles, rows[:MAX_ROWS]),
            rest,
            [f"- {code(note, 400)}" for note in report.notes],
        )
    )


def list_figures(samples: Sequence[RunSample]) -> tuple[str, ...]:
    """Return runs, failed ones, median and 95th percentile, for people."""
    found = SideFigures.from_samples(samples)
    times = ("-" if value is None else describe_milliseconds(value) for value in (found.p50_ms, found.p95_ms))
    return str(found.runs), str(found.failed), *times


def _to_document(job: JobEvidence) -> dict[str, Any]:
    sides = {"after": job.after, "before": job.before}
    return {"name": job.name, **{side: SideFigures.from_samples(some)._asdict() for side, some in sides.items()}}


def _iso(at: datetime) -> str:
    return format_iso_instant(at.astimezone(UTC), precise=at.microsecond != 0)
