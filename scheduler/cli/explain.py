"""`explain`: when a job or an expression is due, in plain English."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.cli.output import note
from scheduler.cli.subjects import Gap, Repeat, Subject, SubjectName, Timezone, ZoneOptions, how_it_runs, subject_of


def explain(
    subject: SubjectName,
    timezone: Timezone = None,
    gap: Gap = None,
    repeat: Repeat = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on any output.")] = False,
) -> None:
    """Say in plain English when a job or an expression is due.

    A schedule is an NCRONTAB expression of five or six fields, a TimeSpan, an interval, or a mapping as in a job file.
    `next` shows the instants themselves.

    \b
    Examples:
      explain checkout-api
      explain "0 */5 * * * *"
      explain "0 30 2 * * MON-FRI" --timezone Europe/Berlin
      explain "{every: 5m, offset: 30s}"
    """
    asked = subject_of("explain", subject, ZoneOptions(timezone, gap, repeat))
    text = _told(asked)
    if as_json:
        _show_json(asked, text)
    elif text is not None:
        print(text)
    if asked.job is not None and not asked.job.enabled:
        note(f"{asked.job.name} is disabled: it runs when it is asked to")
    elif asked.job is not None and (how := how_it_runs(asked.job)):
        note(how)


def _told(asked: Subject) -> str | None:
    from jobs.schedules.explain import explain

    return None if asked.schedule is None else explain(asked.schedule)


def _show_json(asked: Subject, text: str | None) -> None:
    import json

    told = {
        "job": asked.job.name if asked.job is not None else None,
        "schedule": asked.schedule.spec if asked.schedule is not None else None,
        "text": text,
    }
    print(json.dumps(told, indent=2))
