"""The keys of changes in table CHANGES_TABLE. Used by the repositories of this package.

    s~{job}                  the current state: the latest change of the job
    j~{job}~{reverse}        a change, for the list of its job
    a~{reverse}@{job}        the same change, for the list of all jobs
    h~{job}                  the states of the entries of its health documents

`reverse` is the reverse instant of scheduler.stores.runs.keys with the reverse number of the change within its job, so
ascending keys give the newest first. One partition: a change is one transaction on every store, and a page one request.
"""

from __future__ import annotations

from jobs.runs.states import StateChange
from scheduler.stores.runs.keys import PREFIX_END, reverse_ms

CHANGES_TABLE = "changes"
CHANGES_PARTITION = "all"
STATE_PREFIX, JOB_PREFIX, ALL_PREFIX, HEALTH_PREFIX = "s~", "j~", "a~", "h~"

_LAST_NUMBER = 99_999_999


def reverse_position(change: StateChange) -> str:
    """Return the position among the changes of a job. Raises ValueError outside the years 1970 to 2286."""
    return f"{reverse_ms(change.at)}{_LAST_NUMBER - change.number:08d}"


def state_key(job: str) -> str:
    return f"{STATE_PREFIX}{job}"


def health_key(job: str) -> str:
    return f"{HEALTH_PREFIX}{job}"


def job_key(change: StateChange) -> str:
    return f"{list_prefix(change.job)}{reverse_position(change)}"


def all_key(change: StateChange) -> str:
    return f"{ALL_PREFIX}{reverse_position(change)}@{change.job}"


def job_key_of(all_key: str) -> str:
    """Return the key of the same change in the list of its job."""
    position, _, job = all_key[len(ALL_PREFIX) :].partition("@")
    return f"{list_prefix(job)}{position}"


def list_prefix(job: str | None) -> str:
    """Return the beginning of the keys of a list: of a job, or of all."""
    return ALL_PREFIX if job is None else f"{JOB_PREFIX}{job}~"


def end_of(prefix: str) -> str:
    return prefix + PREFIX_END
