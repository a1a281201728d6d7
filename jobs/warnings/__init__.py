"""Rules about valid definitions: warnings of likely mistakes, and refusals. Each rule is a function. Pure.

Called by config.job_files.definitions for every job. A rule gets a definition and yields findings with paths of the
full form. Rules that need files, secrets or the network are in config.warnings.

A new rule: a function in a module here, and a line in `_WARNINGS` or `_REFUSALS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobs.definition import JobDefinition
from jobs.problems import Finding
from jobs.warnings.credentials import (
    find_literal_credentials,
    find_proxy_password_without_tls,
    find_secrets_without_tls,
)
from jobs.warnings.placeholders import find_unknown_placeholders
from jobs.warnings.schedules import find_never_due, find_odd_fields

WarningRule = Callable[[JobDefinition], Iterator[Finding]]

_REFUSALS: tuple[WarningRule, ...] = (find_secrets_without_tls,)
"""Each finding is a problem: the job is refused."""

_WARNINGS: tuple[WarningRule, ...] = (
    find_odd_fields,
    find_unknown_placeholders,
    find_literal_credentials,
    find_proxy_password_without_tls,
)
"""Each finding is a warning: the job is used, but `validate --strict` fails."""


def find_refusals(job: JobDefinition) -> tuple[Finding, ...]:
    """Return the findings for which this job is refused."""
    return tuple(finding for rule in _REFUSALS for finding in rule(job))


def find_warnings(job: JobDefinition, now_ms: int) -> tuple[Finding, ...]:
    """Return the warnings about this job. `now_ms`: the current time, in milliseconds since the epoch."""
    found = [finding for rule in _WARNINGS for finding in rule(job)]
    return (*find_never_due(job, now_ms), *found)
