"""The statement of a month: its rows as CSV, and its recomputation from an export of runs, without the store. Pure.

The statement has the objective, its jobs and what was excluded; the export has the runs. Both are files that were
archived, so a customer or an auditor can check the numbers later, when the store has deleted the runs.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from jobs.formats import format_iso_instant, parse_instant
from jobs.incidents.downtime import merge_spans
from jobs.incidents.suppression.spans import Span
from jobs.objectives import NO_COUNTS, SliCounts, count_run
from jobs.runs.outcomes import Outcome, Trigger
from scheduler.catalog.catalog import Query
from scheduler.features.objectives.run_counting import is_excluded

if TYPE_CHECKING:
    from scheduler.features.objectives.queries import ObjectiveStatement
    from scheduler.features.statistics.exports import Cells, Rows

_OUTCOMES = frozenset(Outcome)


class WrongInput(ValueError):
    """A file is not a statement or an export, or the statement cannot be recomputed. The message is for the user."""


@dataclass(frozen=True, slots=True)
class Recomputation:
    """`differences`: a sentence each; none: the statement is confirmed. `runs`: rows of the export that were read."""

    runs: int
    counts: SliCounts
    excluded: SliCounts
    differences: tuple[str, ...]


def recompute_statement(statement: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> Recomputation:
    """Count the runs of an export again, and compare them with a statement. Raises WrongInput."""
    try:
        counter = _StatementCounter(statement)
        seen: set[str] = set()
        for row in rows:
            if row["id"] not in seen:
                seen.add(row["id"])
                counter.add(row)
        return counter.compare(len(seen))
    except (KeyError, TypeError, AttributeError) as error:
        raise WrongInput(f"a value is missing or has another form: {error}") from None


def read_statement(text: str) -> Mapping[str, Any]:
    """Read the JSON form of a statement. Raises WrongInput."""
    try:
        statement = json.loads(text)
    except ValueError as error:
        raise WrongInput(f"the statement is not JSON: {error}; write it with --json") from None
    if not isinstance(statement, dict) or not isinstance(statement.get("objective"), dict) or "month" not in statement:
        raise WrongInput("the file is not a statement of an objective: write one with slo statement NAME --json")
    if statement["objective"].get("counts") != "runs":
        raise WrongInput(
            "the objective counts time, which alerts and incidents decide: only a statement of counts: runs can be "
            "recomputed from an export of runs"
        )
    return statement


def read_export(lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the runs of an export, JSON lines or CSV. Raises WrongInput: it is incomplete, or something else."""
    lines = iter(lines)
    first = next(lines, "")
    is_complete = False
    if first.lstrip().startswith("{"):
        for line in chain((first,), lines):
            row = _read_json(line)
            if "complete" in row and "id" not in row:
                is_complete = bool(row["complete"])
            else:
                yield row
    else:
        names = next(csv.reader([first]), [])
        if "due_at" not in names:
            raise WrongInput("the file is not an export of runs: write one with export runs --month MONTH")
        for cells in csv.reader(lines):
            if cells and cells[0].startswith("#"):
                is_complete = cells[0] == "# complete"
            else:
                yield dict(zip(names, cells, strict=False))
    if not is_complete:
        raise WrongInput("the export is incomplete: its last line does not report that it is complete; export again")


class _StatementCounter(Query):
    def __init__(self, statement: Mapping[str, Any]) -> None:
        self._statement = statement
        self._period = Span(parse_instant(statement["from"]), parse_instant(statement["to"]))
        self._is_degraded_bad = statement["objective"]["degraded"] == "bad"
        self._excluded_times = {
            job["job"]: merge_spans(
                Span(parse_instant(each["from"]), parse_instant(each["to"])) for each in job["exclusions"]
            )
            for job in statement["jobs"]
        }
        self._counts = dict.fromkeys(self._excluded_times, NO_COUNTS)
        self._excluded = dict.fromkeys(self._excluded_times, NO_COUNTS)

    def add(self, row: Mapping[str, Any]) -> None:
        job, outcome = row["job"], row["outcome"]
        if job not in self._counts or outcome not in _OUTCOMES:
            return  # of another job, or not finished
        due = parse_instant(row["due_at"])
        if not self._period.begin <= due < self._period.end:
            return
        is_degraded = row["degraded"] in (True, "true")
        run_counts = count_run(
            Outcome(outcome),
            Trigger(row["trigger"]),
            is_degraded=is_degraded,
            is_degraded_bad=self._is_degraded_bad,
        )
        counts = self._excluded if is_excluded(due, self._excluded_times[job]) else self._counts
        counts[job] += run_counts

    def compare(self, runs: int) -> Recomputation:
        differences: list[str] = []
        for job in self._statement["jobs"]:
            name = job["job"]
            own = {"valid": self._counts[name].valid, "bad": self._counts[name].bad}
            own |= {"good": self._counts[name].good, "excluded": self._excluded[name].valid}
            differences += [
                f"{name}: {key} is {job[key]:g} in the statement, and {value:g} in the export"
                for key, value in own.items()
                if job[key] != value
            ]
        counts, excluded = sum(self._counts.values(), NO_COUNTS), sum(self._excluded.values(), NO_COUNTS)
        attained = round(counts.good / counts.valid, 6) if counts.valid else None
        for key, value in {"valid": counts.valid, "bad": counts.bad, "attained": attained}.items():
            if self._statement[key] != value:
                differences.append(f"all jobs: {key} is {self._statement[key]} in the statement, and {value} here")
        return Recomputation(runs, counts, excluded, tuple(differences))


def _read_json(line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise WrongInput("a line of the export is not a JSON object: is the file an export of runs?")
    return row


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
    for job in statement.jobs:
        counts = job.counts
        yield common | {
            "job": job.job,
            "valid": counts.valid,
            "good": counts.good,
            "bad": counts.bad,
            "attained": round(counts.good / counts.valid, 6) if counts.valid else None,
            "excluded": job.excluded.valid,
            "excluded_seconds": job.excluded_seconds,
            "complete": job.is_complete,
        }
    budget = statement.budget
    yield common | {
        "job": "",
        "valid": budget.counts.valid,
        "good": budget.counts.good,
        "bad": budget.counts.bad,
        "attained": None if budget.attained is None else round(budget.attained, 6),
        "excluded": sum(job.excluded.valid for job in statement.jobs),
        "excluded_seconds": sum(job.excluded_seconds for job in statement.jobs),
        "met": statement.is_met,
        "complete": statement.is_complete,
    }
