"""Results of jobs for people and programs. Called by `test`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jobs.formats.counts import format_count
from jobs.formats.durations import describe_milliseconds
from scheduler.cli.output import Column, is_terminal, print_note, show_json, show_table, show_tabs
from scheduler.cli.run_report import format_number, outcome_style

if TYPE_CHECKING:
    from scheduler.cli.trial.running import TrialResult

_FIELDS = ("job", "outcome", "attempts", "duration_ms", "error", "message")


def show_results(results: Sequence[TrialResult], as_json: bool) -> None:
    """Print a line for each job, and how many failed."""
    if as_json:
        show_json(json.dumps({"jobs": [_to_document(each) for each in results]}, indent=2))
    elif is_terminal():
        columns = (
            Column("job", "bold"),
            Column("outcome"),
            Column("took", align_right=True),
            Column("attempts", align_right=True),
            Column("what happened", no_wrap=False),
        )
        show_table(columns, map(_cells, results))
    else:
        show_tabs(_FIELDS, map(_fields, results))
    print_note(summarize(results))


def summarize(results: Sequence[TrialResult]) -> str:
    """`3 jobs: 1 succeeded, 1 failed, 1 skipped`."""
    ran = [result for result in results if result.run is not None]
    succeeded = sum(result.has_succeeded for result in ran)
    counts = ((succeeded, "succeeded"), (len(ran) - succeeded, "failed"), (len(results) - len(ran), "skipped"))
    total = format_count(len(results), "job")
    return f"{total}: {', '.join(f'{count} {word}' for count, word in counts if count)}"


def _outcome(result: TrialResult) -> str:
    return "skipped" if result.run is None else str(result.run.outcome)


def _message(result: TrialResult) -> str:
    return result.skipped if result.run is None else result.run.message


def _cells(result: TrialResult) -> tuple[Any, ...]:
    word, run = _outcome(result), result.run
    took, attempts = ("-", "-") if run is None else (describe_milliseconds(run.duration_ms), str(len(run.attempts)))
    return result.job.name, (word, outcome_style(word)), took, attempts, _message(result)


def _fields(result: TrialResult) -> tuple[str, ...]:
    run = result.run
    attempts, took, error = (
        ("", "", "") if run is None else (str(len(run.attempts)), format_number(run.duration_ms), run.error or "")
    )
    return result.job.name, _outcome(result), attempts, took, error, _message(result)


def _to_document(result: TrialResult) -> dict[str, Any]:
    from scheduler.features.runs.models import AttemptModel

    run = result.run
    attempts = () if run is None else run.attempts
    return {
        "job": result.job.name,
        "outcome": _outcome(result),
        "duration_ms": None if run is None else round(run.duration_ms, 3),
        "error": None if run is None else run.error,
        "message": _message(result),
        "attempts": [AttemptModel.from_attempt(attempt).model_dump(mode="json") for attempt in attempts],
    }
