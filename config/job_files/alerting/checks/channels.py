"""Channels that no file defines, wherever they are named, and fallbacks that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from config.job_files.alerting.checks.places import RulePlace
from config.job_files.alerting.context import AlertingContext, LocatedEntry
from jobs.definition.alerting_section import DEFAULT_TEMPLATES
from jobs.definition.job import find_parent_circle
from jobs.problems import KeyPath, Problem

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
    for one in context.entries_of("routes"):
        yield from _unknown(one, ("notify",), one.entry.value.notify, context)
    for one in context.entries_of("on_call"):
        for person, channels in one.entry.value.people.items():
            yield from _unknown(one, ("people", person), channels, context)
        yield from _unknown(one, ("otherwise",), one.entry.value.otherwise, context)
    for one in context.entries_of("templates"):
        if one.entry.name != DEFAULT_TEMPLATES:
            for _, name in context.find_missing(_PART, (one.entry.name,)):
                message, _ = context.describe_missing("channel", _PART, name)
                yield one.problem(message, f"name a channel, or write {DEFAULT_TEMPLATES} for all others")


def find_wrong_fallbacks(context: AlertingContext) -> Iterator[Problem]:
    """Yield a problem for each fallback that is unknown, is the channel itself, or closes a circle."""
    channels = context.definitions.channels
    fallbacks = {name: (channel.fallback,) for name, channel in channels.items() if channel.fallback is not None}
    in_circles: set[str] = set()
    for one in context.entries_of(_PART):
        name, fallback = one.entry.name, one.entry.value.fallback
        if fallback is None:
            continue
        if fallback == name:
            yield one.problem("names the channel itself", "name another channel, or remove it", "fallback")
            continue
        yield from _unknown(one, ("fallback",), (fallback,), context)
        if name in in_circles or not (circle := find_parent_circle(name, fallbacks)):
            continue
        in_circles.update(circle)
        ways = " -> ".join((*circle, name))
        yield one.problem(f"closes a circle of fallbacks: {ways}", "remove one of these fallbacks", "fallback")


def _unknown(one: LocatedEntry, keys: KeyPath, names: Sequence[str], context: AlertingContext) -> Iterator[Problem]:
    for place, name in _find_missing(keys, names, context):
        yield one.problem_at(place, *context.describe_missing("channel", _PART, name))


def _find_missing(keys: KeyPath, names: Sequence[str], context: AlertingContext) -> Iterator[tuple[KeyPath, str]]:
    """Yield the key of each missing channel. A single name can be written without a list."""
    for position, name in context.find_missing(_PART, names) if names else ():
        yield (keys if len(names) == 1 else (*keys, position)), name
