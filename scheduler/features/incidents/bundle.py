"""Reads the bundle of an incident: what its page shows, what points to the cause, and the two runs to compare."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Final

from jobs.formats import describe_span, format_count, format_instant
from jobs.incidents.engine.facts import SCHEDULER
from jobs.incidents.headline import count_by_severity, list_subjects
from jobs.incidents.values import Incident
from jobs.runs import Run
from jobs.runs.answer_text import format_answer
from scheduler.catalog.catalog import UnknownJob
from scheduler.features.incidents.bundle_markdown import fit_bundle
from scheduler.features.incidents.bundle_models import HINT, BundleDifference, BundleLine, IncidentBundle
from scheduler.features.incidents.facts import find_subject, is_failed
from scheduler.features.incidents.report import IncidentReport, IncidentReportReader
from scheduler.features.incidents.visibility import SubjectVisibility
from scheduler.features.runs.comparison import RunDifference, compare_runs
from scheduler.features.trends.models import LevelChangeModel
from scheduler.features.trends.queries import TrendReader
from scheduler.identity.principal import Principal
from scheduler.stores.alerting.engine import run_sized

MAX_ENTRIES: Final = 2000
_MAX_VALUES: Final = 20
_RUNS_READ: Final = 100
_SEARCH_MARGIN: Final = timedelta(minutes=10)
"""A run that fails first can have been due so long before the newest good run ended."""
_TREND_BEFORE: Final = timedelta(days=7)
_NAMED_CHANGES: Final = 3
_UNSENT: Final = ("held_back", "moot", "no_channel", "given_up", "discarded", "resolved_unannounced")
_CERTIFICATE, _ADDRESSES = ("Certificate", "Certificate from", "Certificate valid until"), ("Addresses", "Name server")
_KINDS: Final = dict.fromkeys(_CERTIFICATE, "certificate") | dict.fromkeys(_ADDRESSES, "addresses")
"""The kinds of findings of what can differ between two runs."""
MakeLine = Callable[..., BundleLine]
"""See IncidentBundleReader._make_line."""


class IncidentBundleReader(IncidentReportReader):
    """Reports, and bundles of them. `redact`: removes secrets; what is stored of checks has none."""

    redact: Callable[[str], str] = str

    def __init__(self, *parts: Any, trends: TrendReader) -> None:
        super().__init__(*parts)
        self._trends = trends

    async def read_bundle(self, principal: Principal, incident_id: str) -> IncidentBundle:
        """Return the bundle. Raises NotFound, StoreError."""
        report = await self.read_report(incident_id, MAX_ENTRIES)
        good, failing, trends = await asyncio.gather(
            self._find_run(report.history.last_good_run),
            self._find_first_failing(report),
            self._list_trends(principal, report),
        )
        bundle = self._build(report, failing, good, trends)
        at_least = set() if report.is_whole else {"timeline", "decisions"}
        if len(report.members) < len(report.view.incident.members):
            at_least.add("members")
        size = len(bundle.timeline) + len(bundle.decisions)
        return await run_sized(size, fit_bundle, bundle, frozenset(at_least))

    async def _find_run(self, run_id: str) -> Run | None:
        record = await self._runs.find(run_id) if run_id else None
        return None if record is None else record.run

    async def _find_first_failing(self, report: IncidentReport) -> Run | None:
        """Return the first run that failed since the failure began, else the latest that failed."""
        member, subject = report.view.incident.leading, report.subject
        if subject.entry is None:
            return None
        since = (report.history.last_good_at or member.failing_since) - _SEARCH_MARGIN
        # Runs that were due later are not the first: of a job that runs each second they would fill the page.
        page = await self._runs.list_page(member.key.subject, limit=_RUNS_READ, since=since, until=member.failing_since)
        for record in reversed(page.records):
            run = record.run
            is_within = run is not None and run.finished_at >= member.failing_since
            if run is not None and is_within and is_failed(run, subject):
                return run
        return await self._find_run(report.history.failed_run)

    async def _list_trends(self, principal: Principal, report: IncidentReport) -> Sequence[LevelChangeModel]:
        incident = report.view.incident
        if report.subject.entry is None:
            return ()
        try:
            changes = await self._trends.read_recent(principal, incident.leading.key.subject)
        except UnknownJob:  # it was removed meanwhile
            return ()
        return [each for each in changes if each.at >= incident.failing_since - _TREND_BEFORE][-_NAMED_CHANGES:]

    def _make_line(
        self,
        visibility: SubjectVisibility,
        kind: str,
        text: str = "",
        *,
        at: datetime | None = None,
        subject: str = "",
        target: str = "",
        person: str = "",
        values: Mapping[str, str] | None = None,
    ) -> BundleLine:
        """Return a line whose quoted texts are as the caller may see them."""

        def show(quoted: str) -> str:
            return self.redact(visibility.hide(quoted))

        shown = {name: show(value) for name, value in islice((values or {}).items(), _MAX_VALUES)}
        return BundleLine(
            at=at,
            kind=kind,
            subject=subject,
            text=text,
            target_text=show(target),
            person_text=show(person),
            target_values=shown,
        )

    def _build(
        self, report: IncidentReport, failing: Run | None, good: Run | None, trends: Sequence[LevelChangeModel]
    ) -> IncidentBundle:
        incident, visibility = report.view.incident, SubjectVisibility(self._catalog)
        line = partial(self._make_line, visibility)
        differences = _compare(failing, good)
        findings = [*_list_findings(line, report, failing, good), *_list_differing(line, differences)]
        findings += (line("trend", each.text, person=each.nearby[0].text if each.nearby else "") for each in trends)
        return IncidentBundle.from_object(
            incident,
            url=f"/api/incidents/{incident.id}",
            hint=HINT,
            as_of=self._clock.now().replace(microsecond=0),
            headline=_write_headline(incident),
            rule=incident.leading.key.rule,
            since=incident.failing_since,
            summary=list(_summarize(line, report, failing, good)),
            findings=findings,
            differences=[
                BundleDifference(
                    target_name=visibility.hide(each.name),
                    target_failing=visibility.hide(each.this),
                    target_good=visibility.hide(each.other),
                    is_different=each.is_different,
                    note=each.note,
                )
                for each in differences
            ],
            affected=len(list_subjects(incident)),
            runbooks=self._list_runbooks(line, report),
            omitted=[],
            **_list_evidence(line, report),
        )

    def _list_runbooks(self, line: MakeLine, report: IncidentReport) -> list[BundleLine]:
        """Return each runbook once, with the first job that names it."""
        found: dict[str, str] = {}
        for each in report.members:
            if link := find_subject(self._catalog.snapshot, each.member.key).runbook:
                found.setdefault(link, each.member.key.subject)
        return [line("runbook", subject=subject, person=link) for link, subject in found.items()]


def _write_headline(incident: Incident) -> str:
    """Return `DOWN checkout and 6 more` of names alone: what they share can be a text of a target."""
    others = len(list_subjects(incident)) - 1
    more = f" and {others} more" if others else ""
    return f"{incident.severity.upper() if incident.is_open else 'RESOLVED'} {incident.leading.key.subject}{more}"


def _summarize(line: MakeLine, report: IncidentReport, failing: Run | None, good: Run | None) -> Iterator[BundleLine]:
    facts, view = report.lead_facts, report.view
    targets = {
        "evidence": view.incident.leading.evidence,
        "target": facts.target,
        "expected": facts.expected,
        "observed": facts.observed,
        "answer": facts.answer,
    }
    people = {
        "description": facts.description,
        "severities": count_by_severity(view.incident),
        "handling": view.handling,
        "suppression": view.suppression,
    }
    yield from (line(kind, target=text) for kind, text in targets.items() if text)
    yield from (line(kind, person=text) for kind, text in people.items() if text)
    for kind, run in (("first_failing_run", failing), ("last_good_run", good)):
        if run is not None:
            yield line(kind, at=run.finished_at, subject=f"/api/runs/{run.id}")


def _list_findings(
    line: MakeLine, report: IncidentReport, failing: Run | None, good: Run | None
) -> Iterator[BundleLine]:
    """Yield what points to the cause, the scheduler's own trouble first."""
    incident = report.view.incident
    if incident.leading.key.subject == SCHEDULER:
        yield line("scheduler", "the scheduler itself, not a target", person=incident.leading.key.rule)
    elif any(each.parent == SCHEDULER for each in incident.members):
        yield line("scheduler", "the scheduler could not reach anything: the alerts do not describe targets")
    if failing is not None and failing.starved:
        yield line("scheduler", "the scheduler lacked CPU in the first failing run: its times are not the target's")
    if incident.cause:
        yield line("cause", "shared by the alerts", target=incident.cause)
    for shared in incident.shared:
        text = f"{shared.failing} of {shared.sharing} jobs that share it fail, fine: {shared.fine}"
        yield line("shared", text, target=shared.cause, person=", ".join(shared.fine_jobs))
    for report_of_azure in incident.azure:
        yield line("azure_health", "Azure reports", at=report_of_azure.at, target=report_of_azure.text)
    if failing is not None and failing.error is not None:
        text = f"the first failing run ended with {failing.error.replace('_', ' ')}"
        yield line("error", text, target=failing.message)
    if (end := _find_expiry(failing, good)) is not None:
        yield line("certificate", f"the certificate of the last good run expired at {format_instant(end)}")
    since = incident.failing_since
    for each in report.changes[: -_NAMED_CHANGES - 1 : -1]:
        span = describe_span(abs((since - each.at).total_seconds()))
        yield line(
            "change", f"{span} {'before the failure' if each.at <= since else 'after it began'}", person=each.text
        )
    if report.history.is_redefined and not any(each.is_definition for each in report.changes):
        yield line("definition", "the definition of the job is not that of its last good run")


