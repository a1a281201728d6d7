"""`test`: run the jobs of a working copy once, without a store, and show how they ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.formats import describe_milliseconds, format_count
from scheduler.cli.listing import Field, show_items
from scheduler.cli.output import (
    EXIT_FAILED,
    Column,
    create_console,
    fail,
    is_terminal,
    print_note,
    show_json,
)
from scheduler.cli.run_report import format_number, outcome_style
from scheduler.cli.selection import KindOption, TagOption

if TYPE_CHECKING:
    from config.job_files.job_set import JobSet
    from config.settings.model import Settings
    from jobs.definition import JobDefinition
    from jobs.runs.events import RunListener
    from scheduler.features.trials.running import TrialResult

_PathArgument = Annotated[Path, typer.Argument(metavar="PATH", help="Job file or folder of job files.")]
_NameOption = Annotated[
    list[str] | None, typer.Option("--name", metavar="PATTERN", help="Only jobs whose name matches: * is any text.")
]
_JunitOption = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML, for a pipeline.")
]
_ConcurrencyOption = Annotated[
    int,
    typer.Option("--concurrency", min=1, max=200, help="Runs at a time; those of a concurrency group as it allows."),
]
_TimeoutOption = Annotated[
    str, typer.Option("--timeout", metavar="TIME", help="Longest time of a run, whatever its job allows.")
]


def run_job_tests(
    path: _PathArgument,
    tags: TagOption = None,
    names: _NameOption = None,
    kinds: KindOption = None,
    junit: _JunitOption = None,
    concurrency: _ConcurrencyOption = 10,
    timeout: _TimeoutOption = "60s",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run the jobs of a working copy once. Nothing is stored, published or counted, and no server is needed.

    The settings of this machine decide which targets are allowed and where secrets come from. Disabled jobs,
    heartbeats, and jobs whose dependencies failed are skipped. Exit code 0: every run succeeded, 1: one did not, 2: a
    file is invalid, or no job was run, 130: interrupted.

    \b
    Examples:
      test jobs/ --tag smoke
      test jobs/checkout.yaml --junit results.xml --timeout 30s
    """
    from scheduler.cli.times import parse_duration_option

    longest = parse_duration_option("--timeout", timeout)
    if not longest:
        fail("--timeout: expected a time longer than 0s")
    files, settings = _read(path)
    jobs = _select(files, names, kinds, tags)
    started_at = datetime.now(UTC)
    results = _run(jobs, settings, concurrency, longest)
    if junit is not None:
        _write_junit(junit, results, files, started_at)
    show_results(results, as_json)
    if all(result.run is None for result in results):
        fail("no job was run: each one is skipped")
    if any(result.run is not None and not result.has_succeeded for result in results):
        raise typer.Exit(EXIT_FAILED)


def _read(path: Path) -> tuple[JobSet, Settings]:
    """Return the jobs and the settings; what is wrong with them ends the command with 2."""
    import os

    from config.errors import ConfigurationError, format_problems
    from config.job_files.reader import JobFileReader
    from config.settings.loading import load_settings
    from scheduler.cli.context import ROOT

    try:
        settings = load_settings(os.environ, root=ROOT).settings
        return JobFileReader(Path.cwd()).read(path, default_schedule=settings.default_schedule), settings
    except ConfigurationError as error:
        fail(format_problems(error.problems))


def _select(
    files: JobSet, names: list[str] | None, kinds: list[str] | None, tags: list[str] | None
) -> Sequence[JobDefinition]:
    from scheduler.cli.selection import parse_selection_options

    selection = parse_selection_options(names=names, kinds=kinds, tags=tags, name_option="--name")
    jobs = [job for job in files if selection.matches_definition(job)]
    if not jobs:
        fail(f"no job matches {selection} among {len(files)} jobs" if len(files) else "there are no jobs")
    return jobs


