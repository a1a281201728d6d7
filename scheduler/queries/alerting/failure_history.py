"""The runs that an incident is about: the latest failed one, and the last good one before it.

Used by scheduler.alerting.message_source, scheduler.queries.alerting.incident_reports and
scheduler.queries.alerting.member_facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from jobs.incidents.values import Incident
from jobs.problems import make_printable
from jobs.runs import Attempt, Outcome, Run, Trigger
from jobs.runs.answer_text import format_answer
from jobs.runs.details import StepOutcome
from scheduler.stores.runs.codec import RunRecord
from scheduler.stores.runs.reading import RunReads

_PAGE = 20
_MOST_FAILURES = 3
_LONGEST_TEXT = 500


class ShownFailure(NamedTuple):
    """What a failed run shows, each on one line and without secrets.

    `answer`: how the answer began, a text of the target. `step`: the one that failed in a check of several steps.
    """

    expected: str = ""
    observed: str = ""
    answer: str = ""
    step: str = ""


@dataclass(frozen=True, slots=True)
class FailureHistory:
    """`expected`, `observed`, `answer`, `step`: of the latest failed run, see ShownFailure. `is_redefined`: its job had
    another definition when it last succeeded. `tags`: of the run, for a job that was removed. `failed_run`,
    `last_good_run`: ids.
    """

    expected: str = ""
    observed: str = ""
    answer: str = ""
    step: str = ""
    failed_run: str = ""
    last_good_run: str = ""
    last_good_at: datetime | None = None
    is_redefined: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


async def read_failure_history(runs: RunReads, incident: Incident, is_degraded_bad: bool) -> FailureHistory:
    """Read at most three pages, of the member that leads. `is_degraded_bad`: whether a degraded run counts as failed.
    Raises StoreError.

    Runs that are due after the end of its failure do not count.
    """
    job, since = incident.leading.key.subject, incident.leading.failing_since
    page = await runs.list_page(job, limit=_PAGE, until=incident.leading.resolved_at)
    newest = _finished(page.records)
    failed = find_failed(newest, since, is_degraded_bad)
    good = _find_good(newest, since, is_degraded_bad)
    if good is None and page.continuation is not None:
        before = await runs.list_page(job, limit=_PAGE, until=since)
        good = _find_good(_finished(before.records), since, is_degraded_bad)
        if good is None and before.continuation is not None:
            page = await runs.list_page(job, Outcome.SUCCEEDED, _PAGE, until=since)
            good = _find_good(_finished(page.records), since, is_degraded_bad)
    return FailureHistory(
        *describe_failure(failed),
        "" if failed is None else failed.id,
        "" if good is None else good.id,
        None if good is None else good.finished_at,
        good is not None and failed is not None and bool(good.generation) and good.generation != failed.generation,
        {} if failed is None else failed.tags,
    )


def _finished(records: Iterable[RunRecord]) -> list[Run]:
    return [record.run for record in records if record.run is not None]


def find_failed(runs: Sequence[Run], since: datetime, is_degraded_bad: bool) -> Run | None:
    """Return the newest failed run since an instant, of runs from newest to oldest.

    One that the circuit rejected does not show the target, so it counts only without others.
    """
    failed = [run for run in runs if run.finished_at >= since and is_failed(run, is_degraded_bad)]
    return next((run for run in failed if run.outcome is not Outcome.REJECTED), failed[0] if failed else None)


def is_failed(run: Run, is_degraded_bad: bool) -> bool:
    """Whether a run failed. `is_degraded_bad`: whether a degraded run counts as failed."""
    return run.outcome.down or (is_degraded_bad and run.degraded)


def _find_good(runs: Sequence[Run], since: datetime, is_degraded_bad: bool) -> Run | None:
    """Return the newest good run before the incident. A backfilled run does not show the target of its due instant."""
    return next(
        (
            run
            for run in runs
            if run.outcome is Outcome.SUCCEEDED
            and run.finished_at < since
            and run.trigger is not Trigger.BACKFILL
            and not (is_degraded_bad and run.degraded)
        ),
        None,
    )


def describe_failure(run: Run | None) -> ShownFailure:
    """Return what a failed run shows. Without failed expectations, its message is what was observed."""
    if run is None:
        return ShownFailure()
    last = run.attempts[-1] if run.attempts else None
    answer, step = ("", "") if last is None else (format_answer(last.body), _find_step(last))
    failures = () if last is None else last.failures
    if not failures:
        message = run.message or f"the run {run.outcome.replace('_', ' ')}"
        return ShownFailure("", make_printable(message, _LONGEST_TEXT), answer, step)
    shown = failures[:_MOST_FAILURES]
    expected = "; ".join(f"{each.expectation} {each.expected}" for each in shown)
    observed = "; ".join(each.observed for each in shown)
    return ShownFailure(make_printable(expected, _LONGEST_TEXT), make_printable(observed, _LONGEST_TEXT), answer, step)


def _find_step(attempt: Attempt) -> str:
    """Return the name of the first step that failed; empty without one."""
    steps = () if attempt.details is None else attempt.details.steps
    return next((each.name for each in steps if each.outcome is not StepOutcome.SUCCEEDED), "")
