"""What is known about the members of an incident: what their jobs check, and what the latest failed runs showed.

Used by scheduler.queries.alerting.incidents and scheduler.queries.alerting.incident_reports.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jobs.incidents.values import AlertKey, Member
from jobs.runs import Outcome, Run
from scheduler.catalog.catalog import Catalog
from scheduler.queries.alerting.defined_subjects import DefinedSubject, find_subject
from scheduler.queries.alerting.failure_history import describe_failure, find_failed, is_failed
from scheduler.queries.alerting.visibility import SubjectVisibility
from scheduler.stores.runs.repository import Runs

MAX_MEMBERS_READ: Final = 50
"""Members of an incident whose latest run is read."""
MAX_HISTORIES_READ: Final = 10
"""Members whose earlier runs are read, because the latest run does not show why they failed."""
_RUNS_READ: Final = 20


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """Texts of one line for people, without secrets; empty if they are not known. A group has no target.

    `expected`, `observed`, `answer`: of the latest failed run, whose id is `failed_run`; `answer` is how the answer
    began, a text of the target. `target`: in a check of several steps, the request that failed.
    """

    target: str = ""
    description: str = ""
    expected: str = ""
    observed: str = ""
    answer: str = ""
    failed_run: str = ""


NO_FACTS: Final = MemberFacts()


class MemberFactsReader:
    """The caller passes only members that its user may see. Raises StoreError."""

    def __init__(self, catalog: Catalog, runs: Runs) -> None:
        self._catalog = catalog
        self._runs = runs

    async def read(self, members: Sequence[Member]) -> Mapping[AlertKey, MemberFacts]:
        """Return what is known about each member."""
        subjects = {each.key: find_subject(self._catalog.snapshot, each.key) for each in members}
        first = [each for each in members if subjects[each.key].entry is not None][:MAX_MEMBERS_READ]
        latest = await self._runs.find_latest_of_jobs(list(dict.fromkeys(each.key.subject for each in first)))
        failed: dict[AlertKey, Run | None] = {}
        unclear: list[Member] = []
        for each in first:
            record = latest.get(each.key.subject)
            run = None if record is None else record.run
            if run is not None and _explains(run, each, subjects[each.key]):
                failed[each.key] = run
            else:
                unclear.append(each)
        unclear = unclear[:MAX_HISTORIES_READ]
        found = await asyncio.gather(*(self._find_failed(each, subjects[each.key]) for each in unclear))
        failed |= {each.key: run for each, run in zip(unclear, found, strict=True)}
        return {key: self.describe(subject, failed.get(key)) for key, subject in subjects.items()}

    def describe(self, subject: DefinedSubject, failed: Run | None) -> MemberFacts:
        """Return what the definition and a failed run of a member show, as the caller may see it."""
        shown, visibility = describe_failure(failed), SubjectVisibility(self._catalog)
        return MemberFacts(
            subject.describe_target(shown.step),
            subject.describe_job(),
            visibility.hide(shown.expected),
            visibility.hide(shown.observed),
            visibility.hide(shown.answer),
            "" if failed is None else failed.id,
        )

    async def _find_failed(self, member: Member, subject: DefinedSubject) -> Run | None:
        page = await self._runs.list_page(member.key.subject, limit=_RUNS_READ, until=member.resolved_at)
        runs = [record.run for record in page.records if record.run is not None]
        return find_failed(runs, member.failing_since, subject.is_about_degraded_runs)


def _explains(run: Run, member: Member, subject: DefinedSubject) -> bool:
    """Whether the latest run is a failed one of this alert that reached the target."""
    is_within = run.finished_at >= member.failing_since and (
        member.resolved_at is None or run.due_at <= member.resolved_at
    )
    return is_within and run.outcome is not Outcome.REJECTED and is_failed(run, subject.is_about_degraded_runs)
