"""`validate`: whether job files can be used, without running anything."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import BAD_INPUT, Cell, Column, error, note, on_terminal, show_table, show_tabs, warning
from scheduler.cli.texts import iso, no_next, when

if TYPE_CHECKING:
    from config.job_files import JobSet
    from config.settings import Settings
    from jobs.definition import JobDefinition
    from jobs.problems import Problem


def validate(
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="A job file or a folder of them; else what is configured.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on any output.")] = False,
) -> None:
    """Check job files, without running anything.

    Shows the jobs, or every problem with file, line, key and how to mend it; then the exit code is 2.
    Without PATH the settings are checked too. Warns of targets that they do not let be asked.

    \b
    Examples:
      validate
      validate jobs/checkout.yaml
      validate jobs/ --json
    """
    from config.errors import ConfigurationError

    try:
        found, settings = _load(path)
    except ConfigurationError as problem:
        _show_problems(problem.problems, as_json)
        raise typer.Exit(BAD_INPUT) from None
    _show_jobs(found, as_json)
    if settings is not None:
        _warn(found, settings)


def _load(path: Path | None) -> tuple[JobSet, Settings | None]:
    """The jobs, and the settings; None if files are checked where the settings are wrong."""
    import os

    from config.errors import ConfigurationError
    from config.loading import load_configuration, load_settings
    from scheduler.cli.configured import ROOT

    if path is None:
        configuration = load_configuration(os.environ, root=ROOT)
        return configuration.jobs, configuration.settings
    from config.job_files import JobFileReader

    found = JobFileReader(Path.cwd()).read(path)
    try:
        return found, load_settings(os.environ, root=ROOT).settings
    except ConfigurationError:
        return found, None


def _warn(found: JobSet, settings: Settings) -> None:
    import os

    from config.targets import guard_of
    from scheduler.denied_targets import denied_targets

    if told := denied_targets(found, guard_of(settings, os.environ)):
        warning(told)


def _show_problems(problems: Iterable[Problem], as_json: bool) -> None:
    from config.errors import render

    if as_json:
        import json
        from dataclasses import asdict

        print(json.dumps({"valid": False, "problems": [asdict(problem) for problem in problems]}, indent=2))
    else:
        error(render(problems))


def _show_jobs(found: JobSet, as_json: bool) -> None:
    jobs, now = list(found.jobs.values()), datetime.now(UTC)
    if as_json:
        import json

        print(json.dumps({"valid": True, "jobs": [_told(job, now) for job in jobs]}, indent=2))
    elif on_terminal():
        columns = (
            Column("job", "bold"),
            Column("schedule", whole=False, least=16),
            Column("check", whole=False, spare=True),
            Column("next run"),
        )
        show_table(columns, (_cells(job, now) for job in jobs))
    else:
        show_tabs(_FIELDS, (_fields(job, now) for job in jobs))
    note(f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'}, no problem")


_FIELDS = ("name", "schedule", "check", "next_at", "depends_on")


def _fields(job: JobDefinition, now: datetime) -> tuple[str, ...]:
    from jobs.dependencies import dependencies_text

    at = _next(job, now)
    next_at = iso(at, precise=True) if at is not None else ""
    schedule = job.schedule.text if job.schedule is not None else ""
    return job.name, schedule, _check(job), next_at, dependencies_text(job.depends_on)


def _told(job: JobDefinition, now: datetime) -> dict[str, object]:
    at = _next(job, now)
    return {
        "name": job.name,
        "enabled": job.enabled,
        "schedule": job.schedule.spec if job.schedule is not None else None,
        "depends_on": [dependency.model_dump(mode="json") for dependency in job.depends_on],
        "check": _check(job),
        "next_at": iso(at, precise=True) if at is not None else None,
    }


def _cells(job: JobDefinition, now: datetime) -> tuple[Cell, ...]:
    at = _next(job, now)
    if not job.enabled:
        next_run: Cell = "disabled", "yellow"
    elif at is None:
        next_run = no_next(job), "dim"
    else:
        next_run = when(at, now), "cyan"
    return job.name, job.runs_when or "-", _check(job), next_run


def _check(job: JobDefinition) -> str:
    check = job.check
    return " ".join(part for part in (check.kind, getattr(check, "method", ""), check.endpoint) if part)


def _next(job: JobDefinition, now: datetime) -> datetime | None:
    return job.schedule.next_after(now) if job.schedule is not None and job.enabled else None
