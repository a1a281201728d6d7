"""What the alert of a job may share with other alerts that fire together, the likeliest cause first. Pure.

    parent router, host api.example.com, circuit group:payments,
    certificate valid until 2026-12-01 10:00:00Z,     error connect_timeout: no connection within 5 s

Stored with the alert (Alert.causes); alerts with the same cause form one incident.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from jobs.alerting.facts import Sample
from jobs.definition import JobDefinition
from jobs.formats import format_instant
from jobs.runs.outcomes import ErrorClass

_MAX_TEXT = 120
_SHARED_ERRORS = frozenset(
    {
        ErrorClass.DNS_FAILURE,
        ErrorClass.DNS_TIMEOUT,
        ErrorClass.CONNECTION_REFUSED,
        ErrorClass.CONNECTION_RESET,
        ErrorClass.CONNECTION_FAILED,
        ErrorClass.CONNECT_TIMEOUT,
        ErrorClass.TLS_CERTIFICATE,
        ErrorClass.TLS_FAILURE,
        ErrorClass.TLS_TIMEOUT,
        ErrorClass.SECRET_UNAVAILABLE,
        ErrorClass.TOKEN_UNAVAILABLE,
        ErrorClass.OUT_OF_RESOURCES,
        ErrorClass.INTERNAL_ERROR,
    }
)
"""Of the way to targets. Two targets that answer 503 at the same time need not have a common cause."""
_VARIABLE = re.compile(r"\d+(?:[.:]\d+)*")
"""Numbers, times and addresses differ between runs of the same failure."""


def find_causes(job: JobDefinition, sample: Sample | None) -> tuple[str, ...]:
    """`sample`: the newest bad one; None if the alert is not about a run."""
    return tuple(dict.fromkeys((*_causes_of_job(job), *(() if sample is None else _causes_of_sample(sample, job)))))


def _causes_of_job(job: JobDefinition) -> Iterator[str]:
    for parent in job.parents:
        yield f"parent {parent}"
    names_api = getattr(job.check, "CAN_BE_UNKNOWN", False)  # its host is not what the job is about
    for destination in () if names_api else job.check.destinations():
        host = urlsplit(destination).hostname if isinstance(destination, str) else destination.host
        if host:
            yield f"host {host.lower()}"
        break
    if job.circuit_key is not None:
        yield f"circuit {job.circuit_key}"


def _causes_of_sample(sample: Sample, job: JobDefinition) -> Iterator[str]:
    if sample.certificate_expires_at is not None:
        yield f"certificate valid until {format_instant(sample.certificate_expires_at)}"
    if sample.error in _SHARED_ERRORS:
        text = _VARIABLE.sub("#", sample.message.replace(job.name, ""))[:_MAX_TEXT].strip()
        yield f"error {sample.error}: {text}" if text else f"error {sample.error}"
