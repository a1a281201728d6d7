"""The runs that an incident is about: the latest failed one, and the last good one before it.

Used by scheduler.alerting.message_source and scheduler.queries.alerting.incident_reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jobs.incidents.values import Incident
from jobs.problems import make_printable
from jobs.runs import Outcome, Run, Trigger
from scheduler.stores.runs.codec import RunRecord
from scheduler.stores.runs.reading import RunReads

_PAGE = 20
_MOST_FAILURES = 3
_LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True)
class FailureHistory:
    """`expected`, `observed`: of the latest failed run. `is_redefined`: its job had another definition when it last
    succeeded. `tags`: of the run, for a job that was removed. `failed_run`, `last_good_run`: ids.
    """

    expected: str = ""
    observed: str = ""
    failed_run: str = ""
    last_good_run: str = ""
    last_good_at: datetime | None = None
    is_redefined: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


async def read_failure_history(runs: RunReads, incident: Incident, is_degraded_bad: bool) -> FailureHistory:
    """Read at most three pages. `is_degraded_bad`: whether a degraded run counts as failed. Raises StoreError.

    Of a resolved incident, runs that are due after its end do not count.
    """
    job, since = incident.lead.subject, incident.lead_member.failing_since
    page = await runs.list_page(job, limit=_PAGE, until=incident.resolved_at)
    newest = _finished(page.records)
    failed = _find_failed(newest, since, is_degraded_bad)
    good = _find_good(newest, since, is_degraded_bad)
    if good is None and page.continuation is not None:
        before = await runs.list_page(job, limit=_PAGE, until=since)
        good = _find_good(_finished(before.records), since, is_degraded_bad)
        if good is None and before.continuation is not None:
            page = await runs.list_page(job, Outcome.SUCCEEDED, _PAGE, until=since)
            good = _find_good(_finished(page.records), since, is_degraded_bad)
    expected, observed = ("", "") if failed is None else _describe(failed)
    return FailureHistory(
        expected,
        observed,
        "" if failed is None else failed.id,
        "" if good is None else good.id,
        None if good is None else good.finished_at,
        good is not None and failed is not None and bool(good.generation) and good.generation != failed.generation,
        {} if failed is None else failed.tags,
    )


def _finished(records: Iterable[RunRecord]) -> list[Run]:
    return [record.run for record in records if record.run is not None]


def _find_failed(runs: Sequence[Run], since: datetime, is_degraded_bad: bool) -> Run | None:
    """Return the newest failed run of the incident."""
    return next(
        (run for run in runs if run.finished_at >= since and (run.outcome.down or (is_degraded_bad and run.degraded))),
        None,
    )


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


def _describe(run: Run) -> tuple[str, str]:
    """Return what was expected and observed. Without failed expectations, the message of the run is observed."""
    failures = run.attempts[-1].failures if run.attempts else ()
    if not failures:
        return "", make_printable(run.message or f"the run {run.outcome.replace('_', ' ')}", _LONGEST_TEXT)
    shown = failures[:_MOST_FAILURES]
    expected = "; ".join(f"{each.expectation} {each.expected}" for each in shown)
    observed = "; ".join(each.observed for each in shown)
    return make_printable(expected, _LONGEST_TEXT), make_printable(observed, _LONGEST_TEXT)
