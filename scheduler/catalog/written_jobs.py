"""Definitions as users write them: what operations, API and commands use of config.stored_jobs."""

from config.job_files.entries import JobEntry, find_job_name
from config.stored_jobs import (
    MAX_DEFINITION_BYTES,
    InvalidJson,
    LocatedStoredJob,
    WrittenJobs,
    parse_definition_json,
    read_written_jobs,
)

__all__ = [
    "MAX_DEFINITION_BYTES",
    "InvalidJson",
    "LocatedStoredJob",
    "WrittenJobs",
    "find_written_name",
    "parse_definition_json",
    "read_written_jobs",
]


def find_written_name(definition: object) -> str | None:
    """Return the name that a definition contains, in the full or in the flat form."""
    return next(iter(find_job_name(JobEntry(None, definition, ()))), None)
