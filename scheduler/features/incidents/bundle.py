"""Reads the bundle of an incident: what its page shows, what points to the cause, and the two runs to compare."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from jobs.formats import describe_span, format_instant
from jobs.incidents.engine.facts import SCHEDULER
from jobs.incidents.headline import count_by_severity, list_subjects
from jobs.incidents.values import Incident
from jobs.ports import Clock
from jobs.runs import Run
from jobs.runs.answer_text import format_answer
from scheduler.catalog.catalog import Catalog, Query, UnknownJob
from scheduler.features.incidents.bundle_markdown import fit_bundle
from scheduler.features.incidents.bundle_models import (
    HINT,
    MAX_INPUTS,
    BundleChange,
    BundleDecision,
    BundleDelivery,
    BundleDifference,
    BundleEntry,
    BundleFinding,
    BundleHeldBack,
    BundleMember,
    BundleNote,
    BundleRunbook,
    BundleShared,
    FindingKind,
    IncidentBundle,
)
from scheduler.features.incidents.facts import find_subject, is_failed
from scheduler.features.incidents.models import DecisionModel
from scheduler.features.incidents.report import IncidentReport, IncidentReportReader
from scheduler.features.incidents.visibility import SubjectVisibility
from scheduler.features.runs.comparison import RunDifference, compare_runs
from scheduler.features.trends.models import LevelChangeModel
from scheduler.features.trends.queries import TrendReader
from scheduler.identity.principal import Principal
from scheduler.stores.alerting.engine import run_sized
from scheduler.stores.runs.repository import Runs

MAX_ENTRIES: Final = 2000
_RUNS_READ: Final = 100
_MARGIN: Final = timedelta(minutes=10)
"""A run that fails first can have been due so long before its failure, and this long after the begin of an alert."""
_TREND_BEFORE: Final = timedelta(days=7)
_NAMED_CHANGES: Final = 3
_UNSENT: Final = ("held_back", "moot", "no_channel", "given_up", "discarded", "resolved_unannounced")
_KINDS: Final[Mapping[str, FindingKind]] = {
    "Certificate": "certificate",
    "Certificate from": "certificate",
    "Certificate valid until": "certificate",
    "Addresses": "addresses",
    "Name server": "addresses",
    "DNS answer": "addresses",
}
"""The kinds of findings of what can differ between two runs."""


class IncidentBundleReader(Query):
    """`redact`: replaces secrets in texts that people wrote. All others are stored without secrets."""

    def __init__(
        self,
        catalog: Catalog,
        reports: IncidentReportReader,
        trends: TrendReader,
        runs: Runs,
        clock: Clock,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._catalog = catalog
        self._reports = reports
        self._trends = trends
        self._runs = runs
        self._clock = clock
        self._redact = redact

    async def read_bundle(self, principal: Principal, incident_id: str) -> IncidentBundle:
        """Return the bundle. Raises NotFound, StoreError."""
        report = await self._reports.read_report(incident_id, MAX_ENTRIES)
        good, failing, trend = await asyncio.gather(
            self._find_run(report.history.last_good_run),
            self._find_first_failing(report),
            self._find_trend(principal, report),
        )
        differences = self._compare(failing, good)
        bundle = self._build(report, good, failing, trend, differences)
        is_cut = frozenset() if report.is_whole else frozenset({"timeline", "decisions"})
        members = len(report.view.incident.members)
        at_least = is_cut | ({"members"} if members > len(report.members) else set())
        return await run_sized(len(bundle.timeline) + len(bundle.decisions), fit_bundle, bundle, at_least)

    async def _find_run(self, run_id: str) -> Run | None:
        record = await self._runs.find(run_id) if run_id else None
        return None if record is None else record.run

    async def _find_first_failing(self, report: IncidentReport) -> Run | None:
        """Return the first run that failed since the failure began, else the latest that failed."""
        member, subject = report.view.incident.leading, report.subject
        if subject.entry is None:
            return None
        since, until = report.history.last_good_at or member.failing_since - _MARGIN, member.failing_since + _MARGIN
        page = await self._runs.list_page(member.key.subject, limit=_RUNS_READ, since=since - _MARGIN, until=until)
        runs = [record.run for record in reversed(page.records) if record.run is not None]
        found = (
            run
            for run in runs
            if run.finished_at >= member.failing_since and is_failed(run, subject.is_about_degraded_runs)
        )
        return next(found, None) or await self._find_run(report.history.failed_run)

    async def _find_trend(self, principal: Principal, report: IncidentReport) -> LevelChangeModel | None:
        incident = report.view.incident
        if report.subject.entry is None:
            return None
        try:
            trend = await self._trends.read_trend(principal, incident.leading.key.subject)
        except UnknownJob:  # it was removed meanwhile
            return None
        recent = [each for each in trend.changes if each.at >= incident.failing_since - _TREND_BEFORE]
        return recent[-1] if recent else None

    def _compare(self, failing: Run | None, good: Run | None) -> Sequence[RunDifference]:
        if failing is None or good is None:
            return ()
        this, other = (format_answer(run.attempts[-1].body) if run.attempts else "" for run in (failing, good))
        answer = RunDifference("Answer", this, other, this != other)
        return [*compare_runs(failing, good), *([answer] if this or other else ())]

    def _build(
        self,
        report: IncidentReport,
        good: Run | None,
        failing: Run | None,
        trend: LevelChangeModel | None,
        differences: Sequence[RunDifference],
    ) -> IncidentBundle:
        incident, facts, visibility = report.view.incident, report.lead_facts, SubjectVisibility(self._catalog)
        lead = incident.leading
        findings = [*_list_findings(report, failing, good), *_list_differing(differences), *_describe_trend(trend)]
        return IncidentBundle.from_object(
            incident,
            url=f"/api/incidents/{incident.id}",
            hint=HINT,
            as_of=self._clock.now().replace(microsecond=0),
            headline=_write_headline(incident),
            subject=lead.key.subject,
            rule=lead.key.rule,
            since=incident.failing_since,
            target_evidence=lead.evidence,
            target_checked=facts.target,
            target_expected=facts.expected,
            target_observed=facts.observed,
            target_answer=facts.answer,
            person_description=facts.description,
            person_handling=report.view.handling,
            person_suppression=self._redact(report.view.suppression),
            findings=[
                each.model_copy(
                    update={
                        "target_text": visibility.hide(each.target_text),
                        "person_text": self._redact(visibility.hide(each.person_text)),
                    }
                )
                for each in findings
            ],
            changes=[
                BundleChange(
                    at=each.at, action=each.action, person_text=self._redact(each.text), person_keys=list(each.keys)
                )
                for each in report.changes
            ],
            failing_run="" if failing is None else failing.id,
            good_run="" if good is None else good.id,
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
            shared=[_view_shared(each) for each in _list_shared(incident, visibility)],
            affected=len(list_subjects(incident)),
            affected_text=count_by_severity(incident),
            members=[
                BundleMember.from_object(
                    each.member,
                    subject=each.member.key.subject,
                    rule=each.member.key.rule,
                    target_evidence=each.member.evidence,
                )
                for each in report.members
            ],
            notified=[BundleDelivery.from_object(each, target_text=each.text) for each in report.deliveries],
            held_back=self._list_held_back(report.decisions),
            runbooks=self._list_runbooks(report),
            **self._view_timeline(report),
            decisions=[self._view_decision(each) for each in reversed(report.decisions)],
            omitted=[],
        )

    def _list_held_back(self, decisions: Sequence[DecisionModel]) -> list[BundleHeldBack]:
        """Return one for each code, in the order of the latest decisions. `decisions`: the newest first."""
        by_code: dict[str, list[DecisionModel]] = {}
        for each in decisions:
            if each.code.startswith(_UNSENT):
                by_code.setdefault(each.code, []).append(each)
        return [
            BundleHeldBack(code=code, count=len(own), last_at=own[0].at, target_text=self._redact(own[0].text))
            for code, own in reversed(by_code.items())
        ]

    def _list_runbooks(self, report: IncidentReport) -> list[BundleRunbook]:
        """Return each runbook once, with the first job that names it."""
        found: dict[str, str] = {}
        for each in report.members:
            link = find_subject(self._catalog.snapshot, each.member.key).runbook
            if link:
                found.setdefault(link, each.member.key.subject)
        return [BundleRunbook(subject=subject, person_link=link) for link, subject in found.items()]

    def _view_timeline(self, report: IncidentReport) -> Mapping[str, Sequence[BundleEntry | BundleNote]]:
        """Return the notes apart from the other entries. An acknowledgement can contain one, too."""
        oldest_first = report.timeline[::-1]
        return {
            "notes": [
                BundleNote(at=each.at, person=each.actor, person_text=self._redact(each.text))
                for each in oldest_first
                if each.kind == "note_added"
            ],
            "timeline": [
                BundleEntry(at=each.at, kind=each.kind, person=each.actor, target_text=self._redact(each.text))
                for each in oldest_first
                if each.kind != "note_added"
            ],
        }

    def _view_decision(self, decision: DecisionModel) -> BundleDecision:
        inputs = list(decision.inputs.items())[:MAX_INPUTS]
        return BundleDecision(
            at=decision.at,
            code=decision.code,
            subject=decision.subject or "",
            target_text=self._redact(decision.text),
            target_inputs={name: self._redact(value) for name, value in inputs},
        )


def _write_headline(incident: Incident) -> str:
    """Return `DOWN checkout and 6 more` of names alone: what they share can be a text of a target."""
    others = len(list_subjects(incident)) - 1
    more = f" and {others} more" if others else ""
    return f"{incident.severity.upper() if incident.is_open else 'RESOLVED'} {incident.leading.key.subject}{more}"


def _list_findings(report: IncidentReport, failing: Run | None, good: Run | None) -> Iterator[BundleFinding]:
    """Yield what points to the cause, the scheduler's own trouble first."""
    incident = report.view.incident
    if incident.leading.key.subject == SCHEDULER:
        yield BundleFinding(kind="scheduler", text=f"the scheduler itself, not a target: {incident.leading.key.rule}")
    elif any(each.parent == SCHEDULER for each in incident.members):
        yield BundleFinding(
            kind="scheduler", text="the scheduler could not reach anything: alerts say nothing of targets"
        )
    if failing is not None and failing.starved:
        yield BundleFinding(
            kind="scheduler", text="the scheduler lacked CPU in the first failing run: times are its own"
        )
    if incident.cause:
        yield BundleFinding(kind="cause", text="shared by the alerts", target_text=incident.cause)
    if failing is not None and failing.error is not None:
        text = f"the first failing run ended with {failing.error.replace('_', ' ')}"
        yield BundleFinding(kind="error", text=text, target_text=failing.message)
    if (end := _find_expiry(failing, good)) is not None:
        text = f"the certificate of the last good run expired at {format_instant(end)}"
        yield BundleFinding(kind="certificate", text=text)
    yield from _list_changes(report)


