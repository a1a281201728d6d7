"""What is wrong with a definition or a setting, in an operator's words. Called by config for files and by the API."""

from jobs.problems.findings import (
    MOST_LISTED,
    Finding,
    Path,
    Problem,
    dotted,
    findings_of_keys,
    looks_secret,
    printable,
)
from jobs.problems.sentences import findings_of, problems_of
from jobs.problems.values import shown_value, unknown_key, wrong_choice

__all__ = [
    "MOST_LISTED",
    "Finding",
    "Path",
    "Problem",
    "dotted",
    "findings_of",
    "findings_of_keys",
    "looks_secret",
    "printable",
    "problems_of",
    "shown_value",
    "unknown_key",
    "wrong_choice",
]
