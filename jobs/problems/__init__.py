"""Problems of definitions and settings as messages for operators. Used by config for files, and by the API."""

from jobs.problems.error_formatting import validation_findings, validation_problems
from jobs.problems.findings import (
    MAX_LISTED_PROBLEMS,
    Finding,
    KeyPath,
    Problem,
    describe_unknown_key,
    describe_wrong_choice,
    dotted_path,
    format_value,
    list_key_findings,
    looks_secret,
    make_printable,
)

__all__ = [
    "MAX_LISTED_PROBLEMS",
    "Finding",
    "KeyPath",
    "Problem",
    "describe_unknown_key",
    "describe_wrong_choice",
    "dotted_path",
    "format_value",
    "list_key_findings",
    "looks_secret",
    "make_printable",
    "validation_findings",
    "validation_problems",
]
