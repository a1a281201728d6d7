"""Rules about valid definitions: warnings of likely mistakes, and refusals. Each rule is a function. Pure.

Called by config.job_files.definitions for every job. A rule gets a definition and yields findings with paths of the
full form. Rules that need files, secrets or the network are in config.warnings.

A new rule: a function here, in credentials.py or azure.py, and its line in `_WARNINGS` or `_REFUSALS`. Here are those
about schedules, and about placeholders of other programs, which are not replaced: `${HOST}`, `%HOST%`, `{{ host }}`. In
steps, `${name}` is a saved value, which jobs.targets.steps validates.

Odd fields of NCRONTAB: a range can be reversed (`22-2` is 2 to 22), a step below one counts as one, a name can be
shortened to its first letter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

from jobs.alerting.conditions.slower_than_usual import SlowerThanUsualCondition
from jobs.definition import JobDefinition
from jobs.formats import describe_span, format_count
from jobs.problems import Finding, KeyPath
from jobs.schedules import BoundedSchedule, JitteredSchedule, Ncrontab, Schedule, UnionSchedule, ZonedSchedule
from jobs.schedules.cron_fields import CronField
from jobs.schedules.ncrontab import CRON_FIELDS
from jobs.targets import FormBody, HeartbeatTarget, HttpTarget, JsonBody, TextBody
from jobs.targets.endpoints import find_placeholder_in_text, find_placeholder_in_url
from jobs.targets.steps import Step
from jobs.warnings.azure import find_short_azure_intervals
from jobs.warnings.credentials import (
    find_literal_credentials,
    find_proxy_password_without_tls,
    find_secrets_without_tls,
)

_HINT = "write the value itself, or reference a secret: {secret: NAME}; ${name} is only for the kind steps"


def find_unknown_placeholders(job: JobDefinition) -> Iterator[Finding]:
    """Warn of placeholders in the request of an HTTP check."""
    check = job.check
    if not isinstance(check, HttpTarget) or isinstance(check, Step):
        return
    if (placeholder := find_placeholder_in_url(check.url)) is not None:
        yield _finding(("check", "url"), placeholder)
    for path, text in _texts(check):
        if (placeholder := find_placeholder_in_text(text)) is not None:
            yield _finding(path, placeholder)


def _finding(path: KeyPath, placeholder: str) -> Finding:
    return Finding(path, f"contains the placeholder {placeholder}, which is not replaced but sent literally", _HINT)


def _texts(check: HttpTarget) -> Iterator[tuple[KeyPath, str]]:
    for key, values in (("headers", check.headers), ("query", check.query)):
        yield from ((("check", key, name), value) for name, value in values.items() if isinstance(value, str))
    match check.body:
        case TextBody(text=str() as text):
            yield ("check", "body", "text"), text
        case FormBody(form=form):
            yield from (
                (("check", "body", "form", name), value) for name, value in form.items() if isinstance(value, str)
            )
        case JsonBody(json_=document):
            yield from _texts_in(document, ("check", "body", "json"))


def _texts_in(document: object, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(document, str):
        yield path, document
    elif isinstance(document, dict):
        for key, value in document.items():
            yield from _texts_in(value, (*path, key))
    elif isinstance(document, (list, tuple)):
        for index, value in enumerate(document):
            yield from _texts_in(value, (*path, index))


def iter_schedules(job: JobDefinition) -> Iterator[tuple[KeyPath, Schedule]]:
    """Yield the schedule of the job, and that of the pings of a heartbeat."""
    if job.schedule is not None:
        yield ("schedule",), job.schedule
    if isinstance(job.check, HeartbeatTarget) and job.check.schedule is not None:
        yield ("check", "schedule"), job.check.schedule


def find_never_due(job: JobDefinition, now_ms: int) -> Iterator[Finding]:
    """Warn of a schedule without an instant after now."""
    for path, schedule in iter_schedules(job):
        if schedule.next_after_ms(now_ms) is not None:
            continue
        hint = "fix it, or remove the schedule if the job runs on demand"
        if isinstance(schedule, BoundedSchedule) and schedule.end is not None and schedule.end.milliseconds <= now_ms:
            yield Finding(path, f"is no longer due: it ended at {schedule.end.text}", "move its end, or remove the job")
        else:
            yield Finding(path, f"is never due: no date matches {schedule.text!r}", hint)


def find_odd_fields(job: JobDefinition) -> Iterator[Finding]:
    """Warn of fields with a surprising meaning."""
    for path, schedule in iter_schedules(job):
        for expression in _expressions(schedule):
            for message, hint in explain_odd_fields(expression.text):
                yield Finding(path, message, hint)


def _expressions(schedule: Schedule) -> Iterator[Ncrontab]:
    """Yield the NCRONTAB expressions in a schedule."""
    match schedule:
        case Ncrontab():
            yield schedule
        case ZonedSchedule(cron=Ncrontab() as expression):
            yield expression
        case JitteredSchedule(schedule=inner) | BoundedSchedule(schedule=inner):
            yield from _expressions(inner)
        case UnionSchedule(schedules=parts):
            for part in parts:
                yield from _expressions(part)


# perf: validate, 15 % of a job; thousands of jobs share the same few expressions
@lru_cache(maxsize=1024)
def explain_odd_fields(expression: str) -> tuple[tuple[str, str], ...]:
    """Return message and hint for each item of each field with a surprising meaning.

    `expression`: the text of a valid one.
    """
    if expression.startswith("@"):
        return ()
    parts = expression.split()
    places = zip(CRON_FIELDS[-len(parts) :], parts, strict=True)
    items = ((place, item) for place, part in places for item in part.split(","))
    # Most items are plain numbers or *.
    return tuple(odd for place, item in items if item != "*" and not item.isdecimal() for odd in _odd_item(place, item))


def _odd_item(place: CronField, item: str) -> Iterator[tuple[str, str]]:
    base, slash, step = item.partition("/")
    first, dash, last = base.partition("-")
    start, stop = _number(place, first), _number(place, last)
    head = f"{place.name}: {item!r}"
    if dash and start > stop:
        meaning = f"NCRONTAB swaps its ends: it means {_text(place, stop)}-{_text(place, start)}"
        yield f"{head} is a reversed range, and {meaning}", _around(place, start, stop, slash + step)
    if slash:
        yield from _odd_step(place, head, _bounds(place, base, dash, start, stop), int(step))
    for name in (first, last):
        if name.isalpha() and (others := _other_names(place, name)):
            known = _full_name(place, name)
            yield f"{head} means {known}, though {name!r} is also the start of {others}", f"write {known[:3]}"


def _odd_step(place: CronField, head: str, bounds: tuple[int, int], step: int) -> Iterator[tuple[str, str]]:
    low, high = bounds
    if step < 1:
        yield f"{head} has a step of {step}, which NCRONTAB reads as 1", "write the intended step, such as */5"
    elif step > high - low:
        message = f"{head} has a step larger than its range {low}-{high}, so it means only {_text(place, low)}"
        yield message, f"write {_text(place, low)}, or {{every: ...}} for an interval longer than the field"


def _bounds(place: CronField, base: str, dash: str, start: int, stop: int) -> tuple[int, int]:
    if base == "*":
        return place.lowest, place.highest
    return (min(start, stop), max(start, stop)) if dash else (start, place.highest)


def _number(place: CronField, text: str) -> int:
    """Return the value of a number or a name in a valid field; -1 for anything else."""
    if text.isdecimal():
        return int(text)
    names = [number for number, name in enumerate(place.names, place.lowest) if text and name.startswith(text.lower())]
    return names[0] if names else -1


def _text(place: CronField, number: int) -> str:
    return place.names[number - place.lowest][:3] if place.names else str(number)


def _around(place: CronField, start: int, stop: int, step: str) -> str:
    """Explain how to write a range across the field's end, such as 22-23,0-2."""
    if step:
        return "list the values, or write two ranges"
    if place.names:
        values = [*range(start, place.highest + 1), *range(place.lowest, stop + 1)]
        return (
            f"for {_text(place, start)} to {_text(place, stop)} write {','.join(_text(place, one) for one in values)}"
        )
    parts = [_range(start, place.highest), _range(place.lowest, stop)]
    return f"for {start} to {stop} across the field's end write {','.join(parts)}"


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def _full_name(place: CronField, text: str) -> str:
    return next(name for name in place.names if name.startswith(text.lower()))


