"""A plan in words. Called by `plan` and `apply`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from jobs.formats.instants import format_iso_instant
from scheduler.cli.output import escape_controls, is_terminal, print_error, print_warning, show_json

if TYPE_CHECKING:
    from datetime import datetime

    from scheduler.cli.commands.stored_jobs.plan_alerts import PlanAlerts
    from scheduler.operations.stored_jobs.sets import JobDifference, SetPlan
    from scheduler.queries.stored_jobs import FieldChange

_STYLES = {"+": "green", "~": "yellow", "-": "red"}
_MAX_VALUE = 200
"""Characters of a value in a line; JSON has all of it."""


def has_changes(plan: SetPlan) -> bool:
    """Return whether `apply` of the plan changes a job."""
    return bool(plan.added or plan.changed or plan.removed)


def show_plan(
    plan: SetPlan,
    as_json: bool,
    alerts: PlanAlerts | None = None,
    sections: Sequence[JobDifference] | None = None,
) -> None:
    """Print the changes on stdout; conflicts, denied targets, unavailable secrets and warnings on stderr.

    `alerts`: a section after the changes. `sections`: changed entries of job files that are not jobs.
    """
    if as_json:
        show_json(_plan_to_json(plan, alerts, sections))
        return
    for line in (*_plan_lines(plan), *_section_lines(sections or ())):
        _print_line(line)
    for name, reason in plan.review.denied.items():
        print_warning(f"{name}: denied target: {reason}")
    for problem in (*plan.review.secrets, *plan.review.warnings):
        print_warning(str(problem))
    for reason in plan.conflicts.values():
        print_error(f"conflict: {reason}")
    if alerts is not None:
        from scheduler.cli.commands.stored_jobs.plan_alerts import show_plan_alerts

        show_plan_alerts(alerts)
    if plan.id and not plan.is_applied and not plan.conflicts:
        print(f"plan hash: {plan.id}")


def describe_result(plan: SetPlan) -> str:
    """`the set reports was applied: 1 added, 2 changed, 0 removed, 12 unchanged`."""
    verb = "was applied" if has_changes(plan) else "is up to date"
    return f"the set {plan.owner} {verb}: {_count(plan)}"


def format_field(change: FieldChange) -> str:
    """`check.url: "http://a" -> "http://b"`; a value that is not set is `-`."""
    return f"{change.path}: {_format_value(change.before)} -> {_format_value(change.after)}"


def _plan_to_json(plan: SetPlan, alerts: PlanAlerts | None, sections: Sequence[JobDifference] | None) -> str:
    from scheduler.api.stored_jobs.models import FieldChangeModel
    from scheduler.api.stored_jobs.set_models import SetPlanModel

    found = SetPlanModel.from_plan(plan).model_dump(mode="json")
    if sections is not None:
        found["sections"] = [
            {
                "key": one.name,
                "fields": [FieldChangeModel.from_change(each).model_dump(mode="json") for each in one.fields],
            }
            for one in sections
        ]
    if alerts is not None:
        from scheduler.cli.commands.stored_jobs.plan_alerts import alerts_to_document

        found["alerts"] = alerts_to_document(alerts)
    return json.dumps(found, indent=2)


def _section_lines(sections: Sequence[JobDifference]) -> Iterator[str]:
    for one in sections:
        yield f"~ {one.name}"
        yield from (f"    {format_field(change)}" for change in one.fields)


def _plan_lines(plan: SetPlan) -> Iterator[str]:
    yield f"set {plan.owner}: {_count(plan)}" if plan.owner else f"job files: {_count(plan)}"
    for sign, jobs in (("+", plan.added), ("~", plan.changed), ("-", plan.removed)):
        for one in jobs:
            yield f"{sign} {one.name}{_describe_next(one)}"
            yield from (f"    {format_field(change)}" for change in one.fields)


def _count(plan: SetPlan) -> str:
    counts = (("added", plan.added), ("changed", plan.changed), ("removed", plan.removed))
    return ", ".join([*(f"{len(jobs)} {word}" for word, jobs in counts), f"{plan.unchanged} unchanged"])


def _describe_next(one: JobDifference) -> str:
    """Return the first due instant, and that before the change if it differs."""
    before, after = _first(one.next_before), _first(one.next_after)
    if before == after:
        return f"  next run {after}" if after else ""
    return f"  next run {before or '-'} -> {after or '-'}" if before else f"  next run {after}"


def _first(instants: Sequence[datetime]) -> str:
    return format_iso_instant(instants[0], precise=instants[0].microsecond != 0) if instants else ""


def _format_value(value: Any) -> str:
    text = "-" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}…"


def _print_line(line: str) -> None:
    style = _STYLES.get(line[:1], "")
    if not is_terminal() or not style:
        print(escape_controls(line))
        return
    from rich.text import Text

    from scheduler.cli.output import show_text

    show_text(Text(escape_controls(line), style))
