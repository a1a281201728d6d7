"""`explain-alert`: explain in English why an alert did or did not notify."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import escape_controls, fail, show_json

if TYPE_CHECKING:
    from scheduler.app import ReadOnlyProgram
    from scheduler.features.alerts.models import AlertExplanationModel, ExplainedRuleModel


def explain_alert(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Job name.")],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="WHEN", help="Instant: ISO 8601, UTC by default; or 2h ago. (default: now)"),
    ] = None,
    rule: Annotated[str | None, typer.Option("--rule", metavar="NAME", help="Only this rule.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, as GET /api/jobs/NAME/alert-explanation.")
    ] = False,
) -> None:
    """Explain why an alert of a job did or did not notify at an instant, and what would have happened otherwise.

    \b
    Examples:
      explain-alert checkout-api
      explain-alert checkout-api --at 2026-11-28T03:10:00Z
      explain-alert checkout-api --at 8h --rule failed
    """
    from scheduler.catalog.catalog import UnknownJob
    from scheduler.cli.context import load_for_command, run_in_store
    from scheduler.cli.selection import require_job

    instant = _parse_instant(at)
    configuration = load_for_command("explain-alert")
    require_job(configuration, job)

    async def work(program: ReadOnlyProgram) -> AlertExplanationModel:
        return await program.alert_explainer.explain(job, instant, rule)

    try:
        explanation = run_in_store(configuration, work)
    except UnknownJob as error:
        fail(str(error))
    if rule is not None and not explanation.rules:
        fail(f"--rule: the job {job} has no rule {rule!r}")
    if as_json:
        show_json(json.dumps(explanation.model_dump(mode="json"), indent=2))
        return
    print("\n".join(map(escape_controls, describe_explanation(explanation))))


def describe_explanation(explanation: AlertExplanationModel) -> list[str]:
    """Return the text for people, by line."""
    lines = [explanation.summary, "", f"Rules: {explanation.origin}"]
    for rule in explanation.rules:
        lines += _describe_rule(rule)
    for title, texts in (
        ("What prevents notifications", explanation.reasons),
        ("Otherwise", explanation.counterfactuals),
        ("Notes", explanation.notes),
    ):
        if texts:
            lines += ["", f"{title}:", *(f"  {text}" for text in texts)]
    for incident in explanation.incidents:
        lines += ["", f"Incident {incident.id} ({incident.status}), led by {incident.lead}:"]
        lines += [f"  {line}" for line in incident.lines]
    return lines


def _describe_rule(rule: ExplainedRuleModel) -> list[str]:
    since = "" if rule.since is None else f" since {rule.since:%Y-%m-%d %H:%M:%S} UTC"
    lines = [f"  {rule.rule}", f"    {rule.status}{since}: {rule.evidence}"]
    if rule.needed:
        lines.append(f"    {rule.needed}")
    return [*lines, f"    {rule.routing}"]


def _parse_instant(text: str | None) -> datetime | None:
    from scheduler.cli.times import parse_range
    from scheduler.features.statistics.periods import InvalidTimeRange

    try:
        return parse_range(None, text).until
    except InvalidTimeRange as error:
        fail(f"--at: {error}")
