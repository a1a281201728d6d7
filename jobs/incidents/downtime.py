"""Uptime by time: how long the alerts of a subject that count as downtime fired in a period. Pure.

Called by scheduler.features.statistics.downtime. A target is down from `failing_since` of an alert until the alert is
resolved, whether or not people were notified: a silence, a parent or an acknowledgement changes nothing. Alerts that
fire at the same time are counted once. Excluded times are neither uptime nor downtime.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from jobs.alerting.rule import AlertRule, AlertSeverity
from jobs.fast_frozen import fast_frozen
from jobs.incidents.engine.facts import BLIND, BLIND_MARGIN, SCHEDULER
from jobs.incidents.suppression.spans import Span
from jobs.incidents.values import Incident, Transition
from jobs.runs.states import JobStatus, StateChange


class ExclusionReason(StrEnum):
    BLIND = "blind"
    """The scheduler could not reach anything."""
    PAUSED = "paused"
    """By a user, or by a window with `effect: pause`."""
    WINDOW = "window"
    """A window with `counts: false`."""
    DISABLED = "disabled"
    """The job was disabled or removed."""
    UNKNOWN = "unknown"
    """Its runs could not tell the state of the target."""
    NOT_OBSERVED = "not_observed"
    """Before the first run."""


@fast_frozen(frozen=True, slots=True)
class CountedFailure:
    """An alert that fired and counts as downtime. `end`: None while it fires."""

    incident: str
    rule: str
    severity: str
    begin: datetime
    end: datetime | None


@fast_frozen(frozen=True, slots=True)
class ExcludedTime:
    """A time that is neither uptime nor downtime. `name`: of the window. `text`: its reason."""

    reason: ExclusionReason
    begin: datetime
    end: datetime
    name: str = ""
    text: str = ""


@fast_frozen(frozen=True, slots=True)
class DowntimeSpan:
    """`incidents`: their ids. `is_open`: the target is still down at the end."""

    begin: datetime
    end: datetime
    incidents: tuple[str, ...]
    rules: tuple[str, ...]
    is_open: bool

    @property
    def seconds(self) -> float:
        return (self.end - self.begin).total_seconds()


@fast_frozen(frozen=True, slots=True)
class Downtime:
    """Of the time from `since` to `until`. All spans are in order of time; exclusions can overlap."""

    since: datetime
    until: datetime
    spans: tuple[DowntimeSpan, ...]
    exclusions: tuple[ExcludedTime, ...]
    excluded_seconds: float

    @property
    def down_seconds(self) -> float:
        return sum(span.seconds for span in self.spans)

    @property
    def measured_seconds(self) -> float:
        """Return the time that is uptime or downtime."""
        return (self.until - self.since).total_seconds() - self.excluded_seconds

    @property
    def uptime(self) -> float | None:
        """Return the share of the measured time, 0 to 1; None if nothing was measured."""
        return 1.0 - self.down_seconds / self.measured_seconds if self.measured_seconds > 0 else None


def compute_downtime(
    failures: Iterable[CountedFailure], exclusions: Iterable[ExcludedTime], since: datetime, until: datetime
) -> Downtime:
    """`until`: not in the future; failures that have not ended last until then."""
    period = Span(since, until)
    clipped = [(failure, span) for failure in failures if (span := _clip(failure.begin, failure.end, period))]
    within = [
        ExcludedTime(each.reason, span.begin, span.end, each.name, each.text)
        for each in exclusions
        if (span := _clip(each.begin, each.end, period))
    ]
    excluded = merge_spans(Span(each.begin, each.end) for each in within)
    down = list(_subtract(merge_spans(span for _, span in clipped), excluded))
    return Downtime(
        since,
        until,
        tuple(_describe_spans(down, clipped, until)),
        tuple(sorted(within, key=lambda each: (each.begin, each.end, each.reason))),
        sum((span.end - span.begin).total_seconds() for span in excluded),
    )


def list_failures(
    subject: str,
    incident: Incident,
    transitions: Iterable[Transition],
    rules: Mapping[str, AlertRule],
    severities: Mapping[str, AlertSeverity],
) -> Iterator[CountedFailure]:
    """Yield the alerts of a subject that fired in an incident and count as downtime.

    `transitions`: of the incident, if `needs_transitions`. `rules`: of the subject by name; an alert of a removed rule
    counts as its severity does.
    """
    replaced = (each.replaced for each in transitions)
    for member in (*(each for each in replaced if each is not None), *incident.members):
        if member.key.subject != subject or member.parent == SCHEDULER:
            continue
        if _counts_by(rules.get(member.key.rule), member.severity, severities):
            yield CountedFailure(
                incident.id, member.key.rule, member.severity, member.failing_since, member.resolved_at
            )


def needs_transitions(subject: str, incident: Incident) -> bool:
    """Return whether the members of an incident do not have every alert of the subject that fired in it."""
    own = [member for member in incident.members if member.key.subject == subject]
    return not own or any(member.has_replaced for member in own)


def list_blind_times(incident: Incident, transitions: Iterable[Transition], now: datetime) -> Iterator[ExcludedTime]:
    """Yield when the scheduler was blind, from an incident about it."""
    replaced = (each.replaced for each in transitions)
    for member in (*(each for each in replaced if each is not None), *incident.members):
        if member.key.subject == SCHEDULER and member.key.rule == BLIND:
            begin = member.failing_since - BLIND_MARGIN
            yield ExcludedTime(ExclusionReason.BLIND, begin, member.resolved_at or now, text=member.evidence)


_EXCLUDED_STATES = {
    JobStatus.PAUSED: ExclusionReason.PAUSED,
    JobStatus.DISABLED: ExclusionReason.DISABLED,
    JobStatus.REMOVED: ExclusionReason.DISABLED,
    JobStatus.UNKNOWN: ExclusionReason.UNKNOWN,
}


def list_suspended_times(changes: Sequence[StateChange], since: datetime, now: datetime) -> Iterator[ExcludedTime]:
    """Yield when a job did not run by its schedule, or its runs were unknown.

    `changes`: of the job, newest first, at least those after `since`; without one, the latest before.
    """
    end = now
    for change in changes:
        reason = _EXCLUDED_STATES.get(change.state)
        has_no_run = reason is ExclusionReason.UNKNOWN and not change.is_unknown
        if reason is not None and not has_no_run and change.at < end:
            yield ExcludedTime(reason, change.at, end, text=change.cause.message)
        end = change.at
    oldest = changes[-1] if changes else None
    if oldest is None or oldest.previous is None or oldest.previous_since is None:
        if since < end:
            yield ExcludedTime(ExclusionReason.NOT_OBSERVED, since, end)
    elif (reason := _EXCLUDED_STATES.get(oldest.previous)) is not None:
        yield ExcludedTime(reason, oldest.previous_since, end)


def counts_as_downtime(rule: AlertRule, severities: Mapping[str, AlertSeverity]) -> bool:
    """Return whether the time in which an alert of a rule fires is downtime."""
    return _counts_by(rule, rule.severity, severities)


def merge_spans(spans: Iterable[Span]) -> list[Span]:
    """Return the times that are inside of any, in order: spans that adjoin or overlap are one."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda each: each.begin):
        if merged and span.begin <= merged[-1].end:
            merged[-1] = Span(merged[-1].begin, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def _counts_by(rule: AlertRule | None, severity_name: str, severities: Mapping[str, AlertSeverity]) -> bool:
    if rule is not None and rule.counts_as_downtime is not None:
        return rule.counts_as_downtime
    severity = severities.get(severity_name)
    return severity is not None and severity.counts_as_downtime


def _clip(begin: datetime, end: datetime | None, period: Span) -> Span | None:
    begin, end = max(begin, period.begin), period.end if end is None else min(end, period.end)
    return Span(begin, end) if begin < end else None


def _subtract(spans: Sequence[Span], excluded: Sequence[Span]) -> Iterator[Span]:
    """Yield what is in `spans` and not in `excluded`; both are merged."""
    first = 0
    for span in spans:
        while first < len(excluded) and excluded[first].end <= span.begin:
            first += 1
        begin, number = span.begin, first
        while number < len(excluded) and excluded[number].begin < span.end:
            if begin < excluded[number].begin:
                yield Span(begin, excluded[number].begin)
            begin = max(begin, excluded[number].end)
            number += 1
        if begin < span.end:
            yield Span(begin, span.end)


def _describe_spans(
    down: Sequence[Span], clipped: Sequence[tuple[CountedFailure, Span]], until: datetime
) -> Iterator[DowntimeSpan]:
    begins = [span.begin for span in down]
    failures_by_span: list[list[CountedFailure]] = [[] for _ in down]
    for failure, span in sorted(clipped, key=lambda each: (each[0].begin, each[0].incident, each[0].rule)):
        number = max(bisect_right(begins, span.begin) - 1, 0)
        while number < len(down) and down[number].begin < span.end:
            if down[number].end > span.begin:
                failures_by_span[number].append(failure)
            number += 1
    for span, failures in zip(down, failures_by_span, strict=True):
        yield DowntimeSpan(
            span.begin,
            span.end,
            tuple(dict.fromkeys(each.incident for each in failures)),
            tuple(dict.fromkeys(each.rule for each in failures)),
            is_open=span.end == until and any(each.end is None for each in failures),
        )
