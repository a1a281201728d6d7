"""The verdicts of the JSON schema and of `validate` about a job file alone, and the differences that are allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import jsonschema_rs

from config.documents.document import Document
from config.job_files.entries import PartInterner
from config.job_files.reader import check_document
from jobs.problems import Problem
from jobs.schemas import create_file_schema

BEYOND_SCHEMAS = {
    "two keys of a mapping are equal": r"is a duplicate",
    "a text is a number or a duration out of range": (
        r"too large|is (not|neither) a number|the window must be|must be more than"
    ),
    "a text is not in NCRONTAB": r"is not a supported form|expected 5 or 6 fields|is out of range",
    "a schedule names an app setting": r"app setting",
    "a text is not an allowed URL": r"is not an http URL|placeholder .* is not replaced|over plain http",
    "a path leaves the folder": r"is not a path below",
    "a name is that of another key, or follows from one": r"has the wrong form|is not a, the name|names the job itself",
    "a name of a kind depends on what a selector is for": r"select\.kinds: .* is not allowed",
    "keys need each other": r"require each other|has both|no condition|minimum_calls|applies to counts",
    "a condition does not apply to a group": r"which does not apply to a group",
    "a preset has parameters": r"unknown preset|preset \S+ (needs|allows)|\.with(\.\w+)?: |of the preset",
    "a regular expression is too expensive": r"has more than 20,000 elements",
}
"""Why a schema accepts what `validate` refuses, and the messages of it."""
_BEYOND = re.compile("|".join(BEYOND_SCHEMAS.values()))


@cache
def file_schema() -> Any:
    return jsonschema_rs.validator_for(create_file_schema())


def list_schema_errors(value: Any) -> list[str]:
    return [f"{'.'.join(map(str, error.instance_path))}: {error.message}" for error in file_schema().iter_errors(value)]


def list_problems(value: Any) -> tuple[Problem, ...]:
    """Return what `validate` reports about the file alone, without references to other files."""
    return check_document(Document("jobs.yaml", value), "jobs", PartInterner(), None, {}).problems


def find_contradiction(value: Any, problems: Iterable[Problem]) -> str:
    """Return how the schema contradicts `validate`; empty if the verdicts agree, or may differ."""
    problems, errors = list(problems), list_schema_errors(value)
    if errors and not problems:
        return f"the schema refuses what validate accepts: {errors[:3]}"
    refused = [] if errors else [str(problem) for problem in problems if not _BEYOND.search(str(problem))]
    return f"the schema accepts what validate refuses: {refused[0]}" if refused else ""