def _find_expiry(failing: Run | None, good: Run | None) -> datetime | None:
    details = good.attempts[-1].details if good is not None and good.attempts else None
    certificate = None if details is None or details.tls is None else details.tls.certificate
    is_over = certificate is not None and failing is not None and certificate.expires_at <= failing.finished_at
    return certificate.expires_at if certificate is not None and is_over else None


def _list_changes(report: IncidentReport) -> Iterator[BundleFinding]:
    since = report.view.incident.failing_since
    for each in report.changes[: -_NAMED_CHANGES - 1 : -1]:
        span = describe_span(abs((since - each.at).total_seconds()))
        text = f"{span} {'before the failure' if each.at <= since else 'after it began'}"
        yield BundleFinding(kind="change", text=text, person_text=each.text)
    if report.history.is_redefined and not any(each.is_definition for each in report.changes):
        yield BundleFinding(kind="definition", text="the definition of the job is not that of its last good run")


def _list_differing(differences: Sequence[RunDifference]) -> Iterator[BundleFinding]:
    for each in differences:
        if each.is_different and (kind := _KINDS.get(each.name)) is not None:
            text = f"{each.name} differs from that of the last good run"
            yield BundleFinding(kind=kind, text=text, target_text=f"{each.other or '-'} became {each.this or '-'}")


def _describe_trend(change: LevelChangeModel | None) -> Iterator[BundleFinding]:
    if change is not None:
        near = change.nearby[0].text if change.nearby else ""
        yield BundleFinding(kind="trend", text=change.text, person_text=near)


def _list_shared(incident: Incident, visibility: SubjectVisibility) -> Sequence[Any]:
    """Return the causes; none to a caller that is limited to tags, because their counts are of jobs of others too."""
    return () if visibility.is_limited else getattr(incident, "shared", ())


def _view_shared(shared: Any) -> BundleShared:
    return BundleShared.from_object(shared, target_cause=shared.cause, fine_jobs=list(shared.fine_jobs))
