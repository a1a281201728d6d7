"""Reads what rules about usual response times compare, for a replay.

Of each job all hours are read, and only those are held after which the verdict of a rule may change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from jobs.alerting.comparison import ComparedHours, HoursNeed, HourSpan, ResponseHours
from jobs.alerting.conditions.slower_than_usual import SlowerThanUsualCondition
from jobs.alerting.rule import CompiledRules
from jobs.definition import JobDefinition
from jobs.incidents.downtime import list_blind_times
from jobs.incidents.engine.facts import SCHEDULER
from jobs.incidents.suppression.finding import SuppressionSet, list_window_times
from jobs.incidents.suppression.windows import AlertSubject
from scheduler.alerting.evaluation.compared_hours import HISTORY, list_incident_spans
from scheduler.features.backtest.messages import read_incidents
from scheduler.features.backtest.usual_advice import list_hour_ends
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.runs.reading import RunReads

_AT_ONCE = 16
_INCIDENTS = 500
"""Of a job, the newest."""


async def read_compared_hours(
    runs: RunReads,
    log: IncidentLog,
    suppressions: SuppressionSet,
    compared: Sequence[tuple[JobDefinition, CompiledRules]],
    period: HourSpan,
) -> Mapping[str, Mapping[datetime, Mapping[HoursNeed, ComparedHours]]]:
    """Return by job what JobHistory.compared has, for judgements in this period. Raises StoreError."""
    if not compared:
        return {}
    jobs: dict[str, tuple[JobDefinition, set[SlowerThanUsualCondition]]] = {}
    for job, rules in compared:
        conditions = {rule.when for rule in rules.rules if isinstance(rule.when, SlowerThanUsualCondition)}
        jobs.setdefault(job.name, (job, set()))[1].update(conditions)
    end = period.end.replace(minute=0, second=0, microsecond=0)
    first = period.begin.replace(minute=0, second=0, microsecond=0)
    reach = max(need.reach for _, rules in compared for need in rules.needs.compared)
    begin = first - reach - HISTORY
    blind = await read_blind_times(log, HourSpan(begin, end))
    ends = list_hour_ends(first, end)
    found: dict[str, Mapping[datetime, Mapping[HoursNeed, ComparedHours]]] = {}
    waiting = iter(jobs.values())

    async def read_some() -> None:
        for job, conditions in waiting:
            within = HourSpan(begin, end)
            found[job.name] = _compare(await read_hours(runs, log, suppressions, job, within, blind), conditions, ends)

    await asyncio.gather(*(read_some() for _ in range(_AT_ONCE)))
    return found


async def read_blind_times(log: IncidentLog, within: HourSpan) -> Sequence[HourSpan]:
    """Return when the scheduler was blind. Raises StoreError."""
    return [
        HourSpan(time.begin, time.end)
        for history in await read_incidents(log, within.begin - HISTORY, within.end, SCHEDULER)
        for time in list_blind_times(history.incident, history.transitions, within.end)
    ]


async def read_hours(
    runs: RunReads,
    log: IncidentLog,
    suppressions: SuppressionSet,
    job: JobDefinition,
    within: HourSpan,
    blind: Sequence[HourSpan],
) -> ResponseHours:
    """Return the hours of a job, and which of them do not count. Raises StoreError.

    `within`: full hours, which begin with HISTORY.
    """
    begin, end = within
    hours = await runs.read_response_hours(job.name, begin + HISTORY, end)
    first = min(hours, default=None)
    if first != begin + HISTORY:  # perf: else the job has a history, whatever it did before
        earlier = await runs.list_rollups(job.name, begin, begin + HISTORY)
        first = earlier[0].start if earlier else first
    page = await log.list_page(subject=job.name, since=begin - HISTORY, until=end, limit=_INCIDENTS)
    subject = AlertSubject(job.name, str(job.check.kind), "", job.tags)
    windows = list_window_times(subject, suppressions, begin, end, pauses=False)
    uncounted = (*blind, *(HourSpan(span.begin, span.end) for _, span in windows))
    return ResponseHours(hours, first, uncounted, tuple(list_incident_spans(page.incidents, end)))


def _compare(
    hours: ResponseHours, conditions: Iterable[SlowerThanUsualCondition], ends: Sequence[datetime]
) -> Mapping[datetime, Mapping[HoursNeed, ComparedHours]]:
    compared: dict[datetime, dict[HoursNeed, ComparedHours]] = {}
    for condition in conditions:
        for end in condition.list_judged_hours(hours, ends):
            compared.setdefault(end, {})[condition.need] = hours.compare(condition.need, end)
    return compared
