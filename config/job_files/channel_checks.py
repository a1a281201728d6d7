"""Channels and severities that no file defines, wherever rules and entries name them, and fallbacks that lead
nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from config.job_files.alerting_section import AlertingContext, LocatedEntry
from jobs.alerting.rule import AlertRule
from jobs.definition.alerting_section import DEFAULT_TEMPLATES
from jobs.definition.job import find_parent_circle
from jobs.problems import KeyPath, Problem, describe_wrong_choice

if TYPE_CHECKING:
    from config.job_files.joining import LocatedJob


class _Place(Protocol):
    def problem_at(self, keys: KeyPath, message: str, hint: str) -> Problem: ...


@dataclass(frozen=True, slots=True)
class RulePlace:
    """The list `alerts` of a place."""

    place: _Place
    alerts: tuple[AlertRule, ...]

    def problem_at(self, keys: KeyPath, message: str, hint: str) -> Problem:
        """Return a problem at a key of the place, such as `("alerts", 0, "notify")`."""
        return self.place.problem_at(keys, message, hint)


def list_rule_places(context: AlertingContext) -> Iterator[RulePlace]:
    """Yield the entries of `rules` and `groups`."""
    for part in ("rules", "groups"):
        for one in context.entries_of(part):
            yield RulePlace(one, one.entry.value.alerts)


def rules_of_job(located: LocatedJob) -> RulePlace | None:
    """Return the job's own rules; None if it has none, so that the place of the job is not known either."""
    return RulePlace(located, located.job.alerts) if located.job.alerts else None


_PART = "channels"


def find_unknown_channels(rules: RulePlace, context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each channel of `notify` and `escalate` that is unknown."""
    for index, rule in enumerate(rules.alerts):
        for keys, name in _find_missing(("alerts", index, "notify"), rule.notify, context):
            yield rules.problem_at(keys, *context.describe_missing("channel", _PART, name))
        for step, escalation in enumerate(rule.escalate):
            place = ("alerts", index, "escalate", step, "notify")
            for keys, name in _find_missing(place, escalation.notify, context):
                yield rules.problem_at(keys, *context.describe_missing("channel", _PART, name))


def find_unknown_channels_of_entries(context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each channel that a route, a rota or a template names and that is unknown."""
    for located in context.entries_of("routes"):
        yield from _unknown(located, ("notify",), located.entry.value.notify, context)
    for located in context.entries_of("on_call"):
        for person, channels in located.entry.value.people.items():
            yield from _unknown(located, ("people", person), channels, context)
        yield from _unknown(located, ("otherwise",), located.entry.value.otherwise, context)
    for located in context.entries_of("templates"):
        if located.entry.name != DEFAULT_TEMPLATES:
            for _, name in context.find_missing(_PART, (located.entry.name,)):
                message, _ = context.describe_missing("channel", _PART, name)
                yield located.problem(message, f"name a channel, or write {DEFAULT_TEMPLATES} for all others")


def find_wrong_fallbacks(context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each fallback that is unknown, is the channel itself, or closes a circle."""
    channels = context.definitions.channels
    fallbacks = {name: (channel.fallback,) for name, channel in channels.items() if channel.fallback is not None}
    in_circles: set[str] = set()
    for located in context.entries_of(_PART):
        name, fallback = located.entry.name, located.entry.value.fallback
        if fallback is None:
            continue
        if fallback == name:
            yield located.problem("names the channel itself", "name another channel, or remove it", "fallback")
            continue
        yield from _unknown(located, ("fallback",), (fallback,), context)
        if name in in_circles or not (circle := find_parent_circle(name, fallbacks)):
            continue
        in_circles.update(circle)
        ways = " -> ".join((*circle, name))
        yield located.problem(f"closes a circle of fallbacks: {ways}", "remove one of these fallbacks", "fallback")


def _unknown(located: LocatedEntry, keys: KeyPath, names: Sequence[str], context: AlertingContext) -> Iterator[Problem]:
    for place, name in _find_missing(keys, names, context):
        yield located.problem_at(place, *context.describe_missing("channel", _PART, name))


def _find_missing(keys: KeyPath, names: Sequence[str], context: AlertingContext) -> Iterator[tuple[KeyPath, str]]:
    """Yield the key of each missing channel. A single name can be written without a list."""
    for position, name in context.find_missing(_PART, names) if names else ():
        yield (keys if len(names) == 1 else (*keys, position)), name


def find_unknown_severities(rules: RulePlace, context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each rule whose severity is unknown."""
    for index, name in context.find_missing("severities", (rule.severity for rule in rules.alerts)):
        yield rules.problem_at(("alerts", index, "severity"), *_describe(name, context))


def find_unknown_selected_severities(context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each severity of a selector that is unknown."""
    for part, key in (("routes", "match"), ("windows", "select")):
        for one in context.entries_of(part):
            for _, name in context.find_missing("severities", getattr(one.entry.value, key).severities):
                yield one.problem_at((key, "severities"), *_describe(name, context))


def _describe(name: str, context: AlertingContext) -> tuple[str, str]:
    return describe_wrong_choice(name, tuple(context.definitions.severities))
