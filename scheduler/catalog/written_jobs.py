"""Definitions as users write them: what operations, API and commands use of config.stored_jobs."""

from collections.abc import Mapping
from typing import Any

from config.documents.document import InvalidYaml, parse_definition_yaml
from config.job_files.entries import JobEntry, find_job_name
from config.job_files.preset_jobs import expand_definition
from config.presets.library import PresetLibrary
from config.stored_jobs import (
    MAX_DEFINITION_BYTES,
    InvalidJson,
    LocatedStoredJob,
    WrittenJobs,
    parse_definition_json,
    read_written_jobs,
)
from jobs.flat import is_flat_job
from jobs.problems.findings import fold_name

__all__ = [
    "MAX_DEFINITION_BYTES",
    "InvalidJson",
    "InvalidYaml",
    "LocatedStoredJob",
    "PresetLibrary",
    "WrittenJobs",
    "expand_definition",
    "find_written_name",
    "parse_definition_json",
    "parse_definition_yaml",
    "read_written_jobs",
    "rename_definition",
]


def rename_definition(definition: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the definition with another name, in the full or in the flat form."""
    rest = {key: value for key, value in definition.items() if fold_name(key) not in ("name", "jobname")}
    return {"JobName" if is_flat_job(definition) else "name": name, **rest}


def find_written_name(definition: object) -> str | None:
    """Return the name that a definition contains, in the full or in the flat form."""
    return next(iter(find_job_name(JobEntry(None, definition, ()))), None)
