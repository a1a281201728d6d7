"""An alert rule: a condition, when it opens and closes an alert, its severity, what is done then; its evaluation. Pure.

A rule belongs to a job (`alerts`), or to a selector in the section `alerting` of job files. Its notifications are
decided by jobs.incidents. Four severities are built in. The section `alerting.severities` of job files adds others, or
changes what counts as downtime.

For callers: hold `Activity` by job, and the alerts that are not inactive. After a run, call `observe`; without activity
and without alerts the job is healthy, and nothing is read or judged. Else read what `CompiledRules.needs` requires and
call `evaluate` for each rule. The tick evaluates `CompiledRules.about_facts`; and, of jobs with activity or an alert,
all rules that are pending or whose `needs.is_timed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from jobs.alerting.alert import Alert, Verdict, advance
from jobs.alerting.conditions.base import AlertCondition
from jobs.alerting.conditions.failed import FailedCondition
from jobs.alerting.conditions.union import Condition
from jobs.alerting.facts import (
    COUNTED_TRIGGERS,
    MAX_WINDOW,
    AlertNeeds,
    Sample,
    SampleHistory,
    SubjectFacts,
    Threshold,
    ThresholdField,
    Thresholds,
)
from jobs.alerting.selectors import AlertSelector
from jobs.fast_frozen import fast_frozen
from jobs.formats import format_duration
from jobs.model_base import DisplayText, Duration, FrozenModel
from jobs.runs.outcomes import Trigger

SEVERITY_PATTERN = r"^[a-z][a-z0-9_-]{0,39}$"
RANK_STEP = 10
"""Between the built-in severities, so that others fit in between."""


class SeverityDefinition(FrozenModel):
    """A severity of a job file. `rank`: info is 0, degraded 10, down 20, blind 30; required for a new name."""

    rank: int | None = Field(default=None, ge=0, le=1000)
    counts_as_downtime: bool | None = None
    """None: as the built-in one, or false."""
    description: DisplayText = Field(default="", max_length=200)


class AlertSeverity(FrozenModel):
    """A severity in force. `rank`: that of an incident is the highest of its alerts."""

    name: str
    rank: int
    counts_as_downtime: bool = False
    description: str = ""


_BUILT_IN = (
    AlertSeverity(name="info", rank=0),
    AlertSeverity(name="degraded", rank=RANK_STEP),
    AlertSeverity(name="down", rank=2 * RANK_STEP, counts_as_downtime=True),
    AlertSeverity(name="blind", rank=3 * RANK_STEP),
)
BUILT_IN_SEVERITIES: Mapping[str, AlertSeverity] = MappingProxyType({each.name: each for each in _BUILT_IN})


def merge_severities(definitions: Iterable[tuple[str, SeverityDefinition]]) -> Mapping[str, AlertSeverity]:
    """Return the built-in severities and the defined ones by name, the lowest rank first.

    Raises:
        ValueError: a new severity has no rank, or a rank of another one; the message names it.
    """
    merged = dict(BUILT_IN_SEVERITIES)
    for name, definition in definitions:
        base = merged.get(name)
        rank = definition.rank if definition.rank is not None or base is None else base.rank
        if rank is None:
            ranks = ", ".join(f"{each.name} {each.rank}" for each in BUILT_IN_SEVERITIES.values())
            raise ValueError(f"the severity {name} has no rank: set one ({ranks})")
        counts = definition.counts_as_downtime
        if counts is None:
            counts = base is not None and base.counts_as_downtime
        merged[name] = AlertSeverity(
            name=name, rank=rank, counts_as_downtime=counts, description=definition.description
        )
    by_rank: dict[int, str] = {}
    for each in merged.values():
        first = by_rank.setdefault(each.rank, each.name)
        if first != each.name:
            raise ValueError(f"the severities {first} and {each.name} have the same rank {each.rank}: change one")
    return {each.name: each for each in sorted(merged.values(), key=lambda each: each.rank)}


NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""Of a rule and of a channel: part of ids and table keys."""
_NAME_DESCRIPTION = "letters, digits, dot, - and _, at most 100, the first a letter or a digit"
MAX_RULES = 20
"""Of one job or selector."""
MAX_CHANNELS = 20
"""Of one rule, or of a step of its escalation."""
MAX_ALERT_TIME = 30 * 86400.0
_DEFAULT_TRIGGERS = (Trigger.SCHEDULE, Trigger.DEPENDENCY)
assert frozenset(_DEFAULT_TRIGGERS) == COUNTED_TRIGGERS


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{str(twice)!r} is listed twice: remove one")
    return names


