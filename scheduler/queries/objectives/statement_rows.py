"""The rows of a statement as CSV: one a job, then one with the sums. Used by scheduler.api and scheduler.cli."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobs.formats.instants import format_iso_instant
from scheduler.features.statistics.exports import Cells, Rows
from scheduler.queries.objectives.reader import ObjectiveStatement

STATEMENT_FIELDS = (
    *("objective", "month", "from", "to", "job", "target", "counts", "valid", "good", "bad", "attained"),
    *("excluded", "excluded_seconds", "met", "complete"),
)


async def iterate_statement_rows(statement: ObjectiveStatement) -> Rows:
    """Yield each job of the objective, then the whole objective, whose `job` is empty and which alone has `met`."""
    yield _create_rows(statement)


def _create_rows(statement: ObjectiveStatement) -> Iterator[Cells]:
    common: dict[str, Any] = {
        "objective": statement.objective.name,
        "month": statement.month,
        "from": format_iso_instant(statement.since),
        "to": format_iso_instant(statement.until),
        "target": statement.objective.definition.target,
        "counts": statement.objective.definition.counts,
    }
    for each in statement.jobs:
        counts = each.counts
        yield common | {
            "job": each.job,
            "valid": counts.valid,
            "good": counts.good,
            "bad": counts.bad,
            "attained": round(counts.good / counts.valid, 6) if counts.valid else None,
            "excluded": each.excluded.valid,
            "excluded_seconds": each.excluded_seconds,
            "complete": each.is_complete,
        }
    budget = statement.budget
    yield common | {
        "job": "",
        "valid": budget.counts.valid,
        "good": budget.counts.good,
        "bad": budget.counts.bad,
        "attained": None if budget.attained is None else round(budget.attained, 6),
        "excluded": sum(each.excluded.valid for each in statement.jobs),
        "excluded_seconds": sum(each.excluded_seconds for each in statement.jobs),
        "met": statement.is_met,
        "complete": statement.is_complete,
    }
