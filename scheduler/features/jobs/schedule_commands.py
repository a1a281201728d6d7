"""`next` and `explain`: the due instants of a schedule, and its description in plain English.

The schedule is an expression, a mapping as in a job file, or that of a job. An expression needs no configuration, and
no import but jobs.schedules: it works with a broken configuration, and scripts ask it hundreds of times.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from jobs.errors import ScheduleError
from jobs.formats import describe_span, format_iso_instant, parse_instant
from jobs.schedules import (
    IntervalSchedule,
    MonthlySchedule,
    Ncrontab,
    Schedule,
    TimeZone,
    load_time_zone,
    parse_schedule,
    zone_of,
)
from jobs.schedules.protocol import spec_as_mapping
from jobs.schedules.time_zones import UTC_NAMES
from scheduler.cli.output import Column, fail, is_terminal, print_note, show_table
from scheduler.cli.times import format_local

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
    from scheduler.cli.selection import require_job

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


MAX_INSTANTS = 100_000
"""Instants of one call: more than a day of a job that is due each second."""


def next_instants(
    subject: ScheduleText,
    count: Annotated[int, typer.Option("--count", min=1, max=MAX_INSTANTS, help="Maximum number of results.")] = 5,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="ISO",
            help="Only instants after this one; in the schedule's zone unless it has an offset. (default: now)",
        ),
    ] = None,
    timezone: TimezoneOption = None,
    gap: GapOption = None,
    repeat: RepeatOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the next due instants of a job or a schedule.

    A schedule is an NCRONTAB expression of five or six fields, a TimeSpan, an interval, or a mapping as in a job file.
    An expression is in UTC unless --timezone sets a time zone. Without --gap and --repeat, DST changes are treated as
    by the Functions timer.

    In a pipe, each line is one instant in ISO 8601, with the offset of its time zone.

    \b
    Examples:
      next checkout-api
      next "0 */5 * * * *" --count 3 --from 2026-11-25T01:50:30Z
      next "0 30 2 * * *" --timezone Europe/Berlin --gap end --from 2026-03-28
      next "every 10s"
      next "{every: 5m, offset: 30s}"
      next 00:10:00 --from 2026-11-25T02:50:30+01:00
    """
    argument = parse_schedule_argument("next", subject, ZoneOptions(timezone, gap, repeat))
    schedule = _planned_schedule(argument)
    start = _parse_start(since, argument.zone)
    instants = [] if schedule is None else _upcoming_instants(schedule, start, count)
    if schedule is not None and not instants:
        print_note(f"{schedule.text} is not due after {format_iso_instant(start)}")
    if as_json:
        _show_instants_json(argument, start, instants)
    elif is_terminal():
        _show_table(argument, start, instants, "from now" if since is None else "from then")
    else:
        print("".join(f"{line}\n" for line in _format_lines(schedule, argument.zone, instants)), end="")


def _parse_start(text: str | None, where: TimeZone | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        return parse_instant(text, UTC if where is None else where.info)
    except ValueError:
        fail(f"--from: expected an instant in ISO 8601, such as 2026-11-25T01:50:30Z, got {text!r}")


def _planned_schedule(argument: ScheduleArgument) -> Schedule | None:
    """The schedule, if it makes the job run."""
    job, schedule = argument.job, argument.schedule
    if job is not None and schedule is not None and not job.enabled:
        print_note(f"{job.name} is disabled: it runs on request only, not at {schedule.text}")
        return None
    if job is not None and (how := describe_trigger(job)):
        print_note(how)
    return schedule


def _upcoming_instants(schedule: Schedule, start: datetime, count: int) -> list[datetime]:
    found = [start]
    while len(found) <= count and (due := schedule.next_after(found[-1])) is not None:
        found.append(due)
    return found[1:]


def _format_lines(schedule: Schedule | None, where: TimeZone | None, instants: list[datetime]) -> list[str]:
    """With milliseconds if one has them, or may have, so that all lines have one form."""
    precise = isinstance(schedule, IntervalSchedule) and schedule.every_ms % 1000 != 0
    precise = precise or any(instant.microsecond for instant in instants)
    if where is None:
        return [format_iso_instant(instant, precise=precise) for instant in instants]
    timespec = "milliseconds" if precise else "seconds"
    return [_to_zone(instant, where).isoformat(timespec=timespec) for instant in instants]


def _to_zone(instant: datetime, where: TimeZone) -> datetime:
    """Local time of the zone; UTC where the calendar has no such date."""
    try:
        return instant.astimezone(where.info)
    except OverflowError:
        return instant  # there it is the year 0 or 10000 already


def _format_in_zone(instant: datetime, where: TimeZone) -> str:
    return f"{_to_zone(instant, where):%Y-%m-%d %H:%M:%S %Z}"


def _show_table(argument: ScheduleArgument, start: datetime, instants: list[datetime], distance: str) -> None:
    if argument.schedule is None or not instants:
        return
    where = argument.zone
    here = Column("local") if where is None else Column(where.name, "bold")
    clocks = [format_local(instant) if where is None else _format_in_zone(instant, where) for instant in instants]
    columns = [Column("UTC", "bold" if where is None else ""), here, Column(distance, "cyan", align_right=True)]
    spans = [describe_span((instant - start).total_seconds()) for instant in instants]
    rows = zip(_format_lines(argument.schedule, None, instants), clocks, spans, strict=True)
    show_table(columns, rows, title=argument.schedule.text)


def _show_instants_json(argument: ScheduleArgument, start: datetime, instants: list[datetime]) -> None:
    import json

    job = argument.job
    document = {
        "job": job.name if job is not None else None,
        "schedule": argument.schedule.spec if argument.schedule is not None and _is_scheduled(argument) else None,
        "from": format_iso_instant(start, precise=start.microsecond != 0),
        "next": _format_lines(argument.schedule, argument.zone, instants),
    }
    if job is not None and job.depends_on:
        document["depends_on"] = [dependency.model_dump(mode="json") for dependency in job.depends_on]
    print(json.dumps(document, indent=2))


def _is_scheduled(argument: ScheduleArgument) -> bool:
    return argument.job is None or argument.job.enabled


def explain(
    subject: ScheduleText,
    timezone: TimezoneOption = None,
    gap: GapOption = None,
    repeat: RepeatOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Describe in plain English when a job or a schedule is due.

    A schedule is an NCRONTAB expression of five or six fields, a TimeSpan, an interval, or a mapping as in a job file.
    `next` prints the instants.

    \b
    Examples:
      explain checkout-api
      explain "0 */5 * * * *"
      explain "0 30 2 * * MON-FRI" --timezone Europe/Berlin
      explain "{every: 5m, offset: 30s}"
    """
    argument = parse_schedule_argument("explain", subject, ZoneOptions(timezone, gap, repeat))
    text = _explain_schedule(argument)
    if as_json:
        _show_explanation_json(argument, text)
    elif text is not None:
        print(text)
    if argument.job is not None and not argument.job.enabled:
        print_note(f"{argument.job.name} is disabled: it runs on request only")
    elif argument.job is not None and (how := describe_trigger(argument.job)):
        print_note(how)


def _explain_schedule(argument: ScheduleArgument) -> str | None:
    from jobs.schedules.explanations import explain_schedule

    return None if argument.schedule is None else explain_schedule(argument.schedule)


def _show_explanation_json(argument: ScheduleArgument, text: str | None) -> None:
    import json

    document = {
        "job": argument.job.name if argument.job is not None else None,
        "schedule": argument.schedule.spec if argument.schedule is not None else None,
        "text": text,
    }
    print(json.dumps(document, indent=2))
