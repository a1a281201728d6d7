"""What is known about the subject of an incident: its definition, its latest failed run and the last good one before
it, and what changed before it failed. For messages, the API and the pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Final, NamedTuple

from jobs.alerting.rule import AlertRule
from jobs.definition.job_alerts import list_burn_rules, rules_of
from jobs.incidents.values import AlertKey, Incident, Member
from jobs.notifications.templates.titles import format_clock
from jobs.problems import make_printable
from jobs.runs import Attempt, Outcome, Run, Trigger
from jobs.runs.answer_text import format_answer
from jobs.runs.details import StepOutcome
from jobs.targets import describe_target
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot, Query
from scheduler.features.incidents.visibility import SubjectVisibility
from scheduler.features.stored_jobs.queries import compare_definitions
from scheduler.identity.principal import PrincipalKind
from scheduler.stores.audit import AuditLog, EntryDamaged, parse_entry
from scheduler.stores.runs.codec import RunRecord
from scheduler.stores.runs.reading import RunReads
from scheduler.stores.runs.repository import Runs

_MAX_DESCRIPTION = 300


@dataclass(frozen=True, slots=True)
class DefinedSubject:
    """`entry`: None for a group or an objective. `rule`: None if it is not defined any more."""

    entry: CatalogJob | None = None
    rule: AlertRule | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def runbook(self) -> str:
        return self.rule.runbook if self.rule is not None else ""

    def describe_target(self, step: str = "", redact: Callable[[str], str] = str) -> str:
        """Return the name of the job's target, see jobs.targets.describe_target; empty for a group or an objective."""
        return "" if self.entry is None else describe_target(self.entry.job.check, step, redact)

    def describe_job(self, redact: Callable[[str], str] = str) -> str:
        """Return the description of the job as one line."""
        text = "" if self.entry is None else self.entry.job.description
        return make_printable(" ".join(redact(text).split()), _MAX_DESCRIPTION)

    @property
    def is_about_degraded_runs(self) -> bool:
        """Return whether a degraded run counts as failed for the alert."""
        return self.rule is not None and self.rule.when.condition_key() == "degraded"

    @property
    def is_about_unknown_runs(self) -> bool:
        """Return whether the alert reports that the target cannot be checked."""
        return self.rule is not None and self.rule.when.COUNTS_UNKNOWN


def find_subject(snapshot: JobSnapshot, key: AlertKey) -> DefinedSubject:
    """Return what is known; nothing about a subject that does not exist any more."""
    alerting = snapshot.alerting
    entry = snapshot.find_job(key.subject)
    if entry is not None:
        return DefinedSubject(entry, _find_rule(rules_of(entry.job, alerting), key.rule), entry.job.tags)
    group = alerting.groups.get(key.subject)
    if group is not None:
        return DefinedSubject(None, _find_rule(group.alerts, key.rule), group.tags)
    objective = alerting.alerted_objectives.get(key.subject)
    if objective is None:
        return DefinedSubject()
    return DefinedSubject(None, _find_rule(list_burn_rules(objective), key.rule), objective.tags)


def _find_rule(rules: tuple[AlertRule, ...], name: str) -> AlertRule | None:
    return next((rule for rule in rules if rule.name == name), None)


