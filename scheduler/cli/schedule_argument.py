"""Reads the schedule that a command is about: an expression, a mapping as in a job file, or a job by its name.

An expression needs no configuration, and no import but jobs.schedules: it works with a broken configuration,
scripts ask it hundreds of times. Called by `next` and `explain`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

from jobs.errors import ScheduleError
from jobs.schedules import MonthlySchedule, Ncrontab, Schedule, TimeZone, load_time_zone, parse_schedule, zone_of
from jobs.schedules.protocol import spec_as_mapping
from jobs.schedules.time_zones import UTC_NAMES
from scheduler.cli.output import fail

if TYPE_CHECKING:
    from jobs.definition import JobDefinition

# What jobs.definition allows as a name, without the cost of importing it. No schedule has this form.
JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


_ZONE_OPTIONS = {"timezone": "--timezone", "dst.gap": "--gap", "dst.repeat": "--repeat"}
"""The option of each key of a schedule."""

ScheduleText = Annotated[str, typer.Argument(metavar="JOB|EXPRESSION", help="Job name, or a schedule in quotes.")]
TimezoneOption = Annotated[
    str | None,
    typer.Option(
        "--timezone", metavar="ZONE", help="Time zone of the expression, such as Europe/Berlin. (default: UTC)"
    ),
]
GapOption = Annotated[
    str | None, typer.Option("--gap", metavar="shift|end|skip", help="Policy for local times that a DST change skips.")
]
RepeatOption = Annotated[
    str | None, typer.Option("--repeat", metavar="first|both", help="Policy for local times that a DST change repeats.")
]


class ExpressionCommand(TyperCommand):
    """Accepts an expression that begins with `-`, instead of rejecting it as an unknown option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        expressions = [word for word in args if word.startswith("-") and not word.startswith("--") and " " in word]
        rest = [word for word in args if word not in expressions]
        return super().parse_args(ctx, [*rest, "--", *expressions] if expressions else rest)


@dataclass(frozen=True, slots=True)
class ZoneOptions:
    """`--timezone`, `--gap` and `--repeat`, which say of an expression what a job file would."""

    timezone: str | None = None
    gap: str | None = None
    repeat: str | None = None

    @property
    def given_names(self) -> list[str]:
        """The options that were given, as they are written."""
        named = (("--timezone", self.timezone), ("--gap", self.gap), ("--repeat", self.repeat))
        return [option for option, value in named if value is not None]


@dataclass(frozen=True, slots=True)
class ScheduleArgument:
    """The parsed argument. `zone`: the one whose clock the answer shows; None for UTC."""

    schedule: Schedule | None
    zone: TimeZone | None
    job: JobDefinition | None = None


def parse_schedule_argument(command: str, text: str, options: ZoneOptions) -> ScheduleArgument:
    """Read the argument of this command; what is wrong ends the command with 2."""
    try:
        schedule = parse_schedule(_parse_written(text))
    except ScheduleError as error:
        if not JOB_NAME.fullmatch(text):
            fail(str(error))
        return _find_job_schedule(command, text, error, options)
    try:
        return _apply_zone(schedule, options)
    except ScheduleError as error:
        fail(f"{_ZONE_OPTIONS[error.key]}: {error.reason}" if error.key in _ZONE_OPTIONS else str(error))


def _parse_written(text: str) -> object:
    """A mapping or a list is written as in a job file; anything else is the text of a schedule."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    from config.documents.parse_result import ParseError
    from config.documents.yaml_text import parse_yaml

    try:
        return parse_yaml(text).value
    except ParseError as error:
        fail(f"cannot parse {text!r}: {error}")


def _apply_zone(schedule: Schedule, options: ZoneOptions) -> ScheduleArgument:
    if not options.given_names:
        return ScheduleArgument(schedule, zone_of(schedule))
    if isinstance(schedule, (Ncrontab, MonthlySchedule)):
        if options.timezone is None:
            fail(f"{options.given_names[0]} needs --timezone: UTC has no DST changes")
        dst = {key: value for key, value in (("gap", options.gap), ("repeat", options.repeat)) if value is not None}
        zoned = parse_schedule({**spec_as_mapping(schedule), "timezone": options.timezone, "dst": dst})
        return ScheduleArgument(zoned, zone_of(zoned))
    if (known := zone_of(schedule)) is not None:
        _reject_zone_options(options, f"the schedule sets its own time zone, {known.name}")
    if options.gap or options.repeat:
        fail(f"{options.given_names[-1]}: an interval does not depend on DST changes")
    where = load_time_zone(options.timezone)
    return ScheduleArgument(schedule, None if where.name in UTC_NAMES else where)


def _find_job_schedule(command: str, name: str, error: ScheduleError, options: ZoneOptions) -> ScheduleArgument:
    from scheduler.cli.context import load_for_command
    from scheduler.cli.selection.named_job import require_job

    job = require_job(load_for_command(command), name, f"{name!r} is not a schedule either: {error}")
    if options.given_names:
        _reject_zone_options(options, f"{name} is a job, whose definition sets them")
    return ScheduleArgument(job.schedule, None if job.schedule is None else zone_of(job.schedule), job)


def describe_trigger(job: JobDefinition) -> str:
    """Describe how a job without a schedule runs, and what else a scheduled run depends on."""
    from jobs.definition.dependencies import format_dependencies

    others = format_dependencies(job.depends_on)
    if job.schedule is not None:
        return f"{job.name} runs only if its dependencies are met: {others}" if others else ""
    how = f"it runs after {others}" if others else "it runs on request only"
    return f"{job.name} has no schedule: {how}"


def _reject_zone_options(options: ZoneOptions, reason: str) -> NoReturn:
    fail(f"{options.given_names[0]} applies to an expression without a time zone: {reason}")
