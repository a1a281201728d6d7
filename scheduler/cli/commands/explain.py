"""`explain`: describe a schedule in plain English."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.cli.output import print_note
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
        _show_json(argument, text)
    elif text is not None:
        print(text)
    if argument.job is not None and not argument.job.enabled:
        print_note(f"{argument.job.name} is disabled: it runs on request only")
    elif argument.job is not None and (how := describe_trigger(argument.job)):
        print_note(how)


def _explain_schedule(argument: ScheduleArgument) -> str | None:
    from jobs.schedules.explanations import explain_schedule

    return None if argument.schedule is None else explain_schedule(argument.schedule)


def _show_json(argument: ScheduleArgument, text: str | None) -> None:
    import json

    document = {
        "job": argument.job.name if argument.job is not None else None,
        "schedule": argument.schedule.spec if argument.schedule is not None else None,
        "text": text,
    }
    print(json.dumps(document, indent=2))
