"""`validate` and `schema`: check job files without running anything, and print their JSON schema for editors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import format_count, format_iso_instant
from scheduler.cli.listing import Field, show_items
from scheduler.cli.output import (
    EXIT_BAD_INPUT,
    Cell,
    Column,
    print_error,
    print_note,
    print_warning,
    show_json,
)
from scheduler.cli.times import describe_no_next, format_instant

if TYPE_CHECKING:
    from config.job_files.reader import JobSet
    from config.needed_access import NeededAccess
    from config.settings.model import Settings
    from jobs.definition import JobDefinition
    from jobs.problems import Problem
    from jobs.schedules import Schedule


_UNCHECKED = "targets and secrets were not checked: the settings are invalid, `validate` without a path shows why"


_AccessOption = Annotated[
    bool,
    typer.Option("--explain-access", help="Print the roles and tokens that the app's identity needs, not the jobs."),
]


def validate(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[PATH]", help="Job file or folder of job files. (default: the configured ones)"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as problems.")] = False,
    no_secrets: Annotated[
        bool, typer.Option("--no-secrets", help="Do not check that secrets can be read, for machines without them.")
    ] = False,
    stored: Annotated[
        bool, typer.Option("--stored", help="Add the stored jobs, which need the store. (default: files alone)")
    ] = False,
    explain_access: _AccessOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check job files without running anything.

    Print the jobs, or every problem with its file, line, key and fix; then the exit code is 2. Warnings report probable
    mistakes: schedules that are never due, credentials in files, secrets that cannot be read, targets that the settings
    deny. Without PATH, check the settings, too. With --stored, warn of stored jobs that are not in force.

    \b
    Examples:
      validate
      validate jobs/checkout.yaml --stored
      validate jobs/ --strict --no-secrets
      validate jobs/ --explain-access
      validate jobs/ --json
    """
    job_set, settings = _load_or_exit(path, as_json)
    job_set = _add_stored_jobs(job_set, settings) if stored else job_set
    warnings = _warnings(job_set, settings, with_secrets=not no_secrets)
    fails = strict and bool(warnings)
    _show_jobs(job_set, warnings, as_json, valid=not fails, with_access=explain_access)
    if settings is None:
        print_note(_UNCHECKED)
    elif way_out := _describe_outbound(settings):
        print_note(way_out)
    if fails:
        print_error("--strict treats warnings as problems")
        raise typer.Exit(EXIT_BAD_INPUT)


def _add_stored_jobs(job_set: JobSet, settings: Settings | None) -> JobSet:
    from scheduler.cli.selection import add_stored_jobs

    return add_stored_jobs(job_set, settings)


def _load_or_exit(path: Path | None, as_json: bool) -> tuple[JobSet, Settings | None]:
    """Do as `_load`. Problems are printed, and end the command with 2."""
    from config.errors import ConfigurationError

    try:
        return _load(path)
    except ConfigurationError as wrong:
        _show_problems(wrong.problems, wrong.warnings, as_json)
        raise typer.Exit(EXIT_BAD_INPUT) from None


def _load(path: Path | None) -> tuple[JobSet, Settings | None]:
    """The jobs, and the settings; None if files are checked where the settings are wrong."""
    import os

    from config.errors import ConfigurationError
    from config.loading import load_configuration
    from config.settings.loading import load_settings
    from scheduler.cli.context import ROOT

    if path is None:
        configuration = load_configuration(os.environ, root=ROOT)
        return configuration.jobs, configuration.settings
    from config.job_files.reader import JobFileReader

    try:
        settings = load_settings(os.environ, root=ROOT).settings
    except ConfigurationError:
        settings = None
    default_schedule = _usual_default_schedule() if settings is None else settings.default_schedule
    return JobFileReader(Path.cwd()).read(path, default_schedule=default_schedule), settings


def _usual_default_schedule() -> Schedule | None:
    from config.settings.model import Settings

    return Settings().default_schedule


def _warnings(job_set: JobSet, settings: Settings | None, *, with_secrets: bool) -> tuple[Problem, ...]:
    import os

    from config.check_rules import build_bindings, build_ca_files
    from config.settings.model import Settings
    from config.warnings import (
        warnings_of_denied_credentials,
        warnings_of_missing_drivers,
        warnings_of_missing_links,
        warnings_of_unusable_files,
        warnings_of_unusable_rotas,
        warnings_of_unusable_secrets,
    )

    warnings = [*job_set.warnings, *warnings_of_unusable_files(job_set, build_ca_files(settings or Settings()))]
    warnings += warnings_of_unusable_rotas(job_set, datetime.now(UTC))
    warnings += [*_crowded_instants(job_set), *warnings_of_missing_drivers(job_set)]
    if settings is not None:
        warnings += [
            *_denied_targets(job_set, settings),
            *warnings_of_denied_credentials(job_set, build_bindings(settings)),
            *warnings_of_missing_links(job_set, settings),
            *_outbound_warnings(job_set, settings),
        ]
        if with_secrets:
            warnings += warnings_of_unusable_secrets(job_set, settings, os.environ)
    return tuple(sorted(warnings, key=lambda one: (one.file or "", one.line or 0)))


def _describe_outbound(settings: Settings) -> str:
    from config.outbound import describe_outbound

    return describe_outbound(settings)


def _outbound_warnings(job_set: JobSet, settings: Settings) -> Iterator[Problem]:
    from config.errors import ConfigurationError
    from config.outbound import build_outbound
    from config.warnings import warnings_of_options_without_effect

    try:
        yield from warnings_of_options_without_effect(job_set, build_outbound(settings))
    except ConfigurationError as error:  # its CA file
        yield from error.problems


