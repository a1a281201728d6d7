"""Which files at a place are job files, and warnings of the place. Used by config.job_files.reader and .reload."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePath

from jobs.problems import Problem

JOB_FILE_SUFFIXES = (".yaml", ".yml", ".json")
_SCHEMA_FILES = ("jobs.schema.json", "job.schema.json")
"""JSON schemas, which editors expect next to the job files."""

MAX_SEARCHED_FOLDERS = 1000
"""Searched sub-folders: the setting can be a mistake, such as a home folder."""
_MAX_LISTED_FILES = 3
"""Files that a warning names."""


def is_job_file(name: str) -> bool:
    """By its name."""
    # A mounted ConfigMap has hidden folders and links; so do editors.
    is_hidden = name.startswith(".") or name in _SCHEMA_FILES
    return PurePath(name).suffix.lower() in JOB_FILE_SUFFIXES and not is_hidden


def is_job_path(path: str) -> bool:
    """Return whether a path below the place is that of a job file, by its parts: hidden folders are excluded, too."""
    *folders, name = path.split("/")
    return is_job_file(name) and not any(folder.startswith(".") for folder in folders)


def find_nested_job_files(place: Path) -> Iterator[Path]:
    """Yield the job files in folders inside a folder, which are not read; hidden folders and links are excluded."""
    for folder, folders, names in islice(os.walk(place), MAX_SEARCHED_FOLDERS):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if Path(folder) != place:
            yield from (Path(folder, name) for name in sorted(names) if is_job_file(name))


def location_warnings(location: str, job_count: int, nested: Sequence[str]) -> Iterator[Problem]:
    """Yield warnings of a place without jobs, or with job files in sub-folders."""
    if nested:
        names = ", ".join(nested[:_MAX_LISTED_FILES])
        more = f" and {len(nested) - _MAX_LISTED_FILES} more" if len(nested) > _MAX_LISTED_FILES else ""
        verb = "is not read, because it is" if len(nested) == 1 else "are not read, because they are"
        hint = "move it into the folder itself" if len(nested) == 1 else "move them into the folder itself"
        yield Problem("", f"{names}{more} {verb} in a folder inside", hint, location)
    if job_count == 0:
        kinds = ", ".join(f"*{ending}" for ending in JOB_FILE_SUFFIXES)
        hint = (
            "write jobs: with the jobs below it"
            if is_job_file(location)
            else f"jobs are defined in files {kinds} there"
        )
        yield Problem("", "has no job, so nothing is checked", hint, location)
