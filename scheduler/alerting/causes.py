"""What the alert of a job may share with other alerts that fire together, the likeliest cause first. Pure.

    parent router, host api.example.com, certificate CN=api.example.com until 2026-12-01, circuit payments,
    error connect_timeout: no connection within 5 s

Stored with the alert (Alert.causes); alerts with the same cause form one incident.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from jobs.definition import JobDefinition
from jobs.runs.error_classes import ErrorClass
from jobs.runs.run import Run

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


def find_causes(job: JobDefinition, run: Run | None) -> tuple[str, ...]:
    """`run`: the newest bad one; None if the alert is not about a run."""
    return tuple(dict.fromkeys((*_causes_of_job(job), *(_causes_of_run(run, job) if run is not None else ()))))


def _causes_of_job(job: JobDefinition) -> Iterator[str]:
    for parent in job.parents:
        yield f"parent {parent}"
    for destination in job.check.destinations():
        host = urlsplit(destination).hostname if isinstance(destination, str) else destination.host
        if host:
            yield f"host {host.lower()}"
        break
    if job.circuit_key is not None:
        yield f"circuit {job.circuit_key}"


def _causes_of_run(run: Run, job: JobDefinition) -> Iterator[str]:
    details = run.attempts[-1].details if run.attempts else None
    certificate = None if details is None or details.tls is None else details.tls.certificate
    if certificate is not None:
        yield f"certificate {certificate.subject} until {certificate.expires_at:%Y-%m-%d}"
    if run.error in _SHARED_ERRORS:
        text = _VARIABLE.sub("#", run.message.replace(job.name, ""))[:_MAX_TEXT].strip()
        yield f"error {run.error}: {text}" if text else f"error {run.error}"
