"""`next`: print the next due instants of a job or a schedule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from jobs.formats.durations import describe_span
from jobs.formats.instants import format_iso_instant, parse_instant
from jobs.schedules import IntervalSchedule, Schedule, TimeZone
from scheduler.cli.output import Column, fail, is_terminal, print_note, show_table
from scheduler.cli.schedule_argument import (
    GapOption,
    RepeatOption,
    ScheduleArgument,
    ScheduleText,
    TimezoneOption,
    ZoneOptions,
    describe_trigger,
    parse_schedule_argument,
)
from scheduler.cli.times import format_local

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
        _show_json(argument, start, instants)
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


def _show_json(argument: ScheduleArgument, start: datetime, instants: list[datetime]) -> None:
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
