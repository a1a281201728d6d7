"""What a valid definition hardly means, and what it must not do, each rule one function in a list. Pure.

Called by config.job_entries for every job that it reads. A rule takes a definition and yields findings by keys of the
full form. Rules that look at files, secrets or the network are in config.job_warnings.

A new rule: its function in a module here, and its line in `_WARNINGS` or `_REFUSALS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobs.definition import JobDefinition
from jobs.problems import Finding
from jobs.warnings import credentials, placeholders, plain_http, schedules

Rule = Callable[[JobDefinition], Iterator[Finding]]

_REFUSALS: tuple[Rule, ...] = (plain_http.secrets_without_tls,)
"""Each finding is a problem: the job is not used."""

_WARNINGS: tuple[Rule, ...] = (
    schedules.odd_fields,
    placeholders.unknown_placeholders,
    credentials.credentials_in_the_file,
    plain_http.proxy_password_without_tls,
)
"""Each finding is a warning: the job is used, and `validate --strict` refuses it."""


def refusals_of(job: JobDefinition) -> tuple[Finding, ...]:
    """Return why this job must not be used."""
    return tuple(finding for rule in _REFUSALS for finding in rule(job))


def warnings_of(job: JobDefinition, now_ms: int) -> tuple[Finding, ...]:
    """Return what this job hardly means. `now_ms`: the present, in milliseconds since the epoch."""
    found = [finding for rule in _WARNINGS for finding in rule(job)]
    return (*schedules.never_due(job, now_ms), *found)