ChannelName = Annotated[str, Field(pattern=NAME_PATTERN, description=_NAME_DESCRIPTION)]
ChannelNames = Annotated[
    tuple[ChannelName, ...],
    BeforeValidator(_as_list, json_schema_input_type=ChannelName | tuple[ChannelName, ...]),
    Field(max_length=MAX_CHANNELS),
    AfterValidator(_each_once),
]
AlertTrigger = Literal["schedule", "dependency", "manual", "backfill"]
AlertTime = Annotated[Duration, Field(le=MAX_ALERT_TIME)]


class Escalation(FrozenModel):
    """`notify`: channels that are notified when an incident is open for `after` and not acknowledged."""

    after: Annotated[AlertTime, Field(gt=0)]
    notify: ChannelNames = Field(min_length=1)


class FlappingPolicy(FrozenModel):
    """An incident that opened and closed `changes` times `within` this time stays open until it is stable."""

    changes: int = Field(default=6, ge=2, le=100, description="number of openings and closings")
    within: Annotated[AlertTime, Field(gt=0)] = Field(default=3600.0, description="the time in which they are counted")


def _read_flapping(value: Any) -> Any:
    if value is True:
        raise ValueError("write the policy, such as {changes: 6, within: 1h}, or false for none")
    return None if value is False else value


def check_runbook(value: str) -> str:
    """Return a link, or raise ValueError."""
    if value and urlsplit(value).scheme not in ("http", "https"):
        raise ValueError(f"{value[:60]!r} is not a link: expected http:// or https://")
    return value


class AlertRule(FrozenModel):
    """One rule. Without `when` it concerns failed runs."""

    name: str = Field(default="", pattern=rf"^$|{NAME_PATTERN}", description=_NAME_DESCRIPTION)
    """Unique for its job. The default is the key of the condition."""
    when: Condition = Field(default=FailedCondition(failed=True))
    open_after: ThresholdField | None = None
    """None: the default of the condition."""
    close_after: int | None = Field(default=None, ge=1, le=MAX_WINDOW)
    """Good samples in a row. None: the threshold is not reached and the latest sample is good."""
    for_: AlertTime = Field(default=0.0, alias="for")
    """For which the condition must be met before the alert fires."""
    severity: str = Field(
        default="", pattern=rf"^$|{SEVERITY_PATTERN}", description="the name of a severity, in small letters"
    )
    """The default is that of the condition."""
    notify: ChannelNames = ()
    """Channels. Empty: the routes decide."""
    remind_every: Annotated[AlertTime, Field(ge=60)] | None = None
    escalate: tuple[Escalation, ...] = Field(default=(), max_length=10)
    reopen_within: AlertTime = 600.0
    flapping: Annotated[
        FlappingPolicy | None,
        BeforeValidator(_read_flapping, json_schema_input_type=FlappingPolicy | Literal[False] | None),
    ] = FlappingPolicy()
    triggers: Annotated[
        tuple[AlertTrigger, ...],
        BeforeValidator(_as_list, json_schema_input_type=AlertTrigger | tuple[AlertTrigger, ...]),
        Field(min_length=1),
        AfterValidator(_each_once),
    ] = ("schedule", "dependency")
    """The triggers of the runs that count."""
    runbook: Annotated[DisplayText, Field(max_length=500), AfterValidator(check_runbook)] = ""
    counts_as_downtime: bool | None = None
    """None: as its severity."""

    @model_validator(mode="after")
    def _check_thresholds(self) -> Self:
        if self.when.COUNTS_SAMPLES:
            return self
        key = self.when.condition_key()
        for field in ("open_after", "close_after"):
            if getattr(self, field) is not None:
                hint = "minimum_runs and close_at" if "minimum_runs" in type(self.when).model_fields else "for"
                raise ValueError(
                    f"{field} does not apply to {key}, which is not about single runs: remove it, or use {hint}"
                )
        return self

    @model_validator(mode="after")
    def _check_escalation(self) -> Self:
        times = [step.after for step in self.escalate]
        if any(later <= earlier for earlier, later in pairwise(times)):
            listed = ", ".join(map(format_duration, times))
            raise ValueError(f"the steps of escalate are not in order of after ({listed}): each must be later")
        return self

    @model_validator(mode="after")
    def _fill_defaults(self) -> Self:
        # Name and severity depend on the condition; neither is thereby a field that the file sets.
        vars(self)["name"] = self.name or self.when.condition_key()
        vars(self)["severity"] = self.severity or self.when.DEFAULT_SEVERITY
        return self

    @property
    def thresholds(self) -> Thresholds:
        return Thresholds(self.opening, self.close_after)

    @property
    def opening(self) -> Threshold:
        return self.when.DEFAULT_OPEN_AFTER if self.open_after is None else self.open_after

    @property
    def minimum_duration(self) -> timedelta:
        return timedelta(seconds=self.for_)

    @property
    def needs(self) -> AlertNeeds:
        """Return what the evaluation reads. The tick evaluates a rule with `for` as well while its alert is pending."""
        return self.when.find_needs(self.thresholds)

    def counts(self, sample: Sample) -> bool:
        """Return whether the sample takes a place, apart from when it was due."""
        return sample.trigger in self.triggers and (self.when.COUNTS_UNKNOWN or not sample.is_unknown)

    def select_counted(self, history: SampleHistory) -> SampleHistory:
        """Return the history as the rule counts it."""
        return history.select_counted(
            self.triggers,  # type: ignore[arg-type]
            with_unknown=self.when.COUNTS_UNKNOWN,
        )

    @property
    def channels(self) -> frozenset[str]:
        """Return all channels that it names."""
        return frozenset(self.notify).union(*(step.notify for step in self.escalate))


