"""Evaluates rules: decides what a verdict makes of an alert, and whether a sample needs a judgement at all. Pure.

For callers: hold `Activity` by job, and the alerts that are not inactive. After a run, call `observe`; without activity
and without alerts the job is healthy, and nothing is read or judged. Else read what `CompiledRules.needs` requires and
call `evaluate` for each rule. The tick evaluates `CompiledRules.about_facts`; and, of jobs with activity or an alert,
all rules that are pending or whose `needs.is_timed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from jobs.alerting.alert import Alert, Verdict, advance
from jobs.alerting.facts import MAX_WINDOW, AlertNeeds, Sample, SampleHistory, SubjectFacts
from jobs.alerting.rule import AlertRule
from jobs.fast_frozen import fast_frozen
from jobs.runs.outcomes import Trigger

_MASK = (1 << MAX_WINDOW) - 1


def judge_rule(rule: AlertRule, alert: Alert, history: SampleHistory, facts: SubjectFacts, now: datetime) -> Verdict:
    """Return the verdict of the condition on what the rule counts, before the minimum duration."""
    counted = history.select_counted(rule.triggers)  # type: ignore[arg-type]
    return rule.when.judge(counted, facts, now, alert.is_firing, rule.thresholds)


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


def _list_sample_needs(rules: Iterable[AlertRule]) -> Sequence[tuple[frozenset[Trigger], int]]:
    """Return how many samples rules need of each set of triggers that they count."""
    found: dict[frozenset[Trigger], int] = {}
    for rule in rules:
        triggers = frozenset(map(Trigger, rule.triggers))
        found[triggers] = max(found.get(triggers, 0), rule.needs.samples)
    return tuple((triggers, samples) for triggers, samples in found.items() if samples)