def _other_names(place: CronField, text: str) -> str:
    """Return the other names that a shortened name can mean."""
    return ", ".join([name for name in place.names if name.startswith(text.lower())][1:])


WarningRule = Callable[[JobDefinition], Iterator[Finding]]

_REFUSALS: tuple[WarningRule, ...] = (find_secrets_without_tls, find_short_azure_intervals)
"""Each finding is a problem: the job is refused."""

_DAY_MS, _MONDAY_MS = 86_400_000, 1_767_571_200_000
_HOURS_OF_DAY = 24


def find_too_few_compared_runs(job: JobDefinition) -> Iterator[Finding]:
    """Warn of a rule about usual response times whose window never has enough runs of the schedule."""
    for number, rule in enumerate(job.alerts or ()):
        condition = rule.when
        if job.schedule is None or not isinstance(condition, SlowerThanUsualCondition):
            continue
        required = math.ceil(condition.minimum_runs * _HOURS_OF_DAY / condition.need.hours)
        runs, at = 0, _MONDAY_MS
        while runs < required and (due := job.schedule.next_after_ms(at)) is not None and due <= _MONDAY_MS + _DAY_MS:
            runs, at = runs + 1, due
        if runs < required:
            yield Finding(
                ("alerts", number, "when", "minimum_runs"),
                f"the job has {format_count(runs, 'run')} a day, so {describe_span(condition.window)} have fewer than "
                f"{condition.minimum_runs} on average: the rule is rarely or never known",
                "compare longer, such as window: 6h, or set a smaller minimum_runs",
            )


_WARNINGS: tuple[WarningRule, ...] = (
    find_odd_fields,
    find_unknown_placeholders,
    find_literal_credentials,
    find_proxy_password_without_tls,
    find_too_few_compared_runs,
)
"""Each finding is a warning: the job is used, but `validate --strict` fails."""


def find_refusals(job: JobDefinition) -> tuple[Finding, ...]:
    """Return the findings for which this job is refused."""
    return tuple(finding for rule in _REFUSALS for finding in rule(job))


def find_warnings(job: JobDefinition, now_ms: int) -> tuple[Finding, ...]:
    """Return the warnings about this job. `now_ms`: the current time, in milliseconds since the epoch."""
    found = [finding for rule in _WARNINGS for finding in rule(job)]
    return (*find_never_due(job, now_ms), *found)