def _run(jobs: Sequence[JobDefinition], settings: Settings, concurrency: int, timeout: float) -> Sequence[TrialResult]:
    from jobs.running.clocks import SystemClock
    from jobs.running.runner import Runner
    from jobs.runs.events import NullListener
    from scheduler.app.check_setup import open_trial_runner
    from scheduler.cli.command_profile import CommandProfile
    from scheduler.cli.context import quiet_run_log, run_opened
    from scheduler.features.trials.running import TrialRunner

    def run(listener: RunListener) -> Sequence[TrialResult]:
        async def work(runner: Runner) -> Sequence[TrialResult]:
            trial = TrialRunner(runner, SystemClock(), concurrency=concurrency, timeout=timeout)
            return await trial.run_all(jobs, count)

        return run_opened(open_trial_runner(settings, CommandProfile(), listener), work)

    def count(result: TrialResult) -> None:
        if progress is not None:
            progress.add(result)

    progress = None
    with quiet_run_log():
        if not is_terminal():
            return run(NullListener())
        from scheduler.cli.progress import TrialProgress

        with TrialProgress(len(jobs), create_console()) as progress:
            return run(progress)


def _write_junit(file: Path, results: Sequence[TrialResult], files: JobSet, started_at: datetime) -> None:
    from scheduler.features.trials.junit import write_junit

    try:
        file.write_bytes(write_junit(results, files.origins, started_at))
    except OSError as error:
        fail(f"{file} cannot be written: {(error.strerror or type(error).__name__).lower()}", EXIT_FAILED)


def show_results(results: Sequence[TrialResult], as_json: bool) -> None:
    """Print a line for each job, and how many failed."""
    if as_json:
        show_json(json.dumps({"jobs": [_to_document(result) for result in results]}, indent=2))
    else:
        show_items(results, _FIELDS)
    print_note(summarize(results))


def summarize(results: Sequence[TrialResult]) -> str:
    """`3 jobs: 1 succeeded, 1 failed, 1 skipped`."""
    ran = [result for result in results if result.run is not None]
    succeeded = sum(result.has_succeeded for result in ran)
    unknown = sum(result.run is not None and result.run.is_unknown for result in ran)
    failed, skipped = len(ran) - succeeded - unknown, len(results) - len(ran)
    counts = ((succeeded, "succeeded"), (failed, "failed"), (unknown, "unknown"), (skipped, "skipped"))
    total = format_count(len(results), "job")
    return f"{total}: {', '.join(f'{count} {word}' for count, word in counts if count)}"


def _outcome(result: TrialResult) -> str:
    if result.run is not None and result.run.is_unknown:
        return "unknown"
    return "skipped" if result.run is None else str(result.run.outcome)


def _message(result: TrialResult) -> str:
    return result.skipped if result.run is None else result.run.message


_FIELDS: tuple[Field[TrialResult], ...] = (
    Field("job", lambda result: result.job.name, Column("job", "bold")),
    Field("outcome", _outcome, Column("outcome"), lambda result: (_outcome(result), outcome_style(_outcome(result)))),
    Field(
        "",
        lambda result: "-" if result.run is None else describe_milliseconds(result.run.duration_ms),
        Column("took", align_right=True),
    ),
    Field(
        "attempts",
        lambda result: "" if result.run is None else str(len(result.run.attempts)),
        Column("attempts", align_right=True),
        lambda result: "-" if result.run is None else str(len(result.run.attempts)),
    ),
    Field("duration_ms", lambda result: "" if result.run is None else format_number(result.run.duration_ms)),
    Field("error", lambda result: "" if result.run is None else result.run.error or ""),
    Field("message", _message, Column("what happened", no_wrap=False)),
)


def _to_document(result: TrialResult) -> dict[str, Any]:
    from scheduler.features.runs.models import view_attempt

    run = result.run
    attempts = () if run is None else run.attempts
    return {
        "job": result.job.name,
        "outcome": _outcome(result),
        "duration_ms": None if run is None else round(run.duration_ms, 3),
        "error": None if run is None else run.error,
        "message": _message(result),
        "attempts": [view_attempt(attempt).model_dump(mode="json") for attempt in attempts],
    }
