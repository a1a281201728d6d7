"""Warnings about the calendars of rotas in files. Called by scheduler.cli.commands.validate and by scheduler.app."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from config.job_files.job_set import JobSet
from jobs.checks.files.folder_files import UnusableFile, read_file_below
from jobs.definition.alerting.definitions import DefinedEntry
from jobs.problems import Problem

_MAX_NAMED = 5
"""Titles of shifts that a warning names."""


def warnings_of_unusable_rotas(jobs: JobSet, now: datetime) -> Iterator[Problem]:
    """Yield a warning for each file that is not a calendar, or whose shifts name no person. Blocks.

    The calendar of a URL is read by the program alone: health reports what is wrong with it.
    """
    for entry in jobs.alerting.entries_of("on_call"):
        if entry.value.file is not None:
            yield from _check_file(entry, now)


def _check_file(entry: DefinedEntry, now: datetime) -> Iterator[Problem]:
    from jobs.incidents.routing.rota import MAX_CALENDAR_BYTES  # loads the models of rotas
    from jobs.incidents.routing.rota_limits import RotaError

    definition = entry.value
    name = f"the calendar {definition.file}"
    try:
        content, _ = read_file_below(entry.folder, definition.file, MAX_CALENDAR_BYTES)
    except UnusableFile as error:
        hint = f"its path starts from the folder of the job file, {entry.folder}" if entry.folder else ""
        yield _problem(entry, f"{name} cannot be read: {error}", hint)
        return
    try:
        unknown = definition.parse(content or b"", now).find_unknown_titles(now)
    except RotaError as error:
        yield _problem(entry, f"{name} cannot be used: {error}", "")
        return
    if unknown:
        more = f" and {len(unknown) - _MAX_NAMED} more" if len(unknown) > _MAX_NAMED else ""
        message = f"{name} has shifts that name no person of the rota: {', '.join(unknown[:_MAX_NAMED])}{more}"
        yield _problem(entry, message, "add the person to people; otherwise is notified in these shifts")


def _problem(entry: DefinedEntry, message: str, hint: str) -> Problem:
    file, _, line = entry.origin.rpartition(":")
    key = f"alerting.on_call.{entry.name}.file"
    return Problem(key, message, hint, file or None, int(line) if line.isdigit() else None)
