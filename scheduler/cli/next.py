"""`next`: when a job or an expression is due.

An expression needs no configuration, and no import but jobs.schedules: people ask it beside a broken configuration,
scripts ask it hundreds of times.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from jobs.errors import ScheduleError
from jobs.schedules import Interval, Schedule, parse_schedule
from scheduler.cli.output import Column, fail, note, on_terminal, show_table
from scheduler.cli.texts import iso, local, span

MOST = 100_000
"""Instants of one call: more than a day of a job that is due each second."""

# What jobs.definition allows as a name, without the cost of importing it. No schedule has this form.
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class ExpressionCommand(TyperCommand):
    """Takes an expression that begins with `-` for what it is, instead of an option nobody knows."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        expressions = [word for word in args if word.startswith("-") and not word.startswith("--") and " " in word]
        rest = [word for word in args if word not in expressions]
        return super().parse_args(ctx, [*rest, "--", *expressions] if expressions else rest)


def next_instants(
    subject: Annotated[str, typer.Argument(metavar="JOB|EXPRESSION", help="A job's name, or a schedule in quotes.")],
    count: Annotated[int, typer.Option("--count", min=1, max=MOST, help="How many at most.")] = 5,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="ISO", help="Strictly after this instant; without an offset it is UTC. [now]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on any output.")] = False,
) -> None:
    """When a job or an expression is due next.

    A schedule is an NCRONTAB expression of five or six fields, a TimeSpan, or an interval; all are in UTC.
    In a pipe: one instant a line, in ISO 8601. A schedule that is never due prints nothing.

    \b
    Examples:
      next checkout-api
      next "0 */5 * * * *" --count 3 --from 2026-11-25T01:50:30Z
      next "every 10s"
      next 00:10:00 --from 2026-11-25T02:50:30+01:00
    """
    start = _start(since)
    job, schedule = _schedule(subject)
    instants = [] if schedule is None else _upcoming(schedule, start, count)
    if schedule is not None and not instants:
        note(f"{schedule.text} is not due after {iso(start)}")
    if as_json:
        _show_json(job, schedule, start, instants)
    elif on_terminal():
        _show_table(schedule, start, instants, "from now" if since is None else "from then")
    else:
        print("".join(f"{_iso(schedule, instant)}\n" for instant in instants), end="")


def _start(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        instant = datetime.fromisoformat(text.strip())
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        fail(f"--from: {text!r} is no instant in ISO 8601: write it like 2026-11-25T01:50:30Z")


def _schedule(subject: str) -> tuple[str | None, Schedule | None]:
    """The job's name, None for an expression, and what is to be planned."""
    try:
        return None, parse_schedule(subject)
    except ScheduleError as error:
        if not _JOB_NAME.fullmatch(subject):
            fail(str(error))
        return subject, _schedule_of_job(subject, error)


def _schedule_of_job(name: str, error: ScheduleError) -> Schedule | None:
    from scheduler.cli.configured import configured, no_such_job

    jobs = configured().jobs.jobs
    if name not in jobs:
        fail(f"{no_such_job(name, jobs)}\n{name} is no schedule either: {error}")
    job = jobs[name]
    if job.schedule is None:
        note(f"{name} has no schedule: it runs when it is asked to")
    elif not job.enabled:
        note(f"{name} is disabled: it runs when it is asked to, not at {job.schedule.text}")
    return job.schedule if job.enabled else None


def _upcoming(schedule: Schedule, start: datetime, count: int) -> list[datetime]:
    found = [start]
    while len(found) <= count and (due := schedule.next_after(found[-1])) is not None:
        found.append(due)
    return found[1:]


def _iso(schedule: Schedule | None, instant: datetime) -> str:
    """With milliseconds where the schedule has them, so that all lines have one form."""
    return iso(instant, precise=isinstance(schedule, Interval) and schedule.every_ms % 1000 != 0)


def _show_table(schedule: Schedule | None, start: datetime, instants: list[datetime], distance: str) -> None:
    if schedule is not None and instants:
        columns = (Column("UTC", "bold"), Column("local"), Column(distance, "cyan", right=True))
        rows = [
            (_iso(schedule, instant), local(instant), span((instant - start).total_seconds())) for instant in instants
        ]
        show_table(columns, rows, title=schedule.text)


def _show_json(job: str | None, schedule: Schedule | None, start: datetime, instants: list[datetime]) -> None:
    import json

    told = {
        "job": job,
        "schedule": schedule.spec if schedule is not None else None,
        "from": iso(start, precise=start.microsecond != 0),
        "next": [_iso(schedule, instant) for instant in instants],
    }
    print(json.dumps(told, indent=2))
