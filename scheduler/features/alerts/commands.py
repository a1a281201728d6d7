"""`explain-alert`: explain in English why an alert did or did not notify."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import escape_controls, fail, show_json

if TYPE_CHECKING:
    from scheduler.app import ReadOnlyProgram
    from scheduler.features.alerts.explanation import AlertExplanation


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

    async def work(program: ReadOnlyProgram) -> AlertExplanation:
        return await program.alert_explainer.explain(job, instant, rule)

    try:
        found = run_in_store(configuration, work)
    except UnknownJob as error:
        fail(str(error))
    if rule is not None and not found.rules:
        fail(f"--rule: the job {job} has no rule {rule!r}")
    if as_json:
        import json

        from scheduler.features.alerts.explanation import explanation_fields

        show_json(json.dumps(explanation_fields(found), indent=2))
        return
    print("\n".join(map(escape_controls, found.lines())))


def _parse_instant(text: str | None) -> datetime | None:
    from scheduler.features.statistics.periods import InvalidTimeRange, parse_time_range

    try:
        return parse_time_range(None, text, datetime.now(UTC)).until
    except InvalidTimeRange as error:
        fail(f"--at: {error}")