_PAGE = 20
_MAX_FAILURES = 3
_MAX_FAILURE = 500


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
    another definition when it last succeeded. `unconfirmed`: the message of the newest run if it is unknown. `tags`: of
    the run, for a job that was removed. `failed_run`, `last_good_run`: ids.
    """

    expected: str = ""
    observed: str = ""
    answer: str = ""
    step: str = ""
    failed_run: str = ""
    last_good_run: str = ""
    last_good_at: datetime | None = None
    is_redefined: bool = False
    unconfirmed: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


async def read_failure_history(runs: RunReads, incident: Incident, subject: DefinedSubject) -> FailureHistory:
    """Read at most three pages, of the member that leads, which is about the subject. Raises StoreError.

    Runs that are due after the end of its failure do not count.
    """
    job, since = incident.leading.key.subject, incident.leading.failing_since
    is_degraded_bad = subject.is_about_degraded_runs
    page = await runs.list_page(job, limit=_PAGE, until=incident.leading.resolved_at)
    newest = _finished(page.records)
    failed = find_failed(newest, since, subject)
    is_unconfirmed = bool(newest) and newest[0].is_unknown and incident.is_open and not subject.is_about_unknown_runs
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
        make_printable(newest[0].message, _MAX_FAILURE) if is_unconfirmed else "",
        {} if failed is None else failed.tags,
    )


def _finished(records: Iterable[RunRecord]) -> list[Run]:
    return [record.run for record in records if record.run is not None]


def find_failed(runs: Sequence[Run], since: datetime, subject: DefinedSubject) -> Run | None:
    """Return the newest failed run since an instant, of runs from newest to oldest.

    One that the circuit rejected does not show the target, so it counts only without others.
    """
    failed = [run for run in runs if run.finished_at >= since and is_failed(run, subject)]
    return next((run for run in failed if run.outcome is not Outcome.REJECTED), failed[0] if failed else None)


def is_failed(run: Run, subject: DefinedSubject) -> bool:
    """Whether a run failed, or was what the alert is about: degraded or unknown."""
    if subject.is_about_unknown_runs:
        return run.is_unknown
    return run.outcome.down or (subject.is_about_degraded_runs and run.degraded)


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
        return ShownFailure("", make_printable(message, _MAX_FAILURE), answer, step)
    shown = failures[:_MAX_FAILURES]
    expected = "; ".join(f"{each.expectation} {each.expected}" for each in shown)
    observed = "; ".join(each.observed for each in shown)
    return ShownFailure(make_printable(expected, _MAX_FAILURE), make_printable(observed, _MAX_FAILURE), answer, step)


def _find_step(attempt: Attempt) -> str:
    """Return the name of the first step that failed; empty without one."""
    steps = () if attempt.details is None else attempt.details.steps
    return next((each.name for each in steps if each.outcome is not StepOutcome.SUCCEEDED), "")


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


class MemberFactsReader(Query):
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
        for member in first:
            record = latest.get(member.key.subject)
            run = None if record is None else record.run
            if run is not None and _explains(run, member, subjects[member.key]):
                failed[member.key] = run
            else:
                unclear.append(member)
        unclear = unclear[:MAX_HISTORIES_READ]
        found = await asyncio.gather(*(self._find_failed(member, subjects[member.key]) for member in unclear))
        failed |= {member.key: run for member, run in zip(unclear, found, strict=True)}
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
        return find_failed(runs, member.failing_since, subject)


def _explains(run: Run, member: Member, subject: DefinedSubject) -> bool:
    """Whether the latest run is a failed one of this alert that reached the target."""
    is_within = run.finished_at >= member.failing_since and (
        member.resolved_at is None or run.due_at <= member.resolved_at
    )
    return is_within and run.outcome is not Outcome.REJECTED and is_failed(run, subject)


ENTRIES_READ = 500
"""The newest entries of the trail. Older ones are not considered."""
MAX_LISTED = 5
_MAX_CHANGE = 200
_MAX_KEYS = 10

DEFINITION_ACTIONS = frozenset({"job.create", "job.replace", "job.patch", "job.restore", "set.apply", "jobs.reload"})
_ACTIONS = DEFINITION_ACTIONS | {
    "job.pause",
    "job.resume",
    "window.create",
    "window.end",
    "secret.refresh",
    "circuit.reset",
    "marker.create",
}
"""Those that can be the cause of a failure, or mark a deployment. Runs, silences and notes are not."""


@dataclass(frozen=True, slots=True)
class RecentChange:
    """`text`: a clause for people, such as `job checkout was patched by api_key:ci`. `keys`: the first ones that differ
    in the definition, if the trail has them; not their values, which not every caller may see.
    """

    at: datetime
    action: str
    text: str
    keys: tuple[str, ...] = ()

    @property
    def is_definition(self) -> bool:
        return self.action in DEFINITION_ACTIONS

    def describe(self, now: datetime, zone: tzinfo) -> str:
        """Format as `02:58 job checkout was patched by api_key:ci`."""
        return f"{format_clock(self.at, now, zone)} {self.text}"


class RecentChanges(Query):
    """The end of the audit trail is cached until the trail grows."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._head = ""
        self._entries: Sequence[Mapping[str, Any]] = ()

    async def list_between(self, jobs: Set[str], since: datetime, until: datetime) -> list[RecentChange]:
        """Return the newest changes of these jobs within a time, the oldest first. Raises StoreError."""
        changes = []
        for fields in await self._read_end():
            at = _read_instant(fields)
            if at is None or not since <= at <= until or not jobs & set(fields.get("jobs", ())):
                continue
            if fields.get("kind") == "change" and fields.get("action") in _ACTIONS:
                changes.append(RecentChange(at, fields["action"], _describe(fields), _list_keys(fields, jobs)))
        return changes[-MAX_LISTED:]

    async def _read_end(self) -> Sequence[Mapping[str, Any]]:
        head = await self._log.read_head()
        if head.hash != self._head:
            rows = await self._log.read_rows(max(head.sequence - ENTRIES_READ + 1, 1), head.sequence)
            entries = []
            for row in rows:
                try:
                    entries.append(parse_entry(row.body).fields)
                except EntryDamaged:
                    continue
            self._head, self._entries = head.hash, entries
        return self._entries


def _read_instant(fields: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(fields["at"])
    except (KeyError, TypeError, ValueError):
        return None


def _list_keys(fields: Mapping[str, Any], jobs: Set[str]) -> tuple[str, ...]:
    before, after = (_mapping(fields.get(name)) for name in ("before", "after"))
    if fields["action"] == "set.apply":
        differences = _mapping(after.get("differences"))
        paths = [str(_mapping(each).get("path", "")) for job in sorted(jobs) for each in differences.get(job, ())]
    elif "definition" in before and "definition" in after:
        compared = compare_definitions(_mapping(before["definition"]), _mapping(after["definition"]))
        paths = [each.path for each in compared]
    else:
        return ()
    return tuple(make_printable(path) for path in paths[:_MAX_KEYS])


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _describe(fields: Mapping[str, Any]) -> str:
    if fields["action"] == "jobs.reload":
        return "the job files changed the job"
    text = str(fields.get("summary", ""))
    if fields["action"] == "window.create" and isinstance(after := fields.get("after"), Mapping):
        marks = [str(after[key]) for key in ("reason", "change_id") if after.get(key)]
        text += f" ({', '.join(marks)})" if marks else ""
    principal = str(fields.get("principal", ""))
    if principal and not principal.startswith(f"{PrincipalKind.PROGRAM}:"):
        text += f" by {principal}"
    return make_printable(text, _MAX_CHANGE)