def _check_names(rules: tuple[AlertRule, ...]) -> tuple[AlertRule, ...]:
    seen: set[str] = set()
    for rule in rules:
        if rule.name in seen:
            raise ValueError(f"two rules have the name {rule.name}: set name in one of them")
        seen.add(rule.name)
    return rules


AlertRules = Annotated[tuple[AlertRule, ...], Field(max_length=MAX_RULES), AfterValidator(_check_names)]
"""A field `alerts`: rules with unique names."""

__all__ = ["MAX_RULES", "AlertCondition", "AlertRule", "AlertRules", "Escalation", "FlappingPolicy"]


class SelectedRules(FrozenModel):
    """The rules of the selected jobs that have no `alerts`. The first entry that selects a job applies to it."""

    select: AlertSelector
    alerts: AlertRules = Field(description="a list of rules; an empty one means none")


_MASK = (1 << MAX_WINDOW) - 1


def judge_rule(rule: AlertRule, alert: Alert, history: SampleHistory, facts: SubjectFacts, now: datetime) -> Verdict:
    """Return the verdict of the condition on what the rule counts, before the minimum duration."""
    return rule.when.judge(rule.select_counted(history), facts, now, alert.is_firing, rule.thresholds)


def evaluate(rule: AlertRule, alert: Alert, history: SampleHistory, facts: SubjectFacts, now: datetime) -> Alert:
    """Return the alert after a judgement at `now`; the same value if nothing changes.

    Any process can evaluate at any time and repeat it: the result depends on the arguments alone.
    """
    return advance(alert, judge_rule(rule, alert, history, facts, now), now, rule.minimum_duration)


@fast_frozen(frozen=True, slots=True)
class Activity:
    """That a job had a bad sample recently. `bits`: one a bad sample, the newest lowest."""

    bits: int
    until: datetime
    """The end of the longest window of its rules after the last bad sample."""


class CompiledRules:
    """The rules of one job, prepared once for a snapshot of the catalog."""

    __slots__ = ("_conditions", "_longest_window", "about_facts", "needs", "rules", "sample_needs")

    def __init__(self, rules: Iterable[AlertRule]) -> None:
        self.rules = tuple(rules)
        self.about_facts = tuple(rule for rule in self.rules if rule.needs.is_timed and not rule.needs.longest_window)
        self.needs = AlertNeeds()
        for rule in self.rules:
            self.needs |= rule.needs
        self.sample_needs = _list_sample_needs(self.rules)
        self._conditions = tuple({rule.when for rule in self.rules}) if self.rules else ()
        self._longest_window = self.needs.longest_window

    def is_bad(self, sample: Sample) -> bool:
        """Return whether the sample counts towards any of the rules."""
        for condition in self._conditions:  # noqa: SIM110 - perf: called for each run, a generator costs more
            if condition.is_bad(sample):
                return True
        return False

    def observe(self, activity: Activity | None, sample: Sample) -> Activity | None:
        """Return the activity after a sample; None for a healthy job, whose rules need no judgement after it.

        A rule that judges samples cannot become met by a good sample of a job without activity.
        """
        if self.is_bad(sample):
            bits = ((activity.bits << 1) | 1) & _MASK if activity is not None else 1
            return Activity(bits, sample.finished_at + self._longest_window)
        if activity is None:
            return None
        bits = (activity.bits << 1) & _MASK
        return Activity(bits, activity.until) if bits or sample.finished_at <= activity.until else None


CountedRuns = tuple[frozenset[Trigger], bool]
"""The triggers of the runs that a rule counts, and whether unknown ones count."""


def _list_sample_needs(rules: Iterable[AlertRule]) -> Sequence[tuple[CountedRuns, int]]:
    """Return how many samples rules need of the runs that they count."""
    found: dict[CountedRuns, int] = {}
    for rule in rules:
        counted = frozenset(map(Trigger, rule.triggers)), rule.when.COUNTS_UNKNOWN
        found[counted] = max(found.get(counted, 0), rule.needs.samples)
    return tuple((counted, samples) for counted, samples in found.items() if samples)