def _crowded_instants(job_set: JobSet) -> Iterator[Problem]:
    from jobs.problems import Problem
    from jobs.schedules import to_milliseconds
    from jobs.warnings.instants import find_crowded_instants

    for crowd in find_crowded_instants(job_set.jobs.values(), to_milliseconds(datetime.now(UTC))):
        yield Problem("schedule", crowd.message, crowd.hint)


def _denied_targets(job_set: JobSet, settings: Settings) -> Iterator[Problem]:
    import os

    from config.check_rules import build_guard
    from jobs.problems import Problem
    from scheduler.app.profile import server_endpoints
    from scheduler.catalog.job_warnings import find_denied_targets

    guard = build_guard(settings, os.environ, server_endpoints(settings))
    for name, reason in find_denied_targets(job_set, guard).items():
        file, _, line = job_set.origins[name].rpartition(":")
        yield Problem(name, reason, file=file, line=int(line)) if file else Problem(name, reason)


def _show_problems(problems: Sequence[Problem], warnings: Sequence[Problem], as_json: bool) -> None:
    from config.errors import format_problems

    if as_json:
        import json

        document = {"valid": False, "problems": [asdict(problem) for problem in problems]}
        print(json.dumps({**document, "warnings": [asdict(warning) for warning in warnings]}, indent=2))
    else:
        print_error(format_problems(problems))
        _show_warnings(warnings)


def _show_warnings(warnings: Iterable[Problem]) -> None:
    from config.errors import format_warning

    for one in warnings:
        print_warning(format_warning(one))


def _show_jobs(job_set: JobSet, warnings: Sequence[Problem], as_json: bool, *, valid: bool, with_access: bool) -> None:
    from config.needed_access import list_needed_access

    jobs, now = list(job_set.jobs.values()), datetime.now(UTC)
    access = list_needed_access(job_set) if with_access else []
    if as_json:
        import json

        document = {"valid": valid, "jobs": [_job_as_json(job, now) for job in jobs]}
        document |= {"access": [asdict(one) for one in access]} if with_access else {}
        print(json.dumps({**document, "warnings": [asdict(warning) for warning in warnings]}, indent=2))
    else:
        if with_access:
            show_items(access, _ACCESS_FIELDS, is_empty_shown=True)
        else:
            show_items(jobs, _list_fields(now), is_empty_shown=True)
        _show_warnings(warnings)
    counted = f", {format_count(len(warnings), 'warning')}" if warnings else ""
    print_note(f"{format_count(len(jobs), 'job')}, no problem{counted}")


_MAX_CELL = 160
"""Characters of when a job runs in a table: it may name fifty jobs of a hundred characters. A pipe has all of it."""


_ACCESS_FIELDS: tuple[Field[NeededAccess], ...] = (
    Field("role", lambda one: one.role, Column("role", no_wrap=False), lambda one: one.role or "not known"),
    Field("scope", lambda one: one.scope, Column("where", no_wrap=False, min_width=24)),
    Field("token", lambda one: one.token, Column("token", no_wrap=False, is_optional=True)),
    Field("jobs", lambda one: ", ".join(one.jobs), Column("jobs", no_wrap=False)),
)


def _list_fields(now: datetime) -> Sequence[Field[JobDefinition]]:
    from jobs.definition.dependencies import format_dependencies

    def format_next(job: JobDefinition) -> str:
        at = _next(job, now)
        return "" if at is None else format_iso_instant(at, precise=True)

    return (
        Field("name", lambda job: job.name, Column("job", "bold")),
        Field(
            "schedule",
            lambda job: job.schedule.text if job.schedule is not None else "",
            Column("schedule", no_wrap=False, min_width=16),
            _describe_schedule,
        ),
        Field("check", _check, Column("check", no_wrap=False, is_optional=True)),
        Field("next_at", format_next, Column("next run"), lambda job: _describe_next(job, now)),
        Field("depends_on", lambda job: format_dependencies(job.depends_on)),
    )


def _job_as_json(job: JobDefinition, now: datetime) -> dict[str, object]:
    at = _next(job, now)
    return {
        "name": job.name,
        "enabled": job.enabled,
        "schedule": job.schedule.spec if job.schedule is not None else None,
        "has_default_schedule": job.has_default_schedule,
        "depends_on": [dependency.model_dump(mode="json") for dependency in job.depends_on],
        "check": _check(job),
        "next_at": format_iso_instant(at, precise=True) if at is not None else None,
    }


def _describe_schedule(job: JobDefinition) -> str:
    text = job.runs_when or "-"
    return text if len(text) <= _MAX_CELL else f"{text[: _MAX_CELL - 1]}…"


def _describe_next(job: JobDefinition, now: datetime) -> Cell:
    if not job.enabled:
        return "disabled", "yellow"
    at = _next(job, now)
    return (
        (describe_no_next(job.schedule is not None, bool(job.depends_on)), "dim")
        if at is None
        else (format_instant(at, now), "cyan")
    )


def _check(job: JobDefinition) -> str:
    check = job.check
    return " ".join(part for part in (check.kind, getattr(check, "method", ""), check.endpoint) if part)


def _next(job: JobDefinition, now: datetime) -> datetime | None:
    return job.schedule.next_after(now) if job.schedule is not None and job.enabled else None


def schema(
    job: Annotated[bool, typer.Option("--job", help="The schema of one job instead of a file.")] = False,
) -> None:
    """Print the JSON schema of job files, with which editors complete and check them.

    \b
    Examples:
      schema > jobs.schema.json    # first line of a file: # yaml-language-server: $schema=jobs.schema.json
      schema --job
    """
    from jobs.schemas import create_file_schema, create_job_schema, format_schema

    show_json(format_schema(create_job_schema() if job else create_file_schema()))
