"""Which files at a place are job files, and what is odd about the place. Used by config.job_files.reader and .reload."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePath

from jobs.problems import Problem

JOB_FILE_SUFFIXES = (".yaml", ".yml", ".json")

MAX_SEARCHED_FOLDERS = 1000
"""Folders searched inside a place, at most: the place may be a mistake, such as a home folder."""
_MAX_LISTED_FILES = 3
"""Files that a warning names."""


def is_job_file(name: str) -> bool:
    """By its name."""
    # A mounted ConfigMap brings hidden folders and links of its own; so do editors.
    return PurePath(name).suffix.lower() in JOB_FILE_SUFFIXES and not name.startswith(".")


def is_job_path(path: str) -> bool:
    """Whether a path below the place leads to a job file, by its parts: hidden folders are left out, too."""
    *folders, name = path.split("/")
    return is_job_file(name) and not any(folder.startswith(".") for folder in folders)


def find_nested_job_files(place: Path) -> Iterator[Path]:
    """Yield the job files in folders inside a folder, which are not read; hidden folders and links are left out."""
    for folder, folders, names in islice(os.walk(place), MAX_SEARCHED_FOLDERS):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if Path(folder) != place:
            yield from (Path(folder, name) for name in sorted(names) if is_job_file(name))


def location_warnings(location: str, job_count: int, nested: Sequence[str]) -> Iterator[Problem]:
    """Yield what is odd about a place that was read: it has no job, or job files that are not read."""
    if nested:
        names = ", ".join(nested[:_MAX_LISTED_FILES])
        more = f" and {len(nested) - _MAX_LISTED_FILES} more" if len(nested) > _MAX_LISTED_FILES else ""
        verb = "is not read, as it is" if len(nested) == 1 else "are not read, as they are"
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
