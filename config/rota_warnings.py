"""Warnings about the calendars of rotas in files. Called by scheduler.features.jobs.definition_commands.

The program itself reports them in health and in its log (scheduler.alerting.rotas). Here, too, a process with limits
evaluates a calendar: that of a job file in a pull request may be hostile.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from config.job_files.job_set import JobSet
from jobs.checks.files import UnusableFile, read_file_below
from jobs.definition.alerting_section import DefinedEntry
from jobs.incidents.rota_calendar import CALENDAR_BYTES, CALENDAR_SECONDS, MAX_CALENDAR_BYTES
from jobs.judging.process import JudgingProcess, ProcessStartError, TaskDone, TaskStopped
from jobs.judging.service import perform_in_thread
from jobs.problems import Problem

if TYPE_CHECKING:
    from jobs.incidents.rotas import RotaDefinition

_MAX_NAMED = 5
"""Titles of shifts that a warning names."""


def warnings_of_unusable_rotas(jobs: JobSet, now: datetime) -> Iterator[Problem]:
    """Yield a warning for each file that is not a calendar, or whose shifts name no person. Blocks.

    The calendar of a URL is read by the program alone: health reports what is wrong with it.
    """
    process = JudgingProcess(CALENDAR_BYTES)
    try:
        for entry in jobs.alerting.entries_of("on_call"):
            if entry.value.file is not None:
                yield from _check_file(entry, now, process)
    finally:
        process.stop()


def _check_file(entry: DefinedEntry, now: datetime, process: JudgingProcess) -> Iterator[Problem]:
    definition = entry.value
    name = f"the calendar {definition.file}"
    try:
        content, _ = read_file_below(entry.folder, definition.file, MAX_CALENDAR_BYTES)
    except UnusableFile as error:
        hint = f"its path starts from the folder of the job file, {entry.folder}" if entry.folder else ""
        yield _problem(entry, f"{name} cannot be read: {error}", hint)
        return
    unknown = _find_unknown_titles(definition, content or b"", now, process)
    if isinstance(unknown, str):
        yield _problem(entry, f"{name} cannot be used: {unknown}", "")
    elif unknown:
        more = f" and {len(unknown) - _MAX_NAMED} more" if len(unknown) > _MAX_NAMED else ""
        message = f"{name} has shifts that name no person of the rota: {', '.join(unknown[:_MAX_NAMED])}{more}"
        yield _problem(entry, message, "add the person to people; otherwise is notified in these shifts")


def _find_unknown_titles(
    definition: RotaDefinition, content: bytes, now: datetime, process: JudgingProcess
) -> tuple[str, ...] | str:
    """Return the titles of shifts that name no person, or why the calendar cannot be used."""
    from jobs.incidents.rotas import HANDOVER_IN_SIGHT
    from jobs.judging.calendar_task import CalendarTask  # loads the models of rotas

    task = CalendarTask.of(definition, content, now, now + HANDOVER_IN_SIGHT, now)
    try:
        outcome = process.perform(task, CALENDAR_SECONDS)
    except ProcessStartError:
        outcome = perform_in_thread(task, CALENDAR_SECONDS)
    if isinstance(outcome, TaskDone):
        result = task.unpack(outcome.packed, str)
    elif isinstance(outcome, TaskStopped):
        result = task.undecided(outcome.part, outcome.why)
    else:
        result = f"its evaluation failed: {outcome.error}"
    return result if isinstance(result, str) else result.unknown_titles


def _problem(entry: DefinedEntry, message: str, hint: str) -> Problem:
    file, _, line = entry.origin.rpartition(":")
    key = f"alerting.on_call.{entry.name}.file"
    return Problem(key, message, hint, file or None, int(line) if line.isdigit() else None)