def _find_expiry(failing: Run | None, good: Run | None) -> datetime | None:
    details = good.attempts[-1].details if good is not None and good.attempts else None
    if failing is None or details is None or details.tls is None or details.tls.certificate is None:
        return None
    end = details.tls.certificate.expires_at
    return end if end <= failing.finished_at else None


def _compare(failing: Run | None, good: Run | None) -> Sequence[RunDifference]:
    if failing is None or good is None:
        return ()
    this, other = (format_answer(run.attempts[-1].body) if run.attempts else "" for run in (failing, good))
    answer = RunDifference("Answer", this, other, this != other)
    return [*compare_runs(failing, good), *([answer] if this or other else ())]


def _list_differing(line: MakeLine, differences: Sequence[RunDifference]) -> Iterator[BundleLine]:
    for each in differences:
        if each.is_different and each.name in _KINDS:
            text = f"{each.name} differs from that of the last good run"
            yield line(_KINDS[each.name], text, target=f"{each.other or '-'} became {each.this or '-'}")


def _list_evidence(line: MakeLine, report: IncidentReport) -> Mapping[str, Sequence[BundleLine]]:
    entries, decisions = report.timeline[::-1], report.decisions[::-1]
    return _list_people_and_jobs(line, report) | {
        "notes": [
            line(each.kind, at=each.at, subject=each.actor, person=each.text)
            for each in entries
            if each.kind == "note_added"
        ],
        "timeline": [
            line(each.kind, at=each.at, subject=each.actor, target=each.text)
            for each in entries
            if each.kind != "note_added"
        ],
        "decisions": [
            line(each.code, at=each.at, subject=each.subject or "", target=each.text, values=each.inputs)
            for each in decisions
        ],
    }


def _list_people_and_jobs(line: MakeLine, report: IncidentReport) -> dict[str, Sequence[BundleLine]]:
    unsent: dict[str, list[Any]] = {}
    for decision in report.decisions:
        if decision.code.startswith(_UNSENT):
            unsent.setdefault(decision.code, []).append(decision)
    return {
        "changes": [
            line(each.action, at=each.at, person=": ".join([each.text, *([", ".join(each.keys)] if each.keys else [])]))
            for each in report.changes
        ],
        "members": [
            line(
                each.member.severity,
                "" if each.member.resolved_at is None else f"recovered {format_instant(each.member.resolved_at)}",
                at=each.member.failing_since,
                subject=each.member.key.subject,
                target=each.member.evidence,
            )
            for each in report.members
        ],
        "notified": [
            line(
                each.state,
                format_count(each.count, "message"),
                at=each.first_at or each.due_at,
                subject=each.channel,
                target=each.text,
            )
            for each in report.deliveries
        ],
        "held_back": [
            line(code, format_count(len(own), "time"), at=own[0].at, target=own[0].text)
            for code, own in reversed(unsent.items())
        ],
    }
